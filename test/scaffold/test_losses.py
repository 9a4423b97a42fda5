"""Losses against explicit loops over masks, pairs and pixels, and on cases whose value is known."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_ros.raster.losses import FeatureTerms
from ig_ros.scaffold.losses import contrast, depth_loss, feature_loss, mask_means, scale_loss, smoothness


def scene(seed: int, pixels: int = 60, masks: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    feature = torch.rand(pixels, 4, generator=random, dtype=torch.float64)
    return feature, torch.randint(0, masks, (pixels,), generator=random) * 3  # ids with gaps


def loop_means(feature: torch.Tensor, labels: torch.Tensor, min_pixels: int) -> dict[int, torch.Tensor]:
    found = {}
    for label in sorted(set(labels.tolist()) - {0}):
        members = [f for f, own in zip(feature, labels.tolist(), strict=True) if own == label]
        if len(members) >= min_pixels:
            found[label] = sum(members) / len(members)
    return found


def loop_smoothness(feature: torch.Tensor, labels: torch.Tensor, min_pixels: int) -> float:
    per_mask = []
    for label, mean in loop_means(feature, labels, min_pixels).items():
        distances = [math.dist(f, mean) for f, own in zip(feature, labels.tolist(), strict=True) if own == label]
        per_mask.append(sum(distances) / len(distances))
    return sum(per_mask) / len(per_mask)


def loop_contrast(means: torch.Tensor, truncation: float | None) -> float:
    m, total = len(means), 0.0
    for i in range(m):
        others = sorted((j for j in range(m) if j != i), key=lambda j: math.dist(means[i], means[j]))
        for rank, j in enumerate(others):
            distance = math.dist(means[i], means[j])
            weight = 1.0 - 0.9 * rank / max(m - 2, 1)
            if truncation is None or distance <= truncation:
                total += weight / (distance**2 + 1)
    return total / (m * (m - 1))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), masks=st.integers(2, 9), min_pixels=st.integers(1, 12))
def test_mask_means_and_smoothness_equal_the_loops(seed: int, masks: int, min_pixels: int) -> None:
    feature, labels = scene(seed, masks=masks)
    means, pixels, rows = mask_means(feature, labels, min_pixels)
    truth = loop_means(feature, labels, min_pixels)
    assert len(means) == len(truth)
    assert set(labels[pixels].tolist()) == set(truth)
    for label, mean in truth.items():
        row = rows[labels[pixels] == label].unique()
        assert len(row) == 1
        assert torch.allclose(means[row[0]], mean)
    if truth:
        assert float(smoothness(feature, means, pixels, rows)) == pytest.approx(
            loop_smoothness(feature, labels, min_pixels), abs=1e-5
        )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(2, 12), truncation=st.sampled_from([None, 0.3, 0.6, 5.0]))
def test_contrast_equals_the_loop(seed: int, m: int, truncation: float | None) -> None:
    means = torch.rand(m, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert float(contrast(means, truncation)) == pytest.approx(loop_contrast(means, truncation), rel=1e-9, abs=1e-12)


def test_contrast_ranks_the_nearest_pair_highest() -> None:
    means = torch.tensor([[0.0], [0.1], [1.0]], requires_grad=True)
    contrast(means, None).backward()
    assert means.grad is not None
    assert means.grad[0] > 0  # descent moves it to the left, away from its near neighbour
    assert means.grad[2] < 0
    d = [0.1**2, 1.0, 0.9**2]
    ranked = [1.0, 0.1, 1.0, 0.1, 1.0, 0.1]  # 0-1, 0-2, 1-0, 1-2, 2-1, 2-0
    expected = sum(w / (q + 1) for w, q in zip(ranked, [d[0], d[1], d[0], d[2], d[2], d[1]], strict=True)) / 6
    assert float(contrast(means.detach(), None)) == pytest.approx(expected, rel=1e-6)


def test_truncated_pairs_are_left_in_peace() -> None:
    means = torch.tensor([[0.0, 0], [0.3, 0], [5.0, 0]], requires_grad=True)
    contrast(means, 0.4).backward()
    assert means.grad is not None
    assert means.grad[:2].abs().sum() > 0
    assert not means.grad[2].any()
    assert float(contrast(torch.tensor([[0.0], [0.5]]), 0.4)) == 0.0


def image(rows: list[list[int]]) -> torch.Tensor:
    return torch.tensor(rows)


def weighted(feature: torch.Tensor, alpha: torch.Tensor, labels: torch.Tensor, **changes: float | None) -> torch.Tensor:
    terms = FeatureTerms(min_pixels=1, truncation=None, contrast_weight=1.0, smooth_weight=0.5)
    return feature_loss(feature, alpha, labels, dataclasses.replace(terms, **changes))  # type: ignore[arg-type]


def test_feature_loss_weighs_both_and_ignores_what_is_hardly_covered() -> None:
    feature = torch.rand(2, 3, 4, dtype=torch.float64)
    labels, alpha = image([[1, 1, 2], [0, 2, 2]]), torch.ones(2, 3)
    alpha[0, 0] = 0.2
    usable, used = feature.view(6, 4)[[1, 2, 4, 5]], torch.tensor([1, 2, 2, 2])
    means = torch.stack(list(loop_means(usable, used, 1).values()))
    expected = loop_contrast(means, None) + 0.5 * loop_smoothness(usable, used, 1)
    assert float(weighted(feature, alpha, labels)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("labels", [[[0, 0], [0, 0]], [[1, 1], [1, 1]]])
def test_feature_loss_of_no_or_one_mask_has_no_contrast(labels: list[list[int]]) -> None:
    feature = torch.full((2, 2, 3), 0.5, requires_grad=True)
    loss = weighted(feature, torch.ones(2, 2), image(labels))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-5)
    assert feature.grad is not None
    assert bool(torch.isfinite(feature.grad).all())


def test_descent_on_the_feature_loss_separates_masks() -> None:
    random = torch.Generator().manual_seed(0)
    feature = (0.5 + 0.05 * torch.randn(8, 8, 3, generator=random)).requires_grad_()
    labels = torch.ones(8, 8, dtype=torch.int32)
    labels[:, 4:] = 2
    optimizer = torch.optim.Adam([feature], lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        weighted(feature, torch.ones(8, 8), labels).backward()
        optimizer.step()
    left, right = feature.detach()[:, :4].reshape(-1, 3), feature.detach()[:, 4:].reshape(-1, 3)
    assert (left.mean(0) - right.mean(0)).norm() > 0.5
    assert left.std(0).max() < 0.1


def test_depth_loss_is_the_mean_clamped_relative_error_of_measured_pixels() -> None:
    random = torch.Generator().manual_seed(3)
    measured = torch.rand(5, 6, generator=random) * 4
    measured[::2, ::2] = 0.0
    alpha = torch.rand(5, 6, generator=random)
    depth = alpha * measured * (1 + 0.4 * torch.randn(5, 6, generator=random))
    errors = []
    for d, a, z in zip(depth.flatten().tolist(), alpha.flatten().tolist(), measured.flatten().tolist(), strict=True):
        if z > 0:
            errors.append(min(abs(d - a * z) / z, 0.3))
    assert float(depth_loss(depth, alpha, measured)) == pytest.approx(sum(errors) / len(errors), rel=1e-5)
    assert float(depth_loss(alpha * measured, alpha, measured)) == pytest.approx(0.0, abs=1e-6)
    nothing = depth_loss(depth.requires_grad_(), alpha, torch.zeros(5, 6))
    nothing.backward()
    assert float(nothing.detach()) == 0.0


def test_scale_loss_is_the_volume_in_voxels() -> None:
    scales = torch.tensor([[0.02, 0.02, 0.02], [0.04, 0.02, 0.01]])
    assert float(scale_loss(scales, torch.tensor([0.02, 0.02]))) == pytest.approx(1.0, rel=1e-5)
    assert float(scale_loss(scales, torch.tensor([0.04, 0.04]))) == pytest.approx(0.125, rel=1e-5)

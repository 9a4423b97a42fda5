"""The compiled losses of a view against plain torch in float64: values and gradients."""

from __future__ import annotations

import pytest
import torch

from ig_ros.raster import library
from ig_ros.raster.losses import FeatureTerms, Target, feature_loss_gradient
from ig_ros.scaffold.losses import feature_loss, view_loss, view_loss_torch
from ig_ros.types import RenderResult

SIZES = [(1, 1), (3, 200), (48, 37)]
TERMS = FeatureTerms(min_pixels=5, truncation=0.4, contrast_weight=1.0, smooth_weight=0.1)


def scene(height: int, width: int, features: int = 6, masks: int = 7) -> tuple[RenderResult, Target]:
    """A rendered view, and what it should look like: every fourth depth is missing, ids have gaps."""
    random = torch.Generator().manual_seed(height * width)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(height, width, *shape, generator=random)

    depth = uniform() * 4 + 0.2
    measured = (depth * (1 + 0.3 * (uniform() - 0.5)) * (uniform() > 0.25)).half()
    rgb = (uniform(3) * 255).to(torch.uint8)
    labels = torch.randint(0, masks, (height, width), generator=random, dtype=torch.int32) * 3
    alpha = 0.5 + 0.5 * uniform()
    rendered = RenderResult(uniform(3 + features), depth * alpha, alpha)
    return rendered, Target(rgb, measured, labels)


def leaves(rendered: RenderResult, dtype: torch.dtype) -> RenderResult:
    images = (rendered.features, rendered.depth, rendered.alpha)
    return RenderResult(*(t.detach().to(dtype, copy=True).requires_grad_() for t in images))


def compare(rendered: RenderResult, target: Target, terms: FeatureTerms, depth_weight: float = 0.1) -> None:
    ours, truth = leaves(rendered, torch.float32), leaves(rendered, torch.float64)
    loss, color = view_loss(ours, target, 0.2, depth_weight, terms)
    expected, expected_color = view_loss_torch(truth, target, 0.2, depth_weight, terms)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=2e-5, abs=1e-6)
    assert color == pytest.approx(expected_color, rel=2e-5, abs=1e-6)
    (2 * loss).backward()
    (2 * expected).backward()
    for name in ("features", "depth", "alpha"):
        mine, theirs = getattr(ours, name).grad, getattr(truth, name).grad
        if theirs is None:
            assert mine is None or not mine.any(), name
            continue
        for part in (slice(0, 3), slice(3, None)) if name == "features" else (slice(None),):
            gap = float((mine[..., part] - theirs[..., part]).norm())
            assert gap <= 2e-4 * float(theirs[..., part].norm()) + 1e-9, name


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("truncation", [None, 0.0, 0.1, 0.4])
def test_values_and_gradients(height: int, width: int, truncation: float | None) -> None:
    compare(*scene(height, width), FeatureTerms(5, truncation, 1.0, 0.1))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_without_depth_without_labels_and_without_features(height: int, width: int) -> None:
    rendered, target = scene(height, width)
    compare(rendered, Target(target.rgb, None, target.labels), TERMS)
    compare(rendered, Target(target.rgb, target.depth, None), TERMS)
    compare(rendered, target, TERMS, depth_weight=0.0)
    compare(*scene(height, width, features=0), TERMS)


@pytest.mark.parametrize("masks", [1, 2, 3])
def test_no_mask_and_one_mask(masks: int) -> None:
    compare(*scene(30, 31, masks=masks), TERMS)


def test_masks_too_small_to_count_and_pixels_hardly_covered() -> None:
    rendered, target = scene(30, 31)
    compare(rendered, target, FeatureTerms(10_000, None, 1.0, 0.1))
    bare = RenderResult(rendered.features, rendered.depth, torch.zeros(30, 31))
    compare(bare, target, TERMS)
    assert target.labels is not None
    labels = target.labels.clone()
    labels[0, :3] = -1
    compare(rendered, Target(target.rgb, torch.zeros(30, 31), labels), TERMS)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.uint16])
@pytest.mark.parametrize("variant", library.available_variants())
def test_labels_of_any_type_and_every_variant(variant: str, dtype: torch.dtype) -> None:
    rendered, target = scene(40, 41)
    assert target.labels is not None
    gradient = torch.full_like(rendered.features, 7.0)
    loss = feature_loss_gradient(
        library.load(variant), rendered.features[..., 3:], rendered.alpha, target.labels.to(dtype), TERMS,
        gradient[..., 3:],
    )  # fmt: skip
    wide = rendered.features.double().requires_grad_()
    truth = feature_loss(
        wide[..., 3:], rendered.alpha, target.labels,
        FeatureTerms(min_pixels=5, truncation=0.4, contrast_weight=1.0, smooth_weight=0.1),
    )  # fmt: skip
    truth.backward()
    assert wide.grad is not None
    assert loss == pytest.approx(float(truth.detach()), rel=1e-5)
    assert torch.allclose(gradient[..., 3:].double(), wide.grad[..., 3:], rtol=1e-3, atol=1e-8)
    assert bool((gradient[..., :3] == 7.0).all())  # not its channels


def test_many_masks_of_one_feature_tie_without_harm() -> None:
    rendered, target = scene(40, 41, masks=60)
    rendered.features[..., 3:] = 0.25
    rendered.features[5, 5, 3:] = torch.nan
    ours = leaves(rendered, torch.float32)
    loss, color = view_loss(ours, target, 0.2, 0.1, TERMS)
    loss.backward()
    assert color == color
    assert bool(loss.isnan())  # a map gone wrong is seen, not hidden


def test_the_same_bits_for_any_number_of_threads() -> None:
    rendered, target = scene(90, 101)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            images = leaves(rendered, torch.float32)
            loss, _ = view_loss(images, target, 0.2, 0.1, TERMS)
            loss.backward()
            results.append((loss.detach(), images.features.grad, images.depth.grad, images.alpha.grad))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)

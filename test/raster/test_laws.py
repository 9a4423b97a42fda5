"""Laws and boundaries of the rasteriser that need no reference."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.raster_scenes import camera, leaves, pose, room

from ig_ros.raster import ScreenStats, rasterize, select_device, top_contributor
from ig_ros.types import GaussianBatch


def rows(g: GaussianBatch, index: torch.Tensor) -> GaussianBatch:
    return g.rows(index)


def gradients(g: GaussianBatch, screen: ScreenStats | None = None) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    own = leaves(g)
    result = rasterize(own, pose(), camera(61, 37), screen=screen)
    (result.features.square().sum() + result.depth.sum() + result.alpha.sum()).backward()
    found = {f.name: getattr(own, f.name).grad for f in dataclasses.fields(g) if f.name not in ("anchors", "origin")}
    return result.features.detach(), found


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 120), seed=st.integers(0, 10_000), size=st.floats(0.3, 10.0))
def test_order_of_the_gaussians_does_not_matter(n: int, seed: int, size: float) -> None:
    g = room(n, 3, seed, size)
    shuffle = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    image, straight = gradients(g)
    shuffled_image, shuffled = gradients(rows(g, shuffle))
    assert torch.equal(image, shuffled_image)
    for name in straight:
        assert torch.equal(straight[name][shuffle], shuffled[name]), name


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.floats(0.01, 1000.0), width=st.integers(1, 40), height=st.integers(1, 40))
def test_alpha_stays_in_range_and_everything_is_finite(seed: int, size: float, width: int, height: int) -> None:
    g = leaves(room(200, 2, seed, size))
    result = rasterize(g, pose(seed / 1000), camera(width, height))
    assert float(result.alpha.detach().min()) >= 0
    assert float(result.alpha.detach().max()) <= 1
    assert (result.features <= result.alpha[..., None] + 1e-5).all()  # features are in [0, 1]
    result.features.sum().backward()
    for name in ("means", "quats", "scales", "opacities", "features"):
        assert torch.isfinite(getattr(g, name).grad).all(), name


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_deterministic_for_any_number_of_threads(threads: int) -> None:
    g, before = room(2000, 9), torch.get_num_threads()
    image, expected = gradients(g)
    try:
        torch.set_num_threads(threads)
        for _ in range(3):
            again, found = gradients(g)
            assert torch.equal(image, again)
            assert all(torch.equal(found[k], expected[k]) for k in expected)
    finally:
        torch.set_num_threads(before)


def test_two_python_threads_at_once() -> None:
    scenes = [room(1500, 5, seed) for seed in range(8)]
    alone = [gradients(g) for g in scenes]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(gradients, scenes))
    for (image, grads), (image_2, grads_2) in zip(alone, together, strict=True):
        assert torch.equal(image, image_2)
        assert all(torch.equal(grads[k], grads_2[k]) for k in grads)


@pytest.mark.parametrize("kind", ["none", "behind", "transparent", "not finite"])
def test_nothing_to_draw(kind: str) -> None:
    g = room(0 if kind == "none" else 50, 4, size=3.0)
    if kind == "behind":
        forward = torch.as_tensor(pose()[:3, 2], dtype=torch.float32)
        g = dataclasses.replace(g, means=torch.as_tensor(pose()[:3, 3]).float() - forward * (1 + torch.rand(50, 1)))
    elif kind == "transparent":
        g = dataclasses.replace(g, opacities=torch.full((50,), 1 / 256))
    elif kind == "not finite":
        g = dataclasses.replace(g, means=torch.full((50, 3), float("nan")), quats=torch.zeros(50, 4))
    screen = ScreenStats()
    image, found = gradients(g, screen)
    assert not image.any()
    assert all(not v.any() for v in found.values())
    assert screen.visible is not None
    assert not screen.visible.any()
    assert screen.gradient is not None
    assert screen.gradient.shape == (len(g.means), 2)
    assert not screen.gradient.any()
    assert (top_contributor(g, pose(), camera(20, 10)) == -1).all()


def test_broken_gaussians_leave_the_others_alone() -> None:
    g = room(300, 3, size=2.0)
    means, quats, scales, opacities = (t.clone() for t in (g.means, g.quats, g.scales, g.opacities))
    means[0] = float("inf")
    quats[1] = 0.0
    scales[2] = 1e30
    opacities[3] = float("nan")
    image, found = gradients(GaussianBatch(means, quats, scales, opacities, g.features, g.anchors))
    clean, _ = gradients(rows(g, torch.arange(4, 300)))
    assert torch.equal(image, clean)
    assert all(torch.isfinite(v).all() for v in found.values())


def test_a_huge_gaussian_fills_the_image() -> None:
    g = room(1, 3)
    T = pose()
    center = torch.as_tensor(T[:3, 3] + 2 * T[:3, 2]).float()[None]
    g = dataclasses.replace(g, means=center, scales=torch.full((1, 3), 500.0), opacities=torch.tensor([0.6]))
    result = rasterize(g, T, camera(50, 30))
    assert torch.allclose(result.alpha, torch.full((30, 50), 0.6), atol=1e-3)
    assert torch.allclose(result.depth, torch.full((30, 50), 1.2), atol=3e-3)
    assert (top_contributor(g, T, camera(50, 30)) == 0).all()


def test_near_plane() -> None:
    g, T = room(1, 3), pose()
    g = dataclasses.replace(g, means=torch.as_tensor(T[:3, 3] + 0.5 * T[:3, 2]).float()[None])
    assert rasterize(g, T, camera(20, 20), near=0.4).alpha.any()
    assert not rasterize(g, T, camera(20, 20), near=0.6).alpha.any()


def test_visible_means_drawn_somewhere() -> None:
    g, screen = room(2000, 3), ScreenStats()
    own = leaves(g)
    rasterize(own, pose(), camera(61, 37), screen=screen).alpha.sum().backward()
    assert screen.visible is not None
    assert 0 < int(screen.visible.sum()) < 2000
    assert own.opacities.grad is not None
    assert not own.opacities.grad[~screen.visible].any()
    assert screen.gradient is not None
    assert not screen.gradient[~screen.visible].any()


def test_nearer_hides_farther() -> None:
    T = pose()
    ray = torch.as_tensor(T[:3, 3] + [[1.0], [2.0]] * T[:3, 2]).float()
    g = room(2, 2)
    g = dataclasses.replace(
        g, means=ray, scales=torch.full((2, 3), 0.3), opacities=torch.full((2,), 0.9), features=torch.eye(2)
    )
    middle = rasterize(g, T, camera(21, 21)).features[10, 10]
    assert middle[0] > 0.85
    assert middle[1] < 0.12
    assert int(top_contributor(g, T, camera(21, 21))[10, 10]) == 0


def test_select_device() -> None:
    assert select_device("cpu").type == "cpu"
    assert select_device("auto").type in ("cpu", "cuda")

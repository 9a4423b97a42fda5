"""The gsplat backend on gsplat's own Python, its compiled functions played by the slow reference.

The real kernels need a GPU; what is checked here is everything that is put around them, by gsplat and by us.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator

import pytest
import torch
from reference.gsplat_host import called, host_kernels
from reference.raster_scenes import camera, leaves, pose, room

from ig_ros.errors import RasterError
from ig_ros.raster import ScreenStats, cpu_backend, gsplat_backend, top_contributor
from ig_ros.raster.request import make_request
from ig_ros.types import GaussianBatch


@pytest.fixture
def gsplat() -> Iterator[list[str]]:
    """Its compiled functions, by name, as they are called."""
    log: list[str] = []
    with host_kernels(called(log)):
        yield log


@pytest.mark.parametrize("channels", [slice(3, 9), slice(2, 5), None])
def test_same_images_gradients_and_statistics_as_the_cpu_backend(gsplat: list[str], channels: slice | None) -> None:
    g = room(400, 9, size=2.0)
    gate = torch.rand(400) if channels is not None else None
    view, T, found = camera(40, 30), pose(), []
    for render in (gsplat_backend.render, cpu_backend.render):
        own, screen = leaves(g), ScreenStats()
        result = render(make_request(own, T, view, 0.05, channels, gate), screen)
        weight = torch.rand(30, 40, 9, generator=torch.Generator().manual_seed(1))
        ((result.features * weight).sum() + result.depth.sum() + result.alpha.sum()).backward()
        grads = [getattr(own, n).grad for n in ("means", "quats", "scales", "opacities", "features")]
        images = (result.features.detach(), result.depth.detach(), result.alpha.detach())
        found.append((*images, screen.gradient, *grads))
        assert screen.visible is not None
        assert screen.visible.shape == (400,)
        assert screen.visible.any()
    for ours, theirs in zip(*found, strict=True):  # images and gradients
        assert ours.shape == theirs.shape
        assert float((ours - theirs).norm() / theirs.norm()) < 1e-3


def test_no_feature_channels_still_gives_depth(gsplat: list[str]) -> None:
    request = make_request(room(200, 0, size=2.0), pose(), camera(40, 30), 0.05, None, None)
    ours, theirs = gsplat_backend.render(request, None), cpu_backend.render(request, None)
    assert ours.features.shape == (30, 40, 0)
    assert torch.allclose(ours.depth, theirs.depth, atol=1e-3)


def test_another_cap_of_alpha_is_refused(gsplat: list[str]) -> None:
    request = dataclasses.replace(make_request(room(2, 3), pose(), camera(8, 8), 0.05, None, None), max_alpha=0.9)
    with pytest.raises(RasterError, match="fixed largest alpha"):
        gsplat_backend.render(request, None)


def test_one_projection_and_one_sort_serve_colour_and_gated_features(gsplat: list[str]) -> None:
    g = leaves(room(200, 9, size=2.0))
    request = make_request(g, pose(), camera(40, 30), 0.05, slice(3, 9), torch.rand(200))
    gsplat_backend.render(request, None).features.sum().backward()
    for name, times in (("projection_ewa_3dgs_fused", 1), ("rasterize_to_pixels_3dgs", 2)):
        assert gsplat.count(f"{name}_fwd") == gsplat.count(f"{name}_bwd") == times
    assert gsplat.count("intersect_tile") == 1


@pytest.mark.parametrize("screen", [None, ScreenStats()])
def test_a_view_without_gaussians_is_empty_and_the_process_lives(gsplat: list[str], screen: ScreenStats | None) -> None:
    request = make_request(room(0, 5), pose(), camera(40, 30), 0.05, slice(3, 5), torch.zeros(0))
    result = gsplat_backend.render(request, screen)
    assert result.features.shape == (30, 40, 5)
    assert not any(image.any() for image in (result.features, result.depth, result.alpha))
    assert screen is None or (screen.visible is not None and screen.visible.shape == (0,))
    assert not gsplat


def test_missing_gsplat_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gsplat", None)  # as if it were not installed
    with pytest.raises(RasterError, match="gsplat is not installed"):
        gsplat_backend.require()


@pytest.mark.cuda
@pytest.mark.skipif(
    not (torch.cuda.is_available() and gsplat_backend.installed()), reason="needs a CUDA GPU and gsplat"
)
def test_real_gsplat_agrees_with_the_cpu_backend() -> None:
    g, view, T = room(2000, 9), camera(80, 60), pose()
    fields = [getattr(g, f.name).cuda() for f in dataclasses.fields(g)[:-1]]
    ours = cpu_backend.render(make_request(g, T, view, 0.05, None, None), None)
    theirs = gsplat_backend.render(make_request(GaussianBatch(*fields), T, view, 0.05, None, None), None)
    assert float((ours.features - theirs.features.cpu()).abs().mean()) < 1e-3
    assert float((ours.depth - theirs.depth.cpu()).abs().mean()) < 3e-3


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_top_contributor_of_gaussians_on_a_gpu() -> None:
    g, view, T = room(300, 3, size=2.0), camera(40, 30), pose()
    there = GaussianBatch(*(getattr(g, f.name).cuda() for f in dataclasses.fields(g)[:-1]))
    found = top_contributor(there, T, view)
    assert found.is_cuda
    assert torch.equal(found.cpu(), top_contributor(g, T, view))

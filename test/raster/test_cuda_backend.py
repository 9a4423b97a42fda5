"""The gsplat backend's mapping of arguments and results, run on a module with gsplat's interface and reference maths.

The real kernels need a GPU; what is checked here is everything this package adds around them.
"""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from reference.gsplat_torch import rasterization
from reference.raster_scenes import camera, leaves, pose, room

from ig_ros.errors import RasterError
from ig_ros.raster import ScreenStats, cpu_backend, gsplat_backend, select_device
from ig_ros.raster.request import make_request
from ig_ros.types import GaussianBatch


@pytest.fixture
def gsplat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gsplat_backend, "require", lambda: SimpleNamespace(rasterization=rasterization))


@pytest.mark.parametrize("channels", [slice(3, 9), slice(2, 5), None])
def test_same_images_gradients_and_statistics_as_the_cpu_backend(gsplat: None, channels: slice | None) -> None:
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


def test_no_feature_channels_still_gives_depth(gsplat: None) -> None:
    request = make_request(room(200, 0, size=2.0), pose(), camera(40, 30), 0.05, None, None)
    ours, theirs = gsplat_backend.render(request, None), cpu_backend.render(request, None)
    assert ours.features.shape == (30, 40, 0)
    assert torch.allclose(ours.depth, theirs.depth, atol=1e-3)


def test_another_cap_of_alpha_is_refused(gsplat: None) -> None:
    request = dataclasses.replace(make_request(room(2, 3), pose(), camera(8, 8), 0.05, None, None), max_alpha=0.9)
    with pytest.raises(RasterError, match="fixed largest alpha"):
        gsplat_backend.render(request, None)


@pytest.mark.skipif(gsplat_backend.installed(), reason="gsplat is installed here")
def test_missing_gsplat_is_named() -> None:
    with pytest.raises(RasterError, match="gsplat is not installed"):
        gsplat_backend.require()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu() -> None:
    with pytest.raises(RasterError, match="no CUDA GPU"):
        select_device("cuda")


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

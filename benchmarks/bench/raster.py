"""The CPU rasteriser beside plain torch and plain Numba, and beside the machine's peak."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test"))

from reference.raster import render_tiled
from reference.raster_numba import count_blends, render_numba
from reference.raster_scenes import camera, leaves, pose, room

from benchmarks.bench.clock import seconds
from ig_ros.raster import ScreenStats, cpu
from ig_ros.raster.request import make_request
from ig_ros.types import Camera, GaussianBatch, RenderResult

Render = Callable[[GaussianBatch], RenderResult]
CHANNELS, VISIBLE, SIZE = 9, 20_000, (320, 240)
# Floating point operations per blend of a Gaussian into a pixel, as the formulas need them (exp counts 12):
# forward: offset and sigma 12, exp 12, alpha and transmittance 4, two per channel; backward: the same again, then
# eight per channel and 20 for mean, covariance and opacity. Depth and alpha are two more channels.
FORWARD, BACKWARD = 28 + 2 * (CHANNELS + 2), 28 + 8 * (CHANNELS + 2) + 20


def ours(T: object, view: Camera) -> Render:
    """Our rasteriser as a function of the Gaussians."""
    return lambda g: cpu.render(make_request(g, T, view, 0.05, None, None), None)  # type: ignore[arg-type]


def both_ways(render: Render, g: GaussianBatch, size: tuple[int, int]) -> Callable[[], None]:
    """A forward and a backward pass."""
    own = leaves(g)
    width, height = size
    random = torch.Generator().manual_seed(0)
    shapes = ((height, width, own.features.shape[1]), (height, width), (height, width))
    upstream = [torch.randn(*shape, generator=random) for shape in shapes]

    def run() -> None:
        result = render(own)
        torch.autograd.backward((result.features, result.depth, result.alpha), upstream)
        for name in ("means", "quats", "scales", "opacities", "features"):
            getattr(own, name).grad = None

    return run


def scene(visible: int, size: tuple[int, int]) -> tuple[GaussianBatch, object, Camera, int]:
    """Random Gaussians of which about `visible` reach the image: Gaussians, pose, camera, and how many do."""
    view, T = camera(*size), pose()
    count, seen = visible, 0
    for _ in range(4):  # what is behind the camera or beside the image does not count
        g, screen = room(count, CHANNELS), ScreenStats()
        cpu.render(make_request(g, T, view, 0.05, None, None), screen)
        assert screen.visible is not None
        seen = int(screen.visible.sum())
        count = int(count * visible / max(seen, 1))
    return g, T, view, seen


def fma_peak() -> float:
    """Floating point operations per second of this machine's best matrix product, on the threads torch has."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return 2 * 1024**3 / min(seconds(lambda: a @ b, 3) for _ in range(5))


def measure(quick: bool) -> dict[str, float]:
    """Forward + backward, 9 channels + depth, 20,000 visible Gaussians, 320x240."""
    g, T, view, seen = scene(VISIBLE, SIZE)
    repeats = 5 if quick else 25
    own = seconds(both_ways(ours(T, view), g, SIZE), repeats, 3)
    tiled = seconds(both_ways(lambda x: render_tiled(x, T, view), g, SIZE), 1, 0 if quick else 1)  # type: ignore[arg-type]
    scalar = seconds(both_ways(lambda x: render_numba(x, T, view), g, SIZE), 1 if quick else 5, 1)  # type: ignore[arg-type]
    again = seconds(both_ways(ours(T, view), g, SIZE), repeats, 3)  # the machine may have changed its mind meanwhile
    best, peak = min(own, again), fma_peak()
    work = count_blends(g, T, view) * (FORWARD + BACKWARD)  # type: ignore[arg-type]
    return {
        "raster_ms": 1e3 * best,
        "raster_visible": seen,
        "raster_vs_reference": tiled / best,
        "raster_vs_scalar": scalar / best,
        "raster_gflops": work / best / 1e9,
        "peak_gflops": peak / 1e9,
        "raster_fma_share": work / best / peak,
        "threads": torch.get_num_threads(),
    }

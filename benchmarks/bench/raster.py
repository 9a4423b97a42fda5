"""The CPU rasteriser beside plain torch and plain Numba."""

from __future__ import annotations

import dataclasses
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test"))

from reference.raster import render_tiled
from reference.raster_numba import render_numba
from reference.raster_scenes import camera, leaves, pose, room

from benchmarks.bench.clock import seconds
from ig_ros.raster import ScreenStats, cpu_backend
from ig_ros.raster.library import Workspace
from ig_ros.raster.request import make_request
from ig_ros.types import Camera, GaussianBatch, RenderResult

Render = Callable[[GaussianBatch], RenderResult]
CHANNELS, VISIBLE, SIZE = 9, 20_000, (320, 240)
STAGES = ("project", "sort", "list per tile", "blend", "blend, backward", "project, backward")  # of ig_raster_seconds


def ours(T: object, view: Camera) -> Render:
    """Our rasteriser as a function of the Gaussians."""
    return lambda g: cpu_backend.render(make_request(g, T, view, 0.05, None, None), None)  # type: ignore[arg-type]


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
        cpu_backend.render(make_request(g, T, view, 0.05, None, None), screen)
        assert screen.visible is not None
        seen = int(screen.visible.sum())
        count = int(count * visible / max(seen, 1))
    return g, T, view, seen


def stage_seconds(workspace: Workspace) -> dict[str, float]:
    """What each stage of the last forward and the last backward pass took in a workspace, s."""
    found = np.empty(len(STAGES))
    workspace.library.call("ig_raster_seconds", workspace.handle, found)
    return dict(zip(STAGES, found.tolist(), strict=True))


def stages(g: GaussianBatch, T: object, view: Camera, repeats: int) -> dict[str, float]:
    """Median ms of each stage of a forward and a backward pass."""
    own, request = leaves(g), make_request(g, T, view, 0.05, None, None)  # type: ignore[arg-type]
    found = []
    for _ in range(repeats):
        result = cpu_backend.render(dataclasses.replace(request, gaussians=own), None)
        torch.autograd.backward((result.features.sum(), result.depth.sum(), result.alpha.sum()))
        found.append(stage_seconds(result.features.grad_fn.call.workspace))  # type: ignore[union-attr]
    return {stage: 1e3 * statistics.median(row[stage] for row in found) for stage in found[0]}


def measure(quick: bool) -> dict[str, object]:
    """Forward + backward, 9 channels + depth, 20,000 visible Gaussians, 320x240."""
    g, T, view, seen = scene(VISIBLE, SIZE)
    repeats = 5 if quick else 25
    own = seconds(both_ways(ours(T, view), g, SIZE), repeats, 3)
    tiled = seconds(both_ways(lambda x: render_tiled(x, T, view), g, SIZE), 1, 0 if quick else 1)  # type: ignore[arg-type]
    scalar = seconds(both_ways(lambda x: render_numba(x, T, view), g, SIZE), 1 if quick else 5, 1)  # type: ignore[arg-type]
    again = seconds(both_ways(ours(T, view), g, SIZE), repeats, 3)  # the machine may have changed its mind meanwhile
    best = min(own, again)
    return {
        "raster_ms": 1e3 * best,
        "raster_visible": seen,
        "raster_vs_reference": tiled / best,
        "raster_vs_scalar": scalar / best,
        "raster_stages_ms": stages(g, T, view, repeats),
        "threads": torch.get_num_threads(),
    }

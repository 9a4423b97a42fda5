"""A training step without compiled kernels: decoding, losses, statistics and Adam in torch, the raster in plain Numba.

For tests and for the comparison of what is learnt. The slow raster reports no gradients of projected means: growth has
nothing to go by, so a comparison trains without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import torch

from ig_ros.raster.adam import RowStep, adam_rows_torch
from ig_ros.scaffold import anchors, losses, trainer
from ig_ros.scaffold.decoder import Decoder
from ig_ros.types import Camera, FloatArray, GaussianBatch, RenderResult


@contextmanager
def plain_torch() -> Iterator[None]:
    """Everything but the raster in torch while the context lasts."""
    with (
        patch.object(Decoder, "forward", Decoder.reference),
        patch.object(trainer, "view_loss", losses.view_loss_torch),
        patch.object(anchors, "adam_rows", _adam),
    ):
        yield


@contextmanager
def plain_everything() -> Iterator[None]:
    """The raster too."""
    with plain_torch(), patch.object(trainer, "rasterize", plain_rasterize):
        yield


def _adam(rows: torch.Tensor, steps: Sequence[RowStep]) -> None:
    with torch.no_grad():
        for step in steps:
            adam_rows_torch(rows, step)


def plain_rasterize(
    gaussians: GaussianBatch,
    T_world_camera: torch.Tensor | FloatArray,
    camera: Camera,
    *,
    near: float = 0.05,
    screen: object = None,
    gated_channels: slice | None = None,
    geometry_gate: torch.Tensor | None = None,
) -> RenderResult:
    """rasterize() by test/reference/raster_numba.py; gated channels by a second render of gated geometry."""
    from reference.raster_numba import render_numba  # here: only the benchmark needs Numba

    pose = np.asarray(T_world_camera)
    whole = render_numba(gaussians, pose, camera, near)
    if gated_channels is None or geometry_gate is None:
        return whole

    def share(t: torch.Tensor) -> torch.Tensor:
        m = geometry_gate.view(-1, *[1] * (t.ndim - 1))
        return t.detach() + m * (t - t.detach())

    g = gaussians
    half = GaussianBatch(share(g.means), share(g.quats), share(g.scales), share(g.opacities), g.features, g.anchors)
    features = whole.features.clone()
    features[..., gated_channels] = render_numba(half, pose, camera, near).features[..., gated_channels]
    return RenderResult(features, whole.depth, whole.alpha)

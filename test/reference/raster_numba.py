"""A plain Numba rasteriser, one thread, one pixel after the other: what one gets by compiling the obvious loops.

Projection and its gradient are torch's (raster.py); lists per tile, blending and its gradient are loops.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import torch
from reference.raster import BLUR, MIN_ALPHA, MIN_TRANSMITTANCE, front_to_back, project, select

from ig_ros.raster.request import MAX_ALPHA
from ig_ros.types import Camera, GaussianBatch, RenderResult

TILE = 16
assert BLUR > 0  # covariances are never singular


@numba.njit(cache=True)
def tile_lists(low: Any, high: Any, wide: int, tall: int) -> Any:
    """Start (T + 1,) and rows of the Gaussians of each tile, in the order given; low, high (N, 2) tile ranges."""
    count = np.zeros(wide * tall + 1, np.int64)
    for g in range(len(low)):
        for ty in range(max(low[g, 1], 0), min(high[g, 1], tall - 1) + 1):
            for tx in range(max(low[g, 0], 0), min(high[g, 0], wide - 1) + 1):
                count[ty * wide + tx + 1] += 1
    start = np.cumsum(count)
    rows, place = np.empty(start[-1], np.int64), start.copy()
    for g in range(len(low)):
        for ty in range(max(low[g, 1], 0), min(high[g, 1], tall - 1) + 1):
            for tx in range(max(low[g, 0], 0), min(high[g, 0], wide - 1) + 1):
                rows[place[ty * wide + tx]] = g
                place[ty * wide + tx] += 1
    return start, rows


@numba.njit(cache=True)
def blend(mean: Any, inverse: Any, opacity: Any, value: Any, start: Any, rows: Any, height: int, width: int) -> Any:
    """Images (H, W, C), transmittance left (H, W), end of each pixel's list, and how many blends were made."""
    wide, channels = (width + TILE - 1) // TILE, value.shape[1]
    image = np.zeros((height, width, channels), np.float32)
    left, end = np.ones((height, width), np.float32), np.zeros((height, width), np.int64)
    blends = 0
    for y in range(height):
        for x in range(width):
            tile = (y // TILE) * wide + x // TILE
            remaining, last = np.float32(1.0), start[tile]
            for i in range(start[tile], start[tile + 1]):
                g = rows[i]
                dx, dy = np.float32(x + 0.5) - mean[g, 0], np.float32(y + 0.5) - mean[g, 1]
                sigma = 0.5 * (inverse[g, 0] * dx * dx + inverse[g, 2] * dy * dy) + inverse[g, 1] * dx * dy
                alpha = min(np.float32(MAX_ALPHA), opacity[g] * np.exp(-sigma))
                if alpha < MIN_ALPHA:
                    continue
                if remaining * (1 - alpha) < MIN_TRANSMITTANCE:
                    break
                for c in range(channels):
                    image[y, x, c] += remaining * alpha * value[g, c]
                remaining *= 1 - alpha
                last = i + 1
                blends += 1
            left[y, x], end[y, x] = remaining, last
    return image, left, end, blends


@numba.njit(cache=True)
def unblend(
    mean: Any, inverse: Any, opacity: Any, value: Any, start: Any, rows: Any, left: Any, end: Any, upstream: Any
) -> Any:
    """Gradients of mean, inverse, opacity and value from those of the images (H, W, C), from back to front."""
    height, width, channels = upstream.shape
    wide = (width + TILE - 1) // TILE
    d_mean, d_inverse = np.zeros_like(mean), np.zeros_like(inverse)
    d_opacity, d_value = np.zeros_like(opacity), np.zeros_like(value)
    behind = np.zeros(channels, np.float32)
    for y in range(height):
        for x in range(width):
            tile = (y // TILE) * wide + x // TILE
            remaining = left[y, x]
            behind[:] = 0.0
            for i in range(end[y, x] - 1, start[tile] - 1, -1):
                g = rows[i]
                dx, dy = np.float32(x + 0.5) - mean[g, 0], np.float32(y + 0.5) - mean[g, 1]
                sigma = 0.5 * (inverse[g, 0] * dx * dx + inverse[g, 2] * dy * dy) + inverse[g, 1] * dx * dy
                shape = np.exp(-sigma)
                alpha = min(np.float32(MAX_ALPHA), opacity[g] * shape)
                if alpha < MIN_ALPHA:
                    continue
                remaining /= 1 - alpha
                d_alpha = np.float32(0.0)
                for c in range(channels):
                    d_value[g, c] += remaining * alpha * upstream[y, x, c]
                    d_alpha += (value[g, c] - behind[c]) * remaining * upstream[y, x, c]
                    behind[c] = alpha * value[g, c] + (1 - alpha) * behind[c]
                if alpha >= np.float32(MAX_ALPHA):
                    continue
                d_opacity[g] += shape * d_alpha
                d_sigma = -alpha * d_alpha
                d_mean[g, 0] -= d_sigma * (inverse[g, 0] * dx + inverse[g, 1] * dy)
                d_mean[g, 1] -= d_sigma * (inverse[g, 2] * dy + inverse[g, 1] * dx)
                d_inverse[g, 0] += d_sigma * 0.5 * dx * dx
                d_inverse[g, 1] += d_sigma * dx * dy
                d_inverse[g, 2] += d_sigma * 0.5 * dy * dy
    return d_mean, d_inverse, d_opacity, d_value


class Blend(torch.autograd.Function):
    """The loops as one differentiable operation."""

    @staticmethod
    def forward(ctx: Any, mean: Any, inverse: Any, opacity: Any, value: Any, lists: Any, size: Any) -> torch.Tensor:
        arrays = [t.detach().contiguous().numpy() for t in (mean, inverse, opacity, value)]
        image, left, end, _ = blend(*arrays, *lists, *size)
        ctx.arrays, ctx.lists, ctx.ends = arrays, lists, (left, end)
        return torch.from_numpy(image)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> Any:
        gradients = unblend(*ctx.arrays, *ctx.lists, *ctx.ends, upstream[0].contiguous().numpy())
        return *(torch.from_numpy(g) for g in gradients), None, None


def lists_of(p: Any, opacities: torch.Tensor, camera: Camera) -> Any:
    """Per tile the Gaussians (sorted near to far) whose box reaches it."""
    with torch.no_grad():
        reach = (2 * torch.log((opacities * 255).clamp_min(1.0001)))[:, None] * p.covariance[:, [0, 2]]
        low = ((p.means - reach.sqrt()) / TILE).floor().clamp(-1e6, 1e6).long().numpy()
        high = ((p.means + reach.sqrt()) / TILE).floor().clamp(-1e6, 1e6).long().numpy()
    return tile_lists(low, high, math.ceil(camera.width / TILE), math.ceil(camera.height / TILE))


def render_numba(g: GaussianBatch, T_world_camera: np.ndarray, camera: Camera, near: float = 0.05) -> RenderResult:
    """Like reference.raster.render, float32."""
    p = project(g, T_world_camera, camera)
    order = front_to_back(p.depth, near)
    p, opacities = select(p, order), g.opacities[order]
    value = torch.cat([g.features[order], p.depth[:, None], torch.ones_like(p.depth)[:, None]], 1)
    size = (camera.height, camera.width)
    image = Blend.apply(p.means, p.inverse, opacities, value, lists_of(p, opacities, camera), size)
    return RenderResult(image[..., :-2], image[..., -2], image[..., -1])


def count_blends(g: GaussianBatch, T_world_camera: np.ndarray, camera: Camera, near: float = 0.05) -> int:
    """How many times a Gaussian is blended into a pixel."""
    with torch.no_grad():
        p = project(g, T_world_camera, camera)
        order = front_to_back(p.depth, near)
        p, opacities = select(p, order), g.opacities[order]
        arrays = [t.contiguous().numpy() for t in (p.means, p.inverse, opacities, g.features[order])]
        return int(blend(*arrays, *lists_of(p, opacities, camera), camera.height, camera.width)[3])

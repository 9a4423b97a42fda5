"""Gaussians as the PLY of 3D Gaussian splatting [Kerbl et al. 2023], which SuperSplat and others open.

A vertex per Gaussian with float32 properties in this order: x y z, nx ny nz (0), f_dc_0..2 (degree 0 of the spherical
harmonics), opacity (before the sigmoid), scale_0..2 (logarithm of metres), rot_0..3 (w, x, y, z). No f_rest: the
colour is the same from all sides, and a reader takes the degree from the number of properties.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ig_ros.colors import id_colors
from ig_ros.export.clouds import write_ply
from ig_ros.types import FloatArray, GaussianBatch, IntArray

SH_0 = 0.28209479177387814  # the constant spherical harmonic, 1 / (2 sqrt(pi))
LIMITS = torch.finfo(torch.float32)  # opacities stay eps from 0 and 1, scales above tiny: logarithms stay finite
PROPERTIES = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)


class Axes(Enum):
    """Which way is up in the file."""

    MAP = "map"  # as in the map: z up
    VIEWER = "viewer"  # -y up, as splat viewers expect of what was made from photographs


def write_splats(path: Path, gaussians: GaussianBatch, axes: Axes = Axes.MAP) -> int:
    """Writes N Gaussians, their colours the first three features; returns N. Raises StorageError.

    A rotation of the whole map needs no spherical harmonics to be turned: there is only degree 0.
    """
    table = np.zeros(len(gaussians.means), dtype=[(name, "<f4") for name in PROPERTIES])
    for name, column in zip(PROPERTIES, columns(gaussians, axes).T, strict=True):
        table[name] = column
    return write_ply(path, table, {})


def painted(gaussians: GaussianBatch, point_ids: IntArray) -> GaussianBatch:
    """Returns the Gaussians in the colours of their objects, ids (N,), grey where there is none."""
    color = np.where((point_ids > 0)[:, None], id_colors(point_ids), np.uint8(90)).astype(np.float32) / 255
    return dataclasses.replace(gaussians, features=torch.from_numpy(color))


def chosen(gaussians: GaussianBatch, rows: npt.NDArray[np.bool_]) -> GaussianBatch:
    """Returns the Gaussians of a mask (N,)."""
    return gaussians.rows(torch.from_numpy(rows))


def columns(gaussians: GaussianBatch, axes: Axes) -> FloatArray:
    """Returns (N, 17) float32 in the order of PROPERTIES."""
    means, quats = torch.from_numpy(gaussians.world_means()), gaussians.quats.detach().cpu()
    if axes is Axes.VIEWER:
        means, quats = y_down(means, quats)
    quats = torch.nn.functional.normalize(quats, dim=1)
    opacity = gaussians.opacities.detach().cpu().clamp(LIMITS.eps, 1 - LIMITS.eps)
    parts = (
        means,
        torch.zeros_like(means),
        (gaussians.features[:, :3].detach().cpu().clamp(0, 1) - 0.5) / SH_0,
        torch.logit(opacity)[:, None],
        gaussians.scales.detach().cpu().clamp_min(LIMITS.tiny).log(),
        quats,
    )
    table: FloatArray = torch.cat(parts, dim=1).to(torch.float32).numpy()
    return table


def y_down(means: torch.Tensor, quats: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Turns the map (z up) by 90 degrees about x, so that -y is up: means (N, 3), quats (N, 4) wxyz of any length."""
    x, y, z = means.unbind(1)
    w, i, j, k = quats.unbind(1)
    return torch.stack([x, -z, y], dim=1), torch.stack([w - i, w + i, j - k, j + k], dim=1)

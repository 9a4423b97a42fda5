"""gsplat.rasterization (1.5) in plain torch: its contract by the slow reference's maths, for machines without a GPU."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from reference import raster as reference

from ig_ros.types import Camera, GaussianBatch


def rasterization(
    means: torch.Tensor, quats: torch.Tensor, scales: torch.Tensor, opacities: torch.Tensor, colors: torch.Tensor,
    viewmats: torch.Tensor, Ks: torch.Tensor, width: int, height: int, near_plane: float = 0.01, eps2d: float = 0.3,
    packed: bool = True, render_mode: str = "RGB",
) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:  # fmt: skip
    """gsplat.rasterization (1.5) for one camera: the same names, shapes and conventions."""
    assert viewmats.shape == (1, 4, 4)
    assert Ks.shape == (1, 3, 3)
    assert not packed
    assert eps2d == reference.BLUR
    g = GaussianBatch(means, quats, scales, opacities, colors, torch.zeros(len(means)))
    view = Camera(Ks[0].numpy(), width, height)
    p = reference.project(g, torch.linalg.inv(viewmats[0].double()).numpy(), view)
    means2d = p.means[None]
    p = dataclasses.replace(p, means=means2d[0])
    order = reference.front_to_back(p.depth, near_plane)
    pixels = reference.pixel_centers(0, 0, height, width, means)
    weights = reference.blend_weights(reference.select(p, order), opacities[order], pixels)
    values = {"RGB": colors, "D": p.depth[:, None], "RGB+D": torch.cat([colors, p.depth[:, None]], 1)}[render_mode]
    radii = torch.zeros(1, len(means), 2, dtype=torch.int32)
    radii[0, order[weights.detach().amax(0) > 0]] = 3
    image = (weights @ values[order]).view(1, height, width, -1)
    return image, weights.sum(1).view(1, height, width, 1), {"radii": radii, "means2d": means2d}

"""Gaussians and cameras for the raster tests."""

from __future__ import annotations

import math

import numpy as np
import torch

from ig_ros.types import Camera, GaussianBatch


def room(n: int, channels: int, seed: int = 0, size: float = 1.0) -> GaussianBatch:
    """Random Gaussians on the six faces of a 6 x 6 x 3 m room."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    extent = torch.tensor([6.0, 6.0, 3.0])
    means = uniform(n, 3) * extent
    face = torch.randint(6, (n,), generator=generator)
    rows = torch.arange(n)
    means[rows, face // 2] = torch.where(face % 2 == 1, extent[face // 2], torch.zeros(n))
    means += 0.01 * torch.randn(n, 3, generator=generator)
    quats = torch.randn(n, 4, generator=generator)
    scales = size * (0.015 + 0.025 * uniform(n, 3))
    opacities = 0.3 + 0.65 * uniform(n)
    return GaussianBatch(means, quats, scales, opacities, uniform(n, channels), torch.arange(n))


def camera(width: int, height: int, field_of_view: float = 69.0) -> Camera:
    """Pinhole camera; field_of_view horizontal, degrees. Off-centre by a pixel to tell x from y."""
    f = 0.5 * width / math.tan(math.radians(field_of_view / 2))
    return Camera(np.array([[f, 0, width / 2 + 0.7], [0, 1.1 * f, height / 2 - 0.4], [0, 0, 1]]), width, height)


def pose(yaw: float = 0.6, position: tuple[float, float, float] = (1.5, 1.5, 1.4)) -> np.ndarray:
    """Camera-to-world in the room, looking along yaw (rad) and a little down."""
    forward = np.array([math.cos(yaw), math.sin(yaw), -0.1])
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
    T[:3, 3] = position
    return T


def leaves(g: GaussianBatch, dtype: torch.dtype = torch.float32) -> GaussianBatch:
    """A copy whose five tensors collect gradients."""
    fields = (g.means, g.quats, g.scales, g.opacities, g.features)
    return GaussianBatch(*(t.detach().clone().to(dtype).requires_grad_() for t in fields), g.anchors)

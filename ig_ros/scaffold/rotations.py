"""Rotations of anchors as unit quaternions (..., 4) wxyz."""

from __future__ import annotations

import torch

IDENTITY = torch.tensor([1.0, 0.0, 0.0, 0.0])


def compose(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Returns the Hamilton product (..., 4): `second`, then `first`. `second` need not be normalised."""
    w1, x1, y1, z1 = first.unbind(-1)
    w2, x2, y2, z2 = second.unbind(-1)
    return torch.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        dim=-1,
    )


def rotate(rotation: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Rotates vectors (..., 3) by unit quaternions (..., 4)."""
    axis = rotation[..., 1:].expand_as(vector)
    twice: torch.Tensor = 2 * torch.linalg.cross(axis, vector)
    rotated: torch.Tensor = vector + rotation[..., :1] * twice + torch.linalg.cross(axis, twice)
    return rotated


def inverse(rotation: torch.Tensor) -> torch.Tensor:
    """Returns the inverse of unit quaternions (..., 4)."""
    return rotation * rotation.new_tensor([1.0, -1.0, -1.0, -1.0])

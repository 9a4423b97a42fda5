"""Rotations of anchors as unit quaternions (..., 4) wxyz: what turns everything an anchor decodes."""

from __future__ import annotations

import torch


def compose(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Hamilton product (..., 4): the rotation `second`, then `first`. `second` need not be normalised."""
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


def rotate(turn: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Vectors (..., 3) rotated by unit quaternions (..., 4)."""
    axis = turn[..., 1:].expand_as(vector)
    twice: torch.Tensor = 2 * torch.linalg.cross(axis, vector)
    turned: torch.Tensor = vector + turn[..., :1] * twice + torch.linalg.cross(axis, twice)
    return turned


def undo(turn: torch.Tensor) -> torch.Tensor:
    """The inverse of unit quaternions (..., 4)."""
    return turn * turn.new_tensor([1.0, -1.0, -1.0, -1.0])

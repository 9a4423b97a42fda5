"""Which ground the keyframes have seen, as coarse cells of space: a frame that shows other ground shows something new.

Rendered opacity would tell the same, but the model belongs to the training thread and costs a rendering per frame.
"""

from __future__ import annotations

import numpy as np

from ig_ros.geometry import back_project, transform
from ig_ros.types import FloatArray, Frame, IntArray

CELL = 0.25  # m: noise of depth and pose stays within a cell and its neighbours
GRID = 32  # pixels looked at along the longer side of an image
LEAST = 50  # measured pixels of those, below which a frame says nothing
CAPACITY = 400_000  # cells; the oldest half is forgotten beyond
AROUND = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), -1).reshape(-1, 3)


class SeenArea:
    """Cells in which keyframes have measured a surface, with the cells around them."""

    def __init__(self) -> None:
        self._cells: dict[int, None] = {}  # in order of arrival

    def new_share(self, frame: Frame) -> float:
        """Share of the frame's measured pixels in cells not seen before; 0 without depth."""
        points = sample_points(frame)
        if len(points) < LEAST:
            return 0.0
        keys = cell_keys(cells_of(points)).tolist()
        return sum(key not in self._cells for key in keys) / len(keys)

    def add(self, frame: Frame) -> None:
        """A keyframe has seen its part."""
        cells = np.unique(cells_of(sample_points(frame)), axis=0)
        self._cells.update(dict.fromkeys(np.unique(cell_keys(cells[:, None] + AROUND)).tolist()))
        if len(self._cells) > CAPACITY:
            self._cells = dict.fromkeys(list(self._cells)[len(self._cells) // 2 :])


def sample_points(frame: Frame) -> FloatArray:
    """(P, 3) m world: the measured surface at a grid of pixels."""
    if frame.depth is None:
        return np.zeros((0, 3))
    stride = max(1, max(frame.camera.width, frame.camera.height) // GRID)
    rows, cols = (a.ravel() for a in np.mgrid[0 : frame.camera.height : stride, 0 : frame.camera.width : stride])
    depth = frame.depth[rows, cols]
    good = np.isfinite(depth) & (depth > 0)
    return transform(frame.T_world_camera, back_project(frame.depth, frame.camera, rows[good], cols[good]))


def cells_of(points: FloatArray) -> IntArray:
    """(P, 3) cell of each point (P, 3) m."""
    cells: IntArray = np.floor(points / CELL).astype(np.int64)
    return cells


def cell_keys(cells: IntArray) -> IntArray:
    """(...,) one number per cell (..., 3), 20 bits per axis (130 km)."""
    low = cells & 0xFFFFF
    keys: IntArray = low[..., 0] << 40 | low[..., 1] << 20 | low[..., 2]
    return keys

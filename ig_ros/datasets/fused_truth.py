"""The truth of a scene fused from depth and instance images, where no labelled mesh comes with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ig_ros.geometry import back_project, transform
from ig_ros.types import Camera, FloatArray, IntArray

VOXEL = 0.015  # m, about the spacing of ScanNet's vertices
COLUMNS = 400  # of an image that take part at least: at the distances of a room a few pixels per voxel
BATCH = 10  # views sorted together: fewer sorts of all voxels, for 100 MB


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One view with exact instances."""

    depth: FloatArray  # (H, W) m, 0 = unknown
    ids: IntArray  # (H, W) instance ids, 0 = unlabelled
    camera: Camera
    T_world_camera: FloatArray  # (4, 4)

    def voxels(self) -> tuple[IntArray, FloatArray]:
        """Returns, of an even part of the pixels with depth, voxel and id (N, 4), and world point and 1 (N, 4)."""
        height, width = self.depth.shape
        stride = max(1, width // COLUMNS)
        rows, cols = (grid.ravel() for grid in np.mgrid[0:height:stride, 0:width:stride])
        known = self.depth[rows, cols] > 0
        rows, cols = rows[known], cols[known]
        points = transform(self.T_world_camera, back_project(self.depth, self.camera, rows, cols))
        cells = np.rint(points / VOXEL).astype(np.int64)  # centred: a floor at z = 0 stays one layer
        return np.column_stack([cells, self.ids[rows, cols]]), np.column_stack([points, np.ones(len(points))])


def fuse(views: Iterable[InstanceView]) -> tuple[FloatArray, IntArray]:
    """Returns points (P, 3) float32 m, one per voxel that some view measures, and ids (P,) int32 by majority of pixels.

    A point is the mean of its voxel's measurements. Unlabelled pixels (0) vote too: what is mostly unlabelled stays so.
    """
    cells: IntArray = np.zeros((0, 4), np.int64)  # voxel and id, in order
    sums: FloatArray = np.zeros((0, 4))  # of the points there and their number
    remaining = (view.voxels() for view in views)
    while batch := list(islice(remaining, BATCH)):
        cells = np.concatenate([cells, *(seen for seen, _ in batch)])
        sums = np.concatenate([sums, *(measured for _, measured in batch)])
        order = np.lexsort(cells.T[::-1])
        starts = _starts(cells[order])
        cells, sums = cells[order][starts], np.add.reduceat(sums[order], starts, axis=0)
    if not len(cells):
        return np.zeros((0, 3), np.float32), np.zeros(0, np.int32)
    order = np.lexsort((-sums[:, 3], *cells.T[2::-1]))  # the largest vote first in each voxel
    starts = _starts(cells[order, :3])
    totals = np.add.reduceat(sums[order], starts, axis=0)
    return (totals[:, :3] / totals[:, 3:]).astype(np.float32), cells[order][starts, 3].astype(np.int32)


def _starts(rows: IntArray) -> IntArray:
    """Returns the places (K,) of sorted rows (N, C) that differ from the row before."""
    new = np.ones(len(rows), bool)
    new[1:] = (np.diff(rows, axis=0) != 0).any(axis=1)
    return np.flatnonzero(new)

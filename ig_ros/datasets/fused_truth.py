"""Truth points where a dataset has instance images but no annotated mesh: the images fused on a voxel grid."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np

from ig_ros.geometry import back_project, transform
from ig_ros.types import Camera, FloatArray, IntArray

VOXEL = 0.015  # m, about the spacing of ScanNet's vertices
COLUMNS = 400  # about as many of an image take part: at the distances of a room a few per voxel
BATCH = 10  # views sorted in one go: fewer sorts of the whole grid, for 100 MB
MARGIN = 10  # m beyond the camera; nothing of a room is further
OFFSET, BITS = 1 << 19, 20  # voxel coordinates as three fields of one integer, +-7.8 km

View = tuple[FloatArray, IntArray, Camera, FloatArray]  # depth (H, W) m, ids (H, W), camera, T_world_camera


def fuse(views: Iterable[View]) -> tuple[FloatArray, IntArray]:
    """Points (P, 3) float32 m, one per voxel that some view measures, and their ids (P,) int32 by majority of pixels.

    A point is the mean of its voxel's measurements. Unlabelled pixels (0) vote too: what is mostly unlabelled stays so.
    """
    voxels: IntArray = np.zeros(0, np.int64)
    ids: IntArray = np.zeros(0, np.int64)
    sums: FloatArray = np.zeros((0, 4))  # of the points and their number, per voxel and id
    measured = (_measured(*view) for view in views)
    while batch := list(islice(measured, BATCH)):
        points = np.concatenate([points for points, _ in batch])
        labels = [labels for _, labels in batch]
        rows = np.concatenate([points, np.ones((len(points), 1))], axis=1)
        voxels, ids, sums = _reduced(
            np.concatenate([voxels, _voxel(points)]), np.concatenate([ids, *labels]), np.concatenate([sums, rows])
        )
    if not len(voxels):
        return np.zeros((0, 3), np.float32), np.zeros(0, np.int32)
    order = np.lexsort((-sums[:, 3], voxels))  # the largest vote first in each voxel
    first = np.unique(voxels[order], return_index=True)[1]
    totals = np.add.reduceat(sums[order], first, axis=0)
    return (totals[:, :3] / totals[:, 3:]).astype(np.float32), ids[order][first].astype(np.int32)


def _measured(depth: FloatArray, image: IntArray, camera: Camera, pose: FloatArray) -> tuple[FloatArray, IntArray]:
    """World points (N, 3) and ids (N,) of an even part of the pixels with depth."""
    stride = max(1, depth.shape[1] // COLUMNS)
    rows, cols = (grid.ravel() for grid in np.mgrid[0 : depth.shape[0] : stride, 0 : depth.shape[1] : stride])
    z = depth[rows, cols]
    kept = (z > 0) & (z < MARGIN)
    rows, cols = rows[kept], cols[kept]
    return transform(pose, back_project(depth, camera, rows, cols)), image[rows, cols].astype(np.int64)


def _voxel(points: FloatArray) -> IntArray:
    x, y, z = (np.rint(points / VOXEL).astype(np.int64) + OFFSET).T  # centred: a floor at z = 0 stays one layer
    keys: IntArray = (x << 2 * BITS) | (y << BITS) | z
    return keys


def _reduced(voxels: IntArray, ids: IntArray, sums: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """One row per voxel and id."""
    order = np.lexsort((ids, voxels))
    voxels, ids = voxels[order], ids[order]
    new = np.ones(len(voxels), bool)
    new[1:] = (np.diff(voxels) != 0) | (np.diff(ids) != 0)
    starts = np.flatnonzero(new)
    if not len(starts):
        return voxels, ids, sums
    return voxels[starts], ids[starts], np.add.reduceat(sums[order], starts, axis=0)

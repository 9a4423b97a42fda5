"""Oriented boxes that stand upright: planners want to know which way an object is turned on its table."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ig_ros.types import FloatArray

TRIM = 1.0  # percent of the points on each side taken for stray
NEIGHBOR, REACH = 8, 2.0  # points are of one piece within so many times the usual distance to the eighth neighbour
STRAY = 0.05  # of the points: what is less is stray
SAMPLE = 2000  # points that pieces are looked for in


def upright_box(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Pose (4, 4) of the centre and full size (3,) in metres of the tightest upright box about points (N, 3).

    The box's x axis is the longer of the two horizontal ones. Stray points (small pieces that lie apart, and 1 % on
    every side) do not count.
    """
    points = mainland(points)
    low, high = np.percentile(points, [TRIM, 100 - TRIM], axis=0)
    core = points[((points >= low) & (points <= high)).all(1)]
    if len(core) < 3:
        core = points
    (center, (width, depth), angle) = cv2.minAreaRect(core[:, :2].astype(np.float32))
    yaw = np.radians(angle)
    if depth > width:
        width, depth, yaw = depth, width, yaw + np.pi / 2
    yaw = (yaw + np.pi / 2) % np.pi - np.pi / 2
    bottom, top = core[:, 2].min(), core[:, 2].max()
    T = np.eye(4)
    T[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    T[:3, 3] = [center[0], center[1], (bottom + top) / 2]
    return T, np.array([width, depth, top - bottom])


def mainland(points: FloatArray) -> FloatArray:
    """Of points (N, 3) m those of pieces that are no small islands; of many a sample that is spread evenly."""
    sample = points[:: -(-len(points) // SAMPLE)] if len(points) else points
    if len(sample) <= 2 * NEIGHBOR:
        return points
    tree = cKDTree(sample)
    reach = REACH * float(np.median(tree.query(sample, NEIGHBOR + 1)[0][:, -1]))
    a, b = tree.query_pairs(reach, output_type="ndarray").T
    piece = connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(len(sample),) * 2), directed=False)[1]
    large = np.bincount(piece) >= STRAY * len(sample)
    kept: FloatArray = sample[large[piece]]
    return kept if len(kept) >= len(sample) / 2 else points

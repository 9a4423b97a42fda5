"""Where sub-objects touch, and how the surface runs across: on smoothly, or through a crease or a change of colour.

Segmenters that err repeatedly agree with themselves, view after view; the shape of the surface does not depend on them.
A thing that stands on another meets it in a concave crease (after LCCP, Stein et al., CVPR 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from ig_ros.instances.observations import LabelledView, visible_points
from ig_ros.types import FloatArray, IntArray

NEIGHBORS = 10  # nearest points looked at
SMOOTH = 5  # px, window over which a depth image's slope is taken
JUMP = 0.04  # relative depth difference between pixels that are not on one surface
CREASE = 0.35  # sine-like measure of concavity at which a crease is half believed
COLOR_STEP = 0.22  # RGB distance at which a change of colour is half believed


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Touching pairs of sub-objects."""

    pairs: IntArray  # (E, 2) s < t
    length: FloatArray  # (E,) contacts: pairs of points across
    smooth: FloatArray  # (E,) sum over them of the belief in [0, 1] that the surface goes on


def surface_normals(points: FloatArray, views: Sequence[LabelledView], tolerance: float) -> FloatArray:
    """(P, 3) unit normals towards the cameras, averaged over the views that see a point; zero where none does."""
    total = np.zeros((len(points), 3), np.float32)
    for view in views:
        index, pixel = visible_points(points, view, tolerance)
        normal = _normal_image(view).reshape(-1, 3)[pixel]
        total[index] += normal @ view.T_world_camera[:3, :3].T.astype(np.float32)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    unit: FloatArray = total / np.maximum(length, 1e-6)
    return unit


def _normal_image(view: LabelledView) -> FloatArray:
    """(H, W, 3) float32 normals in the camera frame, zero where the depth is unknown or jumps."""
    K = view.camera.K
    depth = np.asarray(view.depth, np.float32)
    valid = (depth > 0).astype(np.float32)
    weight = cv2.blur(valid, (3, 3))
    z = cv2.blur(depth * valid, (3, 3)) / np.maximum(weight, 1e-6)
    cols, rows = np.meshgrid(np.arange(depth.shape[1]), np.arange(depth.shape[0]))
    xyz = np.stack([(cols - K[0, 2]) / K[0, 0] * z, (rows - K[1, 2]) / K[1, 1] * z, z], axis=2).astype(np.float32)
    dx, dy = cv2.Sobel(xyz, cv2.CV_32F, 1, 0, ksize=3) / 8, cv2.Sobel(xyz, cv2.CV_32F, 0, 1, ksize=3) / 8
    normal = np.cross(dy, dx)
    span = cv2.dilate(z, np.ones((3, 3))) - cv2.erode(z, np.ones((3, 3)))
    bad = (weight < 0.99) | (span > JUMP * z)
    normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-9)
    normal[bad] = 0
    normal[(normal * xyz).sum(2) > 0] *= -1
    return normal


def boundaries(
    xyz: FloatArray, normal: FloatArray, color: FloatArray, reach: FloatArray, labels: IntArray, voxel: float
) -> Boundaries:
    """Pairs of sub-objects with points within reach of each other. All (P, ...) of the same points; reach (P,) m."""
    cell = np.floor(xyz / voxel).astype(np.int64)
    cell -= cell.min(0)
    span = cell.max(0) + 1
    key = ((labels.astype(np.int64) * span[0] + cell[:, 0]) * span[1] + cell[:, 1]) * span[2] + cell[:, 2]
    first, group, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)[1:]
    mean = [
        np.stack([np.bincount(group, weights=c) for c in a.T], axis=1) / count[:, None] for a in (xyz, normal, color)
    ]
    p, n, c = mean
    owner, r = labels[first], reach[first]
    k = min(NEIGHBORS, len(p))
    distance, neighbor = cKDTree(p).query(p, k=k)
    near = (distance <= np.maximum(r[:, None], r[neighbor])) & (owner[:, None] != owner[neighbor])
    i, j = np.repeat(np.arange(len(p)), k).reshape(-1, k)[near], neighbor[near]
    smooth = _smooth(p[i], p[j], n[i], n[j], c[i], c[j])
    pair = np.sort(np.stack([owner[i], owner[j]], axis=1), axis=1).astype(np.int64)
    size = int(labels.max()) + 1
    code, where = np.unique(pair[:, 0] * size + pair[:, 1], return_inverse=True)
    pairs = np.stack([code // size, code % size], axis=1)
    return Boundaries(
        pairs, np.bincount(where).astype(np.float64), np.asarray(np.bincount(where, weights=smooth), np.float64)
    )


def _smooth(p: FloatArray, q: FloatArray, n: FloatArray, m: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
    """(E,) belief that the surface goes on from p to q: no concave crease, no step of colour."""
    along = (q - p) / np.maximum(np.linalg.norm(q - p, axis=1, keepdims=True), 1e-6)
    concavity = ((n - m) * along).sum(1)  # of unit normals: 2 sin(half the angle) for a crease
    crease = 1 / (1 + np.exp(-8 * (concavity - CREASE)))
    step = 1 / (1 + np.exp(-20 * (np.linalg.norm(c - d, axis=1) - COLOR_STEP)))
    smooth: FloatArray = (1 - crease) * (1 - step)
    return smooth

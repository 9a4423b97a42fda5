"""Where sub-objects touch, and how the surface runs across: on smoothly, or through a crease or a change of colour.

Segmenters that err repeatedly agree with themselves, view after view; the shape of the surface does not depend on them.
A thing that stands on another meets it in a concave crease (after LCCP, Stein et al., CVPR 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from ig_ros.config import InstanceConfig
from ig_ros.instances.visibility import LabelledView
from ig_ros.types import FloatArray, IntArray

CREASE = 0.35, 8.0  # concavity, of unit normals 2 sin(half the angle), at which a crease is half believed, sharpness
COLOR_STEP = 0.22, 20.0  # RGB distance at which a change of colour is half believed, sharpness


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Touching pairs of sub-objects."""

    pairs: IntArray  # (E, 2) s < t
    length: FloatArray  # (E,) contacts: pairs of points across
    smooth: FloatArray  # (E,) sum over them of the belief in [0, 1] that the surface goes on


def normal_image(view: LabelledView, tolerance: float) -> FloatArray:
    """Returns (H, W, 3) float32 normals in the camera frame, zero where the depth is unknown or jumps.

    It jumps where it differs between neighbouring pixels by more than `tolerance`, a share of it.
    """
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
    bad = (weight < 0.99) | (span > tolerance * z)
    normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-9)
    normal[bad] = 0
    normal[(normal * xyz).sum(2) > 0] *= -1
    return normal


def find_boundaries(
    xyz: FloatArray, normal: FloatArray, color: FloatArray, reach: FloatArray, labels: IntArray, config: InstanceConfig
) -> Boundaries:
    """Returns the pairs of sub-objects with points within reach of each other, and how the surface runs across.

    xyz, normal, color (P, 3), reach (P,) m, labels (P,) sub-objects; points of one sub-object in a voxel are taken
    together.
    """
    key = labels.astype(np.int64)
    for column in xyz.T:
        cell = np.floor(column / config.voxel).astype(np.int64)
        cell -= cell.min()
        key = key * (cell.max() + 1) + cell
    first, group = _equal(key)
    p, n, c = _means(group, len(first), (xyz, normal, color))
    owner, r = labels[first].astype(np.int32), reach[first]
    i, j = contacts(p, r, owner, nearest_points(p, min(config.vote_neighbors, len(p))))
    return _by_pair(owner[i], owner[j], smoothness(p, n, c, i, j))


def nearest_points(xyz: FloatArray, count: int) -> IntArray:
    """Returns (P, count) rows of the nearest points (P, 3) m of each point, itself first; count is at most P."""
    tree = cKDTree(xyz, balanced_tree=False, compact_nodes=False)  # asked once: building it is most of the time
    return np.asarray(tree.query(xyz, k=count, workers=torch.get_num_threads())[1]).reshape(-1, count)


def contacts(position: FloatArray, reach: FloatArray, owner: IntArray, neighbor: IntArray) -> tuple[IntArray, IntArray]:
    """Rows i and j (C,) of the points with a neighbour of another group within the larger reach of both.

    position (P, 3) m, reach (P,) m, owner (P,) group of each point, neighbor (P, k) rows.
    """
    place = np.flatnonzero((owner[neighbor] != owner[:, None]).ravel())
    i, j = place // max(neighbor.shape[1], 1), neighbor.ravel()[place]
    touching = ((position[j] - position[i]) ** 2).sum(1) <= np.maximum(reach[i], reach[j]) ** 2
    return i[touching], j[touching]


def smoothness(position: FloatArray, normal: FloatArray, color: FloatArray, i: IntArray, j: IntArray) -> FloatArray:
    """(C,) belief in [0, 1] that the surface goes on from points i to j: no concave crease, no change of colour.

    position (P, 3) m, normal (P, 3) unit or zero, color (P, 3) in [0, 1].
    """
    way = position[j] - position[i]
    concavity = ((normal[i] - normal[j]) * way).sum(1) / np.maximum(np.linalg.norm(way, axis=1), 1e-6)
    step = np.linalg.norm(color[i] - color[j], axis=1)
    belief = np.ones(len(i))
    for value, (limit, sharpness) in ((concavity, CREASE), (step, COLOR_STEP)):
        belief /= 1 + np.exp(sharpness * (value - limit))
    return belief


def _equal(key: IntArray) -> tuple[IntArray, IntArray]:
    """First row (M,) of each value of key (N,), and the number (N,) of every row's value among them."""
    order = np.argsort(key)  # not stable, but several times faster: of equal keys the least row is the first
    ordered = key[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    group = np.empty(len(key), np.int64)
    group[order] = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(key)))
    return np.minimum.reduceat(order, begins), group


def _means(group: IntArray, groups: int, values: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
    """Returns (M, 3) float32 means of each of the values (P, 3) over the points of every group, group (P,)."""
    among = csr_matrix((np.ones(len(group)), (group, np.arange(len(group)))), shape=(groups, len(group)))
    mean = (among @ np.concatenate(values, axis=1) / np.bincount(group)[:, None]).astype(np.float32)
    return tuple(np.split(mean, len(values), axis=1))


def _by_pair(s: IntArray, t: IntArray, smooth: FloatArray) -> Boundaries:
    """Contacts (E,) between sub-objects s and t summed by pair."""
    size = int(max(s.max(initial=-1), t.max(initial=-1))) + 1
    place = np.minimum(s, t), np.maximum(s, t)
    both = csr_matrix((1 + 1j * smooth.astype(float), place), shape=(size, size))  # two sums by sorting the pairs once
    first = np.repeat(np.arange(size), np.diff(both.indptr))
    pairs = np.stack([first, both.indices], axis=1).astype(np.int64)
    return Boundaries(pairs, both.data.real.copy(), both.data.imag.copy())

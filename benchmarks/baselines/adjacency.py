"""Which labelled points stand beside each other, by a voxel hash, and what hangs together [IG 3.3]."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ig_ros.types import FloatArray, IntArray

NONE = -1
# Itself and one of each pair of opposite face neighbours: every adjacency is looked at once.
HALF_NEIGHBORHOOD = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
REACH = 1 << 20  # voxels from the origin in each direction that fit the hash


def occupied(xyz: FloatArray, labels: IntArray, voxel: float) -> tuple[IntArray, IntArray, IntArray]:
    """Distinct (voxel, label) pairs: their keys (U,) sorted, labels (U,), and the pair (P,) each point lies in.

    xyz (P, 3) m, labels (P,) >= 0, voxel edge in m. Keys of face neighbours differ by `neighbor_steps`.
    """
    cells = np.floor(xyz / voxel).astype(np.int64)
    if len(cells) and np.abs(cells).max() >= REACH - 1:
        raise ValueError(f"a point lies further than {REACH} voxels of {voxel} m from the origin")
    keys = _hash(cells + REACH)
    order = np.lexsort((labels, keys))
    k, s = keys[order], labels[order]
    first = np.ones(len(k), bool)
    first[1:] = (k[1:] != k[:-1]) | (s[1:] != s[:-1])
    pair = np.empty(len(k), np.int64)
    pair[order] = np.cumsum(first) - 1
    return k[first], s[first].astype(np.int64), pair


def adjacent(keys: IntArray) -> IntArray:
    """(E, 2) pairs of different entries whose sorted keys (U,) name the same or face-adjacent voxels."""
    found = [np.zeros((0, 2), np.int64)]
    for step in _hash(HALF_NEIGHBORHOOD).tolist():
        low, high = np.searchsorted(keys, keys + step, "left"), np.searchsorted(keys, keys + step, "right")
        count = high - low
        source = np.repeat(np.arange(len(keys)), count)
        within = np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count)
        pairs = np.stack([source, np.repeat(low, count) + within], axis=1)
        found.append(pairs[pairs[:, 0] < pairs[:, 1]] if step == 0 else pairs)
    return np.concatenate(found)


def voxel_edges(xyz: FloatArray, labels: IntArray, voxel: float) -> IntArray:
    """(E, 2) pairs s < t of labels (P,) >= 0 that share a voxel (m) or stand in voxels with a common face."""
    keys, label, _ = occupied(xyz, labels, voxel)
    pairs = np.sort(label[adjacent(keys)], axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    size = int(labels.max(initial=-1)) + 1
    flat = np.unique(pairs[:, 0] * size + pairs[:, 1])
    return np.stack([flat // max(size, 1), flat % max(size, 1)], axis=1)


def components(size: int, edges: IntArray) -> IntArray:
    """(size,) component of every node of an undirected graph with edges (E, 2), numbered 0.."""
    graph = coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(size, size))
    _, group = connected_components(graph, directed=False)
    return np.asarray(group, np.int64)


def voxel_components(xyz: FloatArray, labels: IntArray, voxel: float) -> IntArray:
    """(P,) connected piece of each point: same label and a chain of face-adjacent voxels (m); labels < 0 are NONE."""
    ids = np.full(len(labels), NONE, np.int64)
    real = labels >= 0
    keys, label, pair = occupied(xyz[real], labels[real], voxel)
    edges = adjacent(keys)
    edges = edges[label[edges[:, 0]] == label[edges[:, 1]]]
    ids[real] = components(len(keys), edges)[pair]
    return ids


def _hash(cells: IntArray) -> IntArray:
    """One int64 per voxel; linear, so that neighbours lie at fixed steps."""
    return np.asarray((cells[..., 0] * (2 * REACH) + cells[..., 1]) * (2 * REACH) + cells[..., 2])

"""The nearest points of every point, looked up anew only where a point came, went or moved."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from ig_ros.types import BoolArray, FloatArray, IntArray


class Neighbors:
    """Remembers the neighbours of the last run."""

    def __init__(self) -> None:
        self._index: IntArray = np.zeros((0, 0), np.int32)
        self._reach: FloatArray = np.zeros(0)  # (P,) m to the farthest of them

    def find(self, xyz: FloatArray, count: int, kept: IntArray) -> tuple[IntArray, BoolArray]:
        """(P, count) rows of the nearest points (P, 3) m, itself first, and (P,) whether they are those of before.

        kept (P,) is the row of a point in the last run, -1 = it is new or has moved. count is at most P.
        """
        index = np.full((len(xyz), count), -1, np.int32)
        reach = np.zeros(len(xyz))
        old = np.flatnonzero(kept >= 0) if self._index.shape[1] == count else np.zeros(0, np.int64)
        if len(old):
            now = np.full(len(self._index), -1, np.int32)
            now[kept[old]] = old
            index[old] = now.take(self._index.take(kept[old], axis=0))
            reach[old] = self._reach[kept[old]]
        same = np.ones(len(xyz), bool)
        for column in index.T:  # by column, as numpy is slow on short rows
            same &= column >= 0
        same[_disturbed(xyz, old, np.flatnonzero(kept < 0), reach)] = False
        missing = np.flatnonzero(~same)
        index[missing], reach[missing] = _nearest(xyz, missing, count, float(reach[old].max()) if len(old) else np.inf)
        self._index, self._reach = index, reach
        return index, same


def _disturbed(xyz: FloatArray, old: IntArray, fresh: IntArray, reach: FloatArray) -> IntArray:
    """Rows among `old` with a `fresh` one as near as the farthest of their neighbours, at reach (P,) m."""
    if not len(old) or not len(fresh):
        return np.zeros(0, np.int64)
    close = _inside(xyz, xyz[fresh], margin := reach[old].max())
    close = np.setdiff1d(close, fresh, assume_unique=True)
    tree, threads = _tree(xyz[fresh]), torch.get_num_threads()
    distance, _ = tree.query(xyz[close], distance_upper_bound=margin * 1.001, workers=threads)
    found: IntArray = close[distance <= reach[close]]
    return found


def _nearest(xyz: FloatArray, rows: IntArray, count: int, margin: float) -> tuple[IntArray, FloatArray]:
    """(R, count) rows nearest to `rows` (R,), and (R,) m to the farthest of them; most lie within `margin` m."""
    if not len(rows):
        return np.zeros((0, count), np.int64), np.zeros(0)
    some = _inside(xyz, xyz[rows], margin)
    if len(some) < count:
        some = np.arange(len(xyz))
    index, reach = _query(xyz, some, rows, count)
    far = np.flatnonzero(reach > margin)  # others may be nearer, outside
    if len(far) and len(some) < len(xyz):
        index[far], reach[far] = _query(xyz, np.arange(len(xyz)), rows[far], count)
    return index, reach


def _query(xyz: FloatArray, among: IntArray, rows: IntArray, count: int) -> tuple[IntArray, FloatArray]:
    distance, found = _tree(xyz[among]).query(xyz[rows], k=count, workers=torch.get_num_threads())
    return among[found.reshape(-1, count)], distance.reshape(-1, count)[:, -1]


def _tree(xyz: FloatArray) -> cKDTree:
    return cKDTree(xyz, balanced_tree=False, compact_nodes=False)  # asked once: building it is most of the time


def _inside(xyz: FloatArray, of: FloatArray, margin: float) -> IntArray:
    """Rows of points within `margin` of the box about the points `of`."""
    inside = np.ones(len(xyz), bool)
    for column, own in zip(xyz.T, of.T, strict=True):
        inside &= (column >= own.min() - margin) & (column <= own.max() + margin)
    return np.flatnonzero(inside)

"""The nearest points of every point, looked up anew only where a point came, went or moved."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ig_ros.types import BoolArray, FloatArray, IntArray


class Neighbors:
    """Remembers the neighbours of the last run."""

    def __init__(self) -> None:
        self._index: IntArray = np.zeros((0, 0), np.int64)
        self._reach: FloatArray = np.zeros(0)  # (P,) m to the farthest of them

    def find(self, xyz: FloatArray, count: int, kept: IntArray) -> tuple[IntArray, BoolArray]:
        """(P, count) rows of the nearest points (P, 3) m, itself first, and (P,) whether they are those of before.

        kept (P,) is the row of a point in the last run, -1 = it is new or has moved. count is at most P.
        """
        now = np.full(len(self._index), -1)
        old = np.flatnonzero(kept >= 0)
        now[kept[old]] = old
        tree = cKDTree(xyz)
        index = np.full((len(xyz), count), -1)
        reach = np.zeros(len(xyz))
        same = np.zeros(len(xyz), bool)
        if len(old) and self._index.shape[1] == count:
            index[old] = now[self._index[kept[old]]]
            reach[old] = self._reach[kept[old]]
            same[old] = (index[old] >= 0).all(1)
            fresh = np.flatnonzero(kept < 0)
            if len(fresh):
                nearest, _ = cKDTree(xyz[fresh]).query(xyz[old], distance_upper_bound=reach[old].max() * 1.001)
                same[old] &= nearest > reach[old]
        missing = np.flatnonzero(~same)
        if len(missing):
            distance, found = tree.query(xyz[missing], k=count, workers=-1)
            index[missing], reach[missing] = found.reshape(-1, count), distance.reshape(-1, count)[:, -1]
        self._index, self._reach = index, reach
        return index, same

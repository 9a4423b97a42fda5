"""How many points of each sub-object lie on every mask of every view, and the mask it lies on mainly (METHOD 4 b)."""

from __future__ import annotations

import numpy as np

from ig_ros.config import InstanceConfig
from ig_ros.instances.observations import HIDDEN, Observations
from ig_ros.types import BoolArray, FloatArray, IntArray

FULL_WEIGHT = 30.0  # visible points from which on a view counts fully
UNDECIDED = -1  # no dominant mask in a view


class MaskHistograms:
    """Per sub-object the number of its visible points on every mask of every view, and each view's dominant mask.

    labels (N,) the sub-object of each point of `observed`, from 0 to below size, -1 = of none.
    """

    count: FloatArray  # (S, W) float32; every view's columns begin with the one of its unlabelled points
    start: IntArray  # (K,) first column of each view
    view_of_column: IntArray  # (W,)
    unlabelled: BoolArray  # (W,) the first column of each view

    def __init__(self, labels: IntArray, size: int, observed: Observations, config: InstanceConfig) -> None:
        self._lay_out(observed, config)
        known = labels >= 0
        self.count = np.zeros((size, len(self.view_of_column)), np.float32)
        for k, mask in enumerate(observed.mask):
            seen = ((mask != HIDDEN) & known).nonzero()[0]
            first, last = self.start[k], self.end[k]
            place = np.maximum(mask[seen] - self._before[k], 0)  # 0 is "unlabelled"
            flat = labels[seen].astype(np.int64) * (last - first) + place
            self.count[:, first:last] = np.bincount(flat, minlength=size * (last - first)).reshape(size, last - first)
        self._judge_all()

    def _lay_out(self, observed: Observations, config: InstanceConfig) -> None:
        views = len(observed.mask)
        self._before = np.searchsorted(observed.view_of_column[1:], np.arange(views))  # masks of earlier views
        masks = np.bincount(observed.view_of_column[1:], minlength=views)
        self.start = self._before + np.arange(views)
        self.end = self.start + masks + 1
        self.view_of_column = np.repeat(np.arange(views), masks + 1)
        self.unlabelled = np.zeros(len(self.view_of_column), bool)
        self.unlabelled[self.start] = True
        self._config = config

    def copy(self) -> MaskHistograms:
        """Another that can be merged without touching this one."""
        result = object.__new__(MaskHistograms)
        result.__dict__.update(self.__dict__)
        result.count, result.dominant, result.weight = self.count.copy(), self.dominant.copy(), self.weight.copy()
        return result

    def grouped(self, group: IntArray, size: int) -> MaskHistograms:
        """Histograms of `size` groups of sub-objects, group (S,) from 0; those of -1 are left out."""
        result = object.__new__(MaskHistograms)
        result.__dict__.update(self.__dict__)
        result.count = np.zeros((size, self.count.shape[1]), np.float32)
        order = np.argsort(group, kind="stable")[np.count_nonzero(group < 0) :]
        if len(order):
            found, first = np.unique(group[order], return_index=True)
            result.count[found] = np.add.reduceat(self.count[order], first, axis=0)
        result._judge_all()
        return result

    def _judge_all(self) -> None:
        shape = (len(self.count), len(self.start))
        self.dominant = np.full(shape, UNDECIDED, np.int32)
        self.weight = np.zeros(shape, np.float32)
        for s in range(len(self.count)):
            self._judge(s)

    def _judge(self, s: int) -> None:
        """Renew the dominant mask of sub-object s in every view."""
        row = self.count[s]
        if not len(self.start):
            return
        total = np.add.reduceat(row, self.start)
        top = np.maximum.reduceat(row, self.start)
        decided = (total >= self._config.min_points) & (top >= self._config.dominance * total)
        top[~decided] = -1.0
        best = np.flatnonzero(row == top[self.view_of_column])[::-1]
        self.dominant[s] = UNDECIDED
        self.dominant[s, self.view_of_column[best]] = best  # of equals the first, which is written last
        self.dominant[s, self.dominant[s] == self.start] = UNDECIDED
        self.weight[s] = np.where(self.dominant[s] >= 0, np.minimum(1.0, total / FULL_WEIGHT), 0.0)

    def merge(self, s: int, t: int) -> None:
        """Add sub-object t to s."""
        self.count[s] += self.count[t]
        self._judge(s)

    def agreement(self, s: IntArray, t: IntArray) -> tuple[FloatArray, FloatArray]:
        """Weighted number of views in which s and t (n,) share a mask, and in which both have one; (n,) each."""
        weight = np.minimum(self.weight[s], self.weight[t])
        same = self.dominant[s] == self.dominant[t]
        return (weight * same).sum(1), weight.sum(1)

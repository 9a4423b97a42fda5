"""How many points of each sub-object lie on every mask of every view, and the mask it lies on mainly (METHOD 4 b)."""

from __future__ import annotations

import numpy as np

from ig_ros.config import InstanceConfig
from ig_ros.instances.observations import Observations
from ig_ros.raster import counting
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
        self.count = counting.mask_counts(observed.mask, self._masks, labels, size)
        self._judge_all()

    def _lay_out(self, observed: Observations, config: InstanceConfig) -> None:
        views = len(observed.mask)
        self._masks = np.bincount(observed.view_of_column[1:], minlength=views)
        self.start = np.cumsum(self._masks) - self._masks + np.arange(views)
        self.view_of_column = np.repeat(np.arange(views), self._masks + 1)
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
        self.dominant, self.weight = self._judged(self.count)

    def _judged(self, count: FloatArray) -> tuple[IntArray, FloatArray]:
        """Dominant mask and weight in every view of some rows."""
        config = self._config
        return counting.dominant_masks(count, self._masks, config.min_points, config.dominance, FULL_WEIGHT)

    def merge(self, s: int, t: int) -> None:
        """Add sub-object t to s."""
        self.count[s] += self.count[t]
        self.dominant[s : s + 1], self.weight[s : s + 1] = self._judged(self.count[s : s + 1])

    def agreement(self, s: IntArray, t: IntArray) -> tuple[FloatArray, FloatArray]:
        """Weighted number of views in which s and t (n,) share a mask, and in which both have one; (n,) each."""
        weight = np.minimum(self.weight[s], self.weight[t])
        same = self.dominant[s] == self.dominant[t]
        return (weight * same).sum(1), weight.sum(1)

"""How many points of each sub-object lie on every mask of every view, and its main mask: docs/method.md, section 4b."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from ig_ros.config import InstanceConfig
from ig_ros.instances.background import BACKGROUND
from ig_ros.instances.visibility import Observations
from ig_ros.raster import counting
from ig_ros.types import BoolArray, FloatArray, IntArray

FULL_WEIGHT = 30.0  # visible points from which on a view counts fully


class MaskHistograms:
    """Per sub-object the number of its visible points on every mask of every view, and each view's dominant mask.

    labels (N,) the sub-object of each point of `observed`, from 0 to below size, -1 = of none.
    """

    count: FloatArray  # (S, W) float32; every view's columns begin with the one of its unlabelled points
    masks: IntArray  # (K,) masks of each view
    start: IntArray  # (K,) first column of each view
    view_of_column: IntArray  # (W,)
    unlabelled: BoolArray  # (W,) the first column of each view
    background: BoolArray  # (W,) those of what is on no mask because nothing is there that masks are for

    def __init__(self, labels: IntArray, size: int, observed: Observations, config: InstanceConfig) -> None:
        self._lay_out(observed, config)
        self.count = counting.mask_counts(observed.mask, self.masks, labels, size)
        self._judge_all()

    def _lay_out(self, observed: Observations, config: InstanceConfig) -> None:
        views = len(observed.mask)
        self.masks = np.bincount(observed.view_of_column[1:], minlength=views)
        self.start = np.cumsum(self.masks) - self.masks + np.arange(views)
        self.view_of_column = np.repeat(np.arange(views), self.masks + 1)
        self.unlabelled = np.zeros(len(self.view_of_column), bool)
        self.unlabelled[self.start] = True
        self.background = np.zeros(len(self.view_of_column), bool)
        self.background[~self.unlabelled] = observed.label_of_column[1:] == BACKGROUND
        self._config = config

    def grouped(self, group: IntArray, size: int) -> MaskHistograms:
        """Histograms of `size` groups of sub-objects, group (S,) from 0; those of -1 are left out."""
        result = object.__new__(MaskHistograms)
        result.__dict__.update(self.__dict__)
        own = np.flatnonzero(group >= 0)
        table = csr_matrix((np.ones(len(own), np.float32), (group[own], own)), shape=(size, len(group)))
        result.count = table @ self.count
        result._judge_all()
        return result

    def _judge_all(self) -> None:
        """Dominant mask and weight in every view, (S, K) each."""
        config = self._config
        self.dominant, self.weight = counting.dominant_masks(
            self.count, self.masks, config.min_points, config.dominance, FULL_WEIGHT
        )

    def agreement(self, s: IntArray, t: IntArray) -> tuple[FloatArray, FloatArray]:
        """Weighted number of views in which s and t (n,) share a mask, and in which both have one; (n,) each."""
        weight = np.minimum(self.weight[s], self.weight[t])
        same = self.dominant[s] == self.dominant[t]
        return (weight * same).sum(1), weight.sum(1)

"""Merging touching sub-objects while the views agree that they are one thing.

Three witnesses judge an edge. The masks of all views that see both sides (METHOD 4 a-d, after MaskClustering and
PairGS). The distance of the trained instance features [IG 3.3]: a prior worth `feature_trust` views, which decides
where no view does; worth a share of the views where it is clear against segmenters that repeat their errors: where a
small one differs from a large one (they swallow small things by what carries them), and where two are all but the same
(they cut one thing in the same parts). And the surface at the contact (boundary.py), worth a share of the views that
see it: a crease between a thing and its support stays a crease.
"""

from __future__ import annotations

import heapq

import numpy as np

from ig_ros.config import InstanceConfig
from ig_ros.instances.boundary import Boundaries
from ig_ros.instances.observations import HIDDEN, Observations
from ig_ros.types import FloatArray, IntArray

FULL_WEIGHT = 30.0  # visible points from which on a view counts fully
UNDECIDED = -1  # no dominant mask in a view
GOES_ON = 0.58  # share of smooth contacts at which the surface is undecided: the middle between creases and noise
SHARPNESS = 12.0  # of that decision
SAME = 0.25  # of feature_gap: trained features closer than this are all but one ...
SAME_CLARITY = 0.7  # ... and say so less loud than views that all agree: before training all are one
ALIKE, UNLIKE = 3.0, 10.0  # times larger: parts of one thing, and what a segmenter takes for a part of its support
SMOOTH_TRUST = 0.15  # of boundary_trust's unit, for a surface that goes on: things may lie flush, so it says little


class MaskHistograms:
    """Per sub-object the number of its visible points on every mask of every view, and each view's dominant mask."""

    def __init__(self, labels: IntArray, size: int, observed: Observations, config: InstanceConfig) -> None:
        views = len(observed.mask)
        # Columns are sorted by view; every view starts with one extra column that counts its unlabelled points.
        masks_before = np.searchsorted(observed.view_of_column[1:], np.arange(views))
        self.start = masks_before + np.arange(views)
        column_of_mask = np.arange(len(observed.view_of_column) - 1) + observed.view_of_column[1:] + 1
        width = len(column_of_mask) + views
        self.count = np.zeros((size, width), np.float32)
        for k, mask in enumerate(observed.mask):
            seen = (mask != HIDDEN).nonzero()[0]
            column = np.where(
                mask[seen] > 0, column_of_mask[np.maximum(mask[seen], 1) - 1] if width > views else 0, self.start[k]
            )
            first, last = self.start[k], self.start[k + 1] if k + 1 < views else width
            flat = labels[seen].astype(np.int64) * (last - first) + (column - first)
            self.count[:, first:last] = np.bincount(flat, minlength=size * (last - first)).reshape(size, -1)
        self.min_points, self.dominance = config.min_points, config.dominance
        self.dominant = np.full((size, views), UNDECIDED, np.int32)
        self.weight = np.zeros((size, views), np.float32)
        for s in range(size):
            self._judge(s)

    def _judge(self, s: int) -> None:
        """Renew the dominant mask of sub-object s in every view."""
        row = self.count[s]
        total = np.add.reduceat(row, self.start)
        top = np.maximum.reduceat(row, self.start)
        decided = (total >= self.min_points) & (top >= self.dominance * total)
        self.dominant[s] = UNDECIDED
        for k in decided.nonzero()[0]:
            last = self.start[k + 1] if k + 1 < len(self.start) else len(row)
            best = int(np.argmax(row[self.start[k] : last]))
            if best > 0:  # column 0 of a view is "unlabelled"
                self.dominant[s, k] = self.start[k] + best
        self.weight[s] = np.where(self.dominant[s] >= 0, np.minimum(1.0, total / FULL_WEIGHT), 0.0)

    def merge(self, s: int, t: int) -> None:
        """Add sub-object t to s."""
        self.count[s] += self.count[t]
        self._judge(s)

    def agreement(self, s: int, others: IntArray) -> tuple[FloatArray, FloatArray]:
        """Weighted number of views in which s and each of others (n,) share a mask, and in which both have one."""
        weight = np.minimum(self.weight[s], self.weight[others])
        same = self.dominant[s] == self.dominant[others]
        return (weight * same).sum(1), weight.sum(1)


def merge_sub_objects(
    labels: IntArray, edges: Boundaries, feature: FloatArray, observed: Observations, config: InstanceConfig
) -> IntArray:
    """(S,) group of every sub-object: best edge first while its consensus exceeds merge_threshold.

    labels (N,) sub-object of each point, edges the touching pairs, feature (S, F) mean half-space features.
    """
    size = len(feature)
    histograms = MaskHistograms(labels, size, observed, config)
    group = np.arange(size)
    alive = np.ones(size, bool)
    mass = np.bincount(labels, minlength=size) + 1e-9  # a sub-object may have no Gaussian that is drawn
    mean = feature.astype(np.float64).copy()
    neighbors = _contacts(edges, size)
    version = np.zeros(size, np.int64)
    heap: list[tuple[float, int, int, int, int]] = []

    def push(s: int) -> None:
        others = np.fromiter(neighbors[s], np.int64, len(neighbors[s]))
        if not len(others):
            return
        same, both = histograms.agreement(s, others)
        distance = np.linalg.norm(mean[others] - mean[s], axis=1)
        prior = feature_prior(distance, config.feature_gap)
        alike, trust = surface_prior(np.array(list(neighbors[s].values())), config.boundary_trust)
        trust *= both + 1.0
        clear = clarity(distance, unequal(mass[s], mass[others]), config.feature_gap)
        said = config.feature_trust + config.feature_share * clear * both
        weight = both + said + trust
        score = (same + said * prior + trust * alike) / np.maximum(weight, 1e-9)
        for t, value in zip(others.tolist(), score.tolist(), strict=True):
            if value > config.merge_threshold:
                heapq.heappush(heap, (-value, s, t, int(version[s]), int(version[t])))

    for s in range(size):
        push(s)
    while heap:
        _, s, t, version_s, version_t = heapq.heappop(heap)
        if not (alive[s] and alive[t]) or version[s] != version_s or version[t] != version_t:
            continue
        mean[s] = (mass[s] * mean[s] + mass[t] * mean[t]) / (mass[s] + mass[t])
        mass[s] += mass[t]
        histograms.merge(s, t)
        alive[t] = False
        group[t] = s
        version[s] += 1
        _take_over(neighbors, s, t)
        push(s)
    while (group != group[group]).any():
        group = group[group]
    return group


def _contacts(edges: Boundaries, size: int) -> list[dict[int, tuple[float, float]]]:
    """Per sub-object its neighbours with (smooth, all) contacts."""
    neighbors: list[dict[int, tuple[float, float]]] = [{} for _ in range(size)]
    for (s, t), smooth, length in zip(edges.pairs.tolist(), edges.smooth.tolist(), edges.length.tolist(), strict=True):
        neighbors[s][t] = neighbors[t][s] = (smooth, length)
    return neighbors


def _take_over(neighbors: list[dict[int, tuple[float, float]]], s: int, t: int) -> None:
    """The contacts of t become those of s."""
    neighbors[s].pop(t, None)
    for u, (smooth, length) in neighbors[t].items():
        neighbors[u].pop(t, None)
        if u != s:
            old = neighbors[s].get(u, (0.0, 0.0))
            neighbors[s][u] = neighbors[u][s] = (old[0] + smooth, old[1] + length)
    neighbors[t] = {}


def surface_prior(contact: FloatArray, trust: float) -> tuple[FloatArray, FloatArray]:
    """Belief (n,) in [0, 1] that the surface goes on, and its weight (n,) per view, from (smooth, all) contacts (n, 2).

    Few contacts are no evidence: two undecided ones are added.
    """
    share = (contact[:, 0] + 2.0 * GOES_ON) / (contact[:, 1] + 2.0)
    belief = 1.0 / (1.0 + np.exp(-SHARPNESS * (share - GOES_ON)))
    return belief, np.where(belief < 0.5, trust, trust * SMOOTH_TRUST)


def unequal(size: float, others: FloatArray) -> FloatArray:
    """(n,) in [0, 1]: from nothing where the larger is up to ALIKE times the smaller to all from UNLIKE times on."""
    ratio = np.maximum(size / others, others / size)
    share: FloatArray = np.clip(np.log(ratio / ALIKE) / np.log(UNLIKE / ALIKE), 0.0, 1.0)
    return share


def clarity(distance: FloatArray, sizes: FloatArray, gap: float) -> FloatArray:
    """(n,) in [0, 1]: how surely a feature distance (n,) tells one thing from two; `sizes` (n,) is `unequal`."""
    same = SAME_CLARITY * np.clip(1.0 - distance / (SAME * gap + 1e-9), 0.0, 1.0)
    share: FloatArray = np.where(distance < gap, same, sizes)
    return share


def feature_prior(distance: FloatArray, gap: float) -> FloatArray:
    """Belief in [0, 1] that two sub-objects are one thing from their feature distance; 0.5 at `gap` (gamma)."""
    belief: FloatArray = 1.0 / (1.0 + np.exp(np.clip((distance - gap) / (0.25 * gap + 1e-9), -30, 30)))
    return belief

"""ig_ros/instances/merging.py in plain Python: the truth that its kernel is held to."""

from __future__ import annotations

import heapq

import numpy as np

from ig_ros.config import InstanceConfig
from ig_ros.instances.mask_histograms import FULL_WEIGHT, MaskHistograms
from ig_ros.instances.merging import ALIKE, GOES_ON, SAME, SAME_CLARITY, SHARPNESS, SMOOTH_TRUST, UNLIKE
from ig_ros.instances.region_graph import Boundaries
from ig_ros.raster import counting
from ig_ros.types import FloatArray, IntArray


def merge_sub_objects(
    labels: IntArray, edges: Boundaries, feature: FloatArray, histograms: MaskHistograms, config: InstanceConfig
) -> IntArray:
    """(S,) group of every sub-object: best edge first while its consensus exceeds merge_threshold.

    labels (N,) sub-object of each point, edges the touching pairs, feature (S, F) mean half-space features,
    histograms of the sub-objects.
    """
    merger = _Merger(labels, edges, feature, histograms, config)
    merger.push(edges.pairs[:, 0], edges.pairs[:, 1], np.stack([edges.smooth, edges.length], axis=1))
    while merger.heap:
        _, s, t, version_s, version_t = heapq.heappop(merger.heap)
        if (merger.version[s], merger.version[t]) == (version_s, version_t):
            merger.merge(s, t)
    group = merger.group
    while (group != group[group]).any():
        group = group[group]
    return group


class _Merger:
    """Sub-objects that are merged two by two, and a heap of the edges worth it: (-score, s, t, their versions)."""

    def __init__(
        self,
        labels: IntArray,
        edges: Boundaries,
        feature: FloatArray,
        histograms: MaskHistograms,
        config: InstanceConfig,
    ) -> None:
        size = len(feature)
        self.config, self.masks = config, histograms.masks
        self.count, self.dominant = histograms.count.copy(), histograms.dominant.copy()
        self.weight = histograms.weight.copy()
        self.group = np.arange(size)
        self.mass = np.bincount(labels, minlength=size) + 1e-9  # a number may be nobody's
        self.mean = feature.astype(np.float64).copy()
        self.neighbors = _contacts(edges, size)
        self.version = [0] * size  # counts up with every merge; -1 once taken over
        self.heap: list[tuple[float, int, int, int, int]] = []

    def push(self, s: IntArray, t: IntArray, contacts: FloatArray) -> None:
        """Judge edges (n,) with their (smooth, all) contacts (n, 2)."""
        score = self.score(s, t, contacts)
        good = np.flatnonzero(score > self.config.merge_threshold)
        for a, b, value in zip(s[good].tolist(), t[good].tolist(), score[good].tolist(), strict=True):
            heapq.heappush(self.heap, (-value, a, b, self.version[a], self.version[b]))

    def score(self, s: IntArray, t: IntArray, contacts: FloatArray) -> FloatArray:
        """(n,) consensus of sub-objects s and t (n,)."""
        config = self.config
        weight = np.minimum(self.weight[s], self.weight[t])
        same, both = (weight * (self.dominant[s] == self.dominant[t])).sum(1), weight.sum(1)
        distance = np.sqrt(((self.mean[t] - self.mean[s]) ** 2).sum(1))
        prior = feature_prior(distance, config.feature_gap)
        clear = clarity(distance, unequal(self.mass[s], self.mass[t]), config.feature_gap)
        said = config.feature_trust + config.feature_share * clear * both
        alike, trust = surface_prior(contacts, config.boundary_trust)
        trust *= both + 1.0
        score: FloatArray = (same + said * prior + trust * alike) / np.maximum(both + said + trust, 1e-9)
        return score

    def merge(self, s: int, t: int) -> None:
        """t becomes part of s."""
        mass = self.mass[s] + self.mass[t]
        self.mean[s] = (self.mass[s] * self.mean[s] + self.mass[t] * self.mean[t]) / mass
        self.mass[s] = mass
        self.count[s] += self.count[t]
        self.dominant[s : s + 1], self.weight[s : s + 1] = counting.dominant_masks(
            self.count[s : s + 1], self.masks, self.config.min_points, self.config.dominance, FULL_WEIGHT
        )
        self.group[t] = s
        self.version[s] += 1
        self.version[t] = -1
        _take_over(self.neighbors, s, t)
        mine = self.neighbors[s]
        if mine:
            others = np.fromiter(mine, np.int64, len(mine))
            self.push(np.full(len(others), s), others, np.array(list(mine.values())))


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


def unequal(size: FloatArray, others: FloatArray) -> FloatArray:
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

"""Merging sub-objects that touch while the views agree, and the parts of one plane that do not touch."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from ig_ros.config import InstanceConfig
from ig_ros.instances.boxes import STRAY
from ig_ros.instances.groups import map_groups, rows_of
from ig_ros.instances.mask_histograms import FULL_WEIGHT, MaskHistograms
from ig_ros.instances.region_graph import Boundaries
from ig_ros.instances.witnesses import Edges, make_witnesses
from ig_ros.raster import counting
from ig_ros.types import FloatArray, IntArray


def merge_sub_objects(
    labels: IntArray, edges: Boundaries, feature: FloatArray, histograms: MaskHistograms, config: InstanceConfig
) -> IntArray:
    """(S,) group of every sub-object: best edge first while its score exceeds merge_threshold.

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
    """Merges sub-objects two by two; holds a heap of the edges above the threshold: (-score, s, t, their versions)."""

    def __init__(
        self,
        labels: IntArray,
        edges: Boundaries,
        feature: FloatArray,
        histograms: MaskHistograms,
        config: InstanceConfig,
    ) -> None:
        size = len(feature)
        self.config, self.masks, self.witnesses = config, histograms.masks, make_witnesses(config)
        self.count, self.dominant = histograms.count.copy(), histograms.dominant.copy()
        self.weight = histograms.weight.copy()
        self.group = np.arange(size)
        self.mass = np.bincount(labels, minlength=size) + 1e-9  # a number may be nobody's
        self.mean = feature.astype(np.float64).copy()
        self.neighbors = _contacts(edges, size)
        self.version = [0] * size  # counts up with every merge; -1 once taken over
        self.heap: list[tuple[float, int, int, int, int]] = []

    def push(self, s: IntArray, t: IntArray, contacts: FloatArray) -> None:
        """Put edges (n,) with (smooth, all) contacts (n, 2) on the heap where their score exceeds the threshold."""
        score = self.score(s, t, contacts)
        good = np.flatnonzero(score > self.config.merge_threshold)
        for a, b, value in zip(s[good].tolist(), t[good].tolist(), score[good].tolist(), strict=True):
            heapq.heappush(self.heap, (-value, a, b, self.version[a], self.version[b]))

    def score(self, s: IntArray, t: IntArray, contacts: FloatArray) -> FloatArray:
        """Returns the score (n,) of merging sub-objects s with t (n,), from masks and witnesses."""
        weight = np.minimum(self.weight[s], self.weight[t])
        said, total = (weight * (self.dominant[s] == self.dominant[t])).sum(1), weight.sum(1)
        distance = np.sqrt(((self.mean[t] - self.mean[s]) ** 2).sum(1))
        edges = Edges(total, distance, np.stack([self.mass[s], self.mass[t]]), contacts)
        for witness in self.witnesses:
            belief, trust = witness.judge(edges)
            said, total = said + trust * belief, total + trust
        score: FloatArray = said / np.maximum(total, 1e-9)
        return score

    def merge(self, s: int, t: int) -> None:
        """Make t a part of s and score the edges of s anew."""
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
    """Add the contacts of t to those of s."""
    neighbors[s].pop(t, None)
    for u, (smooth, length) in neighbors[t].items():
        neighbors[u].pop(t, None)
        if u != s:
            old = neighbors[s].get(u, (0.0, 0.0))
            neighbors[s][u] = neighbors[u][s] = (old[0] + smooth, old[1] + length)
    neighbors[t] = {}


FLAT = 0.8  # share of a group's points near its plane
LARGE = 0.4  # m, width of a piece of the shell in both directions
SAMPLE = 4_000  # points of a group that are asked for its plane, and of the scene whether they stand behind


@dataclass(frozen=True, slots=True)
class ShellPlane:
    """normal (3,) into the scene, distance m: normal @ x = distance."""

    normal: FloatArray
    distance: float


def join_coplanar(
    xyz: FloatArray, group: IntArray, spacing: float, histograms: MaskHistograms, config: InstanceConfig
) -> IntArray:
    """Returns (G,) the group that each group becomes a part of: itself, or a lower one on the same plane of the shell.

    A wall on both sides of a door is one. xyz (P, 3) m, group (P,) from 0, -1 = none; spacing m of the points'
    anchors; histograms of the G groups.
    """
    count, tolerance = len(histograms.count), 2.0 * spacing
    flats = map_groups(lambda rows: flat_plane(xyz[rows], tolerance), group, count)
    scene = xyz[:: max(1, len(xyz) // SAMPLE)]
    shell = {g: facing_in(flat, scene, tolerance) for g, flat in enumerate(flats) if flat is not None}
    planes = {g: plane for g, plane in shell.items() if plane is not None}
    flat = np.array(list(planes), np.int64)
    label = np.arange(count)
    apart = np.zeros((count, count), bool)  # views say that these two are not one
    rows = rows_of(group, count)
    pairs = []
    for s in flat.tolist():
        others = flat[flat > s]
        same, both = histograms.agreement(np.full(len(others), s), others)
        apart[s, others] = apart[others, s] = (both >= config.min_views) & (same < config.dominance * both)
        pairs += [(s, t) for t in others.tolist() if _coplanar(planes[s], planes[t], xyz, rows[t], tolerance)]
    for s, t in sorted(pairs, key=lambda pair: -min(len(rows[pair[0]]), len(rows[pair[1]]))):
        one, other = label == label[s], label == label[t]
        if not apart[np.ix_(one, other)].any():  # a scrap that nobody tells from either must not tie rug and floor
            label[one | other] = min(label[s], label[t])
    return label


def flat_plane(points: FloatArray, tolerance: float) -> ShellPlane | None:
    """The plane of a large flat group (n, 3), turned to either side; None for everything else."""
    # Of points in a box with diagonal d no plane has a second variance above d^2 / 8.
    if len(points) < 3 or 1.5 * (np.ptp(points, axis=0).astype(np.float64) ** 2).sum() < LARGE**2:
        return None
    points = points[:: max(1, len(points) // SAMPLE)]
    near, trimmed = points, True
    while trimmed:  # least squares without outliers: things that stand on the surface do not tilt it
        center = near.mean(0)
        offset = near - center
        spread, axes = np.linalg.eigh(offset.T @ offset / max(len(near) - 1, 1))
        normal = axes[:, 0]
        before, near = len(near), near[np.abs(offset @ normal) < 2 * tolerance]
        trimmed = len(near) < before
        if len(near) < FLAT * len(points):
            return None
    flat = (np.abs((points - center) @ normal) < tolerance).mean() >= FLAT
    if not flat or np.sqrt(12 * spread[1]) < LARGE:  # a uniform strip of width w has variance w^2 / 12
        return None
    return ShellPlane(normal, float(normal @ center))


def facing_in(flat: ShellPlane, scene: FloatArray, tolerance: float) -> ShellPlane | None:
    """The plane with its normal to the side of the scene (P, 3), None if some of it stands behind."""
    height = scene @ flat.normal - flat.distance
    if np.median(height) < 0:
        flat, height = ShellPlane(-flat.normal, -flat.distance), -height
    return None if (height < -2 * tolerance).mean() > STRAY else flat


def _coplanar(a: ShellPlane, b: ShellPlane, xyz: FloatArray, rows_of_b: IntArray, tolerance: float) -> bool:
    """Whether most points of the second piece lie on the plane of the first, and both face the same way."""
    return bool(a.normal @ b.normal > 0 and np.median(np.abs(xyz[rows_of_b] @ a.normal - a.distance)) < 2 * tolerance)

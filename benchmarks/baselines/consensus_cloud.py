"""Training-free view consensus on a depth cloud (docs/method.md, sections 4a to 4e): what masks and depth say alone.

Written apart from `ig_ros.instances`, which goes its own way: this row is the recipe as it was measured.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from benchmarks.baselines.base import Material, Prediction
from benchmarks.baselines.cloud import DepthCloud
from benchmarks.baselines.votes import NONE, most_voted
from ig_ros.instances.instantiation import drop_small
from ig_ros.instances.visibility import Observations
from ig_ros.types import FloatArray, IntArray

UNDECIDED = -1
PRIOR = 0.3  # weighted views that agree, before any was looked at ...
PRIOR_BOTH = 0.6  # ... of so many: an edge no view judges stands at a half, which is not enough
COLOR_WEIGHT = 3.0  # black to white, in extents of a sub-object


@dataclass(frozen=True, slots=True)
class ConsensusCloud:
    """k-means sub-objects on position and colour, merged while the views agree, then votes of all masks."""

    name: str = "training-free consensus"
    points_per_sub_object: int = 40
    least: int = 1500  # sub-objects
    most: int = 5000
    lloyd_steps: int = 4
    min_points: int = 6  # visible points of a sub-object for a view to judge it
    dominance: float = 0.6  # share of them in one mask
    full_weight: float = 30.0  # visible points from which on a view counts fully
    threshold: float = 0.5  # of consensus
    neighbors: int = 7  # over which votes are smoothed
    rounds: int = 2
    min_instance: int = 20  # voxels; smaller instances are noise
    needs_depth: bool = True

    def __call__(self, material: Material, random: np.random.Generator) -> Prediction:
        cloud, observed = material.measured.points, material.measured.observed
        n = len(cloud.xyz)
        if n <= self.neighbors or len(observed.pixels) == 1:
            return Prediction(cloud.xyz, np.full(n, -1))
        count = min(int(np.clip(n // self.points_per_sub_object, self.least, self.most)), max(1, n // 3))
        sub_object = k_means(cloud, count, self.lloyd_steps, random)
        _, neighbor = cKDTree(cloud.xyz).query(cloud.xyz, k=self.neighbors + 1, workers=-1)
        merger = Merger(sub_object, observed, self)
        group = merger.run(edges_of(sub_object, neighbor, cloud))[sub_object]
        instance = instance_of_masks(group, observed)
        ids = voted(group, instance, observed, neighbor[:, : self.neighbors], self.rounds)
        own = ids >= 0
        ids[own] = drop_small(ids[own], self.min_instance)
        return Prediction(cloud.xyz, ids)


def k_means(cloud: DepthCloud, count: int, steps: int, random: np.random.Generator) -> IntArray:
    """(P,) sub-object of each voxel: Lloyd's steps on [position / extent of a sub-object, colour], random seeds."""
    extent = cloud.voxel * np.sqrt(len(cloud.xyz) / count)  # voxels lie on surfaces
    space = np.concatenate([cloud.xyz / extent, COLOR_WEIGHT * cloud.color], axis=1)
    centers = space[random.choice(len(space), count, replace=False)]
    for step in range(steps + 1):
        _, label = cKDTree(centers).query(space, workers=-1)
        if step < steps:
            size = np.bincount(label, minlength=len(centers))
            total = np.stack([np.bincount(label, weights=c, minlength=len(centers)) for c in space.T], axis=1)
            centers = (total / np.maximum(size, 1)[:, None])[size > 0]
    return np.unique(label, return_inverse=True)[1]


def edges_of(sub_object: IntArray, neighbor: IntArray, cloud: DepthCloud) -> IntArray:
    """(E, 2) pairs s < t of sub-objects with voxels beside each other: among the nearest (P, k), within two edges."""
    near = np.linalg.norm(cloud.xyz[neighbor] - cloud.xyz[:, None], axis=2) <= 2 * cloud.voxel
    s = np.broadcast_to(sub_object[:, None], neighbor.shape)[near]
    t = sub_object[neighbor][near]
    size = int(sub_object.max()) + 1
    flat = np.unique((np.minimum(s, t) * size + np.maximum(s, t))[s != t])
    return np.stack([flat // size, flat % size], axis=1)


class Merger:
    """Sub-objects with their histograms over the masks of every view; merges the best edge first."""

    def __init__(self, sub_object: IntArray, observed: Observations, rules: ConsensusCloud) -> None:
        self.rules = rules
        views, size = len(observed.mask), int(sub_object.max()) + 1
        # Within a view masks are numbered 1.., 0 is "unlabelled".
        first = np.searchsorted(observed.view_of_column[1:], np.arange(views)) + 1
        width = int(np.bincount(observed.view_of_column[1:], minlength=views).max(initial=0)) + 1
        self.count = np.zeros((size, views, width), np.float32)
        for k, mask in enumerate(observed.mask):
            seen = (mask >= 0).nonzero()[0]
            own = np.where(mask[seen] > 0, mask[seen] - first[k] + 1, 0)
            flat = np.bincount(sub_object[seen] * width + own, minlength=size * width)
            self.count[:, k] = flat.reshape(size, width)
        judged = [self.judge(row) for row in self.count]
        self.dominant = np.stack([d for d, _ in judged])
        self.weight = np.stack([w for _, w in judged])

    def judge(self, count: FloatArray) -> tuple[IntArray, FloatArray]:
        """Dominant mask (K,) in every view and the weight (K,) of that view, from a histogram (K, W)."""
        total, top, best = count.sum(1), count.max(1), count.argmax(1)
        decided = (total >= self.rules.min_points) & (top >= self.rules.dominance * total) & (best > 0)
        dominant = np.where(decided, best, UNDECIDED)
        return dominant, np.where(decided, np.minimum(1.0, total / self.rules.full_weight), 0.0)

    def consensus(self, s: int, others: IntArray) -> FloatArray:
        """(n,) consensus of s with each of others (n,)."""
        both = np.minimum(self.weight[s], self.weight[others])
        agree = (both * (self.dominant[s] == self.dominant[others])).sum(1)
        return np.asarray((agree + PRIOR) / (both.sum(1) + PRIOR_BOTH))

    def run(self, edges: IntArray) -> IntArray:
        """(S,) group of every sub-object after merging along edges (E, 2); the histograms are used up."""
        size = len(self.count)
        neighbors: list[set[int]] = [set() for _ in range(size)]
        for s, t in edges.tolist():
            neighbors[s].add(t)
            neighbors[t].add(s)
        group, version = np.arange(size), [0] * size
        heap: list[tuple[float, int, int, int, int]] = []

        def push(s: int, others: set[int]) -> None:
            order = sorted(others)
            for t, value in zip(order, self.consensus(s, np.array(order, np.int64)).tolist(), strict=True):
                if value > self.rules.threshold:
                    heapq.heappush(heap, (-value, s, t, version[s], version[t]))

        for s in range(size):
            push(s, {t for t in neighbors[s] if t > s})
        while heap:
            _, s, t, at_s, at_t = heapq.heappop(heap)
            if (version[s], version[t]) != (at_s, at_t):
                continue  # one of the two has changed since
            self.count[s] += self.count[t]
            self.dominant[s], self.weight[s] = self.judge(self.count[s])
            group[group == t] = s
            version[s], version[t] = version[s] + 1, -1
            for u in neighbors[t]:
                neighbors[u].discard(t)
            neighbors[s] |= neighbors[t] - {s}
            for u in neighbors[s]:
                neighbors[u].add(s)
            push(s, neighbors[s])
        return group


def instance_of_masks(group: IntArray, observed: Observations) -> IntArray:
    """(M,) group owning most of the points of each mask, -1 for masks without points; column 0 is no mask."""
    size = int(group.max()) + 1
    owner = np.full(len(observed.pixels), -1, np.int64)
    for mask in observed.mask:
        inside = (mask > 0).nonzero()[0]
        pairs, count = np.unique(mask[inside].astype(np.int64) * size + group[inside], return_counts=True)
        order = np.argsort(count, kind="stable")  # the largest is written last
        owner[pairs[order] // size] = pairs[order] % size
    return owner


def voted(group: IntArray, instance: IntArray, observed: Observations, neighbor: IntArray, rounds: int) -> IntArray:
    """(P,) instance that most keyframes give to a point, after averaging over neighbours (P, k) `rounds` times.

    group (P,) is what the point was merged into, instance (M,) that of every mask. Points nobody has a vote for keep
    their group if a mask was given to it; -1 = none.
    """
    n = len(group)
    known, column = np.unique(instance[instance >= 0], return_inverse=True)
    place = np.full(len(instance), -1)
    place[instance >= 0] = column
    points = [((mask > 0).nonzero()[0]) for mask in observed.mask]
    columns = np.concatenate([place[mask[p]] for mask, p in zip(observed.mask, points, strict=True)])
    rows = np.concatenate(points)
    votes = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(n, len(known)))
    k = neighbor.shape[1]
    average = csr_matrix(
        (np.full(n * k, 1 / k, np.float32), neighbor.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n)
    )
    for _ in range(rounds):
        votes = average @ votes
    best = most_voted(votes)
    return np.where(best == NONE, np.where(np.isin(group, known), group, NONE), known[best])

"""Density clustering of the trained instance features: what the paper compares its aggregation with [IG Table 5]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from sklearn.cluster import HDBSCAN

from benchmarks.baselines.base import Material, Prediction
from ig_ros.instances import PointSet
from ig_ros.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class FeatureHdbscan:
    """HDBSCAN on [feature, position]; the number of clusters comes out."""

    name: str
    position_weight: float = 0.0  # half-space feature units per metre
    min_cluster_size: int = 20  # anchors, at full density
    min_samples: int = 5
    max_points: int = 30000  # its minimum spanning tree is quadratic: above this, a random subsample is clustered
    complete: bool = True  # noise and left-out anchors join their nearest clustered one
    needs_depth: bool = False

    def __call__(self, material: Material, random: np.random.Generator) -> Prediction:
        points, children = material.frozen.points, material.children
        space = self.space(points)
        n = len(space)
        if n <= self.min_cluster_size:
            return Prediction(children.xyz, np.full(len(children.xyz), -1))
        sample = np.sort(random.choice(n, min(n, self.max_points), replace=False))
        least = max(5, round(self.min_cluster_size * len(sample) / n))
        found = HDBSCAN(least, self.min_samples, copy=True).fit_predict(space[sample])
        ids: IntArray = np.full(n, -1, np.int64)
        ids[sample] = found
        if self.complete:
            ids = completed(space, ids)
        return Prediction(children.xyz, ids[children.anchor])

    def space(self, points: PointSet) -> FloatArray:
        """(N, F or F + 3) what distances are taken in."""
        parts = [points.feature]
        if self.position_weight:
            parts.append(self.position_weight * points.xyz)
        return np.concatenate(parts, axis=1).astype(np.float64)


def completed(space: FloatArray, ids: IntArray) -> IntArray:
    """ids (N,) with every -1 replaced by that of the nearest row of space (N, F) that has one, if any has."""
    known, unknown = (ids >= 0).nonzero()[0], (ids < 0).nonzero()[0]
    if not len(known) or not len(unknown):
        return ids
    _, nearest = cKDTree(space[known]).query(space[unknown], workers=-1)
    full = ids.copy()
    full[unknown] = ids[known[nearest]]
    return full

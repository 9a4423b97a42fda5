"""OpenGaussian's two-level codebook of instance features, by k-means on a trained map [OG 3.2]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from benchmarks.baselines.base import Material, Prediction
from ig_ros.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class TwoLevelCodebook:
    """k1 coarse codes on [feature, position], k2 fine codes on the feature within each; an occupied fine code is an
    instance. The numbers are fixed beforehand: the weakness the bottom-up way avoids.

    The authors also train the quantised features on; here codes are k-means centres of features already trained.
    """

    name: str = "two-level codebook"
    coarse: int = 64  # k1 [OG]
    fine: int = 5  # k2 [OG]
    position_weight: float = 0.3  # of position against feature, both at unit variance; better than 1 or 0
    needs_depth: bool = False

    def __call__(self, material: Material, random: np.random.Generator) -> Prediction:
        points, children = material.frozen.points, material.children
        n = len(points.xyz)
        if not n:
            return Prediction(children.xyz, np.zeros(0, np.int64))
        # An anchor counts by what it shows: transparent ones draw no codes to themselves.
        opacity = material.frozen.gaussians.opacities.cpu().numpy().astype(np.float64)
        weight = np.bincount(children.anchor, weights=opacity, minlength=n) + 1e-3
        feature = points.feature.astype(np.float64)
        position = self.position_weight * standard(points.xyz.astype(np.float64))
        coarse = codes(np.concatenate([standard(feature), position], axis=1), weight, self.coarse, random)
        ids = np.zeros(n, np.int64)
        for c in range(int(coarse.max()) + 1):
            mine = coarse == c
            ids[mine] = c * self.fine + codes(feature[mine], weight[mine], self.fine, random)
        return Prediction(children.xyz, np.unique(ids, return_inverse=True)[1][children.anchor])


def standard(rows: FloatArray) -> FloatArray:
    """Rows (N, F) centred and scaled as a whole to a mean squared length of 1: directions keep their proportions."""
    centred: FloatArray = rows - rows.mean(axis=0)
    spread = float(np.sqrt((centred**2).sum(axis=1).mean()))
    return centred / spread if spread > 0 else centred


def codes(rows: FloatArray, weight: FloatArray, count: int, random: np.random.Generator) -> IntArray:
    """(N,) code of each row by weighted k-means from k-means++ seeds; no more codes than distinct rows."""
    count = min(count, len(np.unique(rows, axis=0)))
    means = KMeans(count, n_init=1, random_state=int(random.integers(1 << 31)))
    return np.asarray(means.fit_predict(rows, sample_weight=weight), np.int64)

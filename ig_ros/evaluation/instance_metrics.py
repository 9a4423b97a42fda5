"""Class-agnostic instance quality by best overlap, as the papers' tables have it (METHOD 6), and honest counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ig_ros.distinct import distinct
from ig_ros.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class InstanceScore:
    """Class-agnostic instance quality in percent, and the counts behind it."""

    miou: float  # mean over true instances of the best IoU with any prediction
    ma50: float  # share of true instances whose best IoU exceeds 0.5
    ma25: float
    found: int  # true instances with best IoU > 0.5
    true: int
    predicted: int
    best: dict[int, float]  # true id -> best IoU


@dataclass(frozen=True, slots=True)
class InstanceCounts:
    """How many instances there are: what best overlap, which forgives fragments, cannot tell."""

    predicted: int
    true: int
    matched: int  # pairs with IoU > 0.5; such pairs are one-to-one by themselves, as instances share no points

    @property
    def ratio(self) -> float:
        """Predicted per true instance, 1 = right; 0 without a true one."""
        return self.predicted / self.true if self.true else 0.0


def instance_score(predicted: IntArray, truth: IntArray, min_points: int = 1) -> InstanceScore:
    """Compare ids (P,) on the same points; predicted < 0 is none, truth <= 0 is unlabelled and leaves before unions."""
    overlap = _overlap(predicted, truth)
    best = overlap.iou.max(axis=1, initial=0.0)
    counted = overlap.true_size >= min_points
    scores = best[counted]
    if not len(scores):
        return InstanceScore(0.0, 0.0, 0.0, 0, 0, len(overlap.size), {})
    return InstanceScore(
        miou=100 * float(scores.mean()),
        ma50=100 * float((scores > 0.5).mean()),
        ma25=100 * float((scores > 0.25).mean()),
        found=int((scores > 0.5).sum()),
        true=len(scores),
        predicted=len(overlap.size),
        best={int(i): float(b) for i, b, c in zip(overlap.true_ids, best, counted, strict=True) if c},
    )


def instance_counts(predicted: IntArray, truth: IntArray, min_points: int = 1) -> InstanceCounts:
    """Count instances of at least `min_points` labelled points on either side; ids (P,) as for `instance_score`."""
    overlap = _overlap(predicted, truth)
    wanted, counted = overlap.true_size >= min_points, overlap.size >= min_points
    matched = int((overlap.iou[wanted][:, counted] > 0.5).sum())
    return InstanceCounts(int(counted.sum()), int(wanted.sum()), matched)


@dataclass(frozen=True, slots=True)
class _Overlap:
    true_ids: IntArray  # (T,)
    true_size: IntArray  # (T,) points
    size: IntArray  # (Q,) labelled points of each predicted instance
    iou: FloatArray  # (T, Q)


def _overlap(predicted: IntArray, truth: IntArray) -> _Overlap:
    labelled = truth > 0
    predicted, truth = predicted[labelled], truth[labelled]
    true_ids, t, true_size = distinct(truth)
    ids, p, size = distinct(predicted)
    shared = np.bincount(t * len(ids) + p, minlength=len(true_ids) * len(ids)).reshape(len(true_ids), len(ids))
    iou = shared / (true_size[:, None] + size[None] - shared)
    real = ids >= 0
    return _Overlap(true_ids, true_size, size[real], iou[:, real])

"""Figures of merit, as the papers define them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from skimage.metrics import structural_similarity

from ig_ros.types import BoolArray, FloatArray, IntArray


def psnr(rendered: FloatArray, target: FloatArray) -> float:
    """Returns the peak signal-to-noise ratio in dB of two images with values in [0, 1]."""
    error = float(np.mean((rendered.astype(np.float64) - target) ** 2))
    return -10.0 * math.log10(max(error, 1e-10))


def ssim(rendered: FloatArray, target: FloatArray) -> float:
    """Returns the structural similarity (Gaussian window, sigma 1.5) of two (H, W, 3) images with values in [0, 1]."""
    return float(
        structural_similarity(rendered, target, channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5)
    )


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
class Overlap:
    """T true and Q predicted instances on the same points, each in the order of their first points."""

    true_ids: IntArray  # (T,)
    true_size: IntArray  # (T,) points
    ids: IntArray  # (Q,)
    size: IntArray  # (Q,) points, unlabelled ones included
    labelled: IntArray  # (Q,) of them labelled
    shared: IntArray  # (T, Q) points

    @classmethod
    def of(cls, predicted: IntArray, truth: IntArray) -> Overlap:
        """Counts the points of ids (P,) and those they share; predicted < 0 is none, truth <= 0 is unlabelled."""
        taken, labelled = predicted >= 0, truth > 0
        true_ids, true_size, true_place = _by_appearance(truth, labelled)
        ids, size, place = _by_appearance(predicted, taken)
        shared = np.zeros((len(true_ids), len(ids)), np.int64)
        np.add.at(shared, (true_place[taken & labelled], place[taken & labelled]), 1)
        return cls(true_ids, true_size, ids, size, shared.sum(axis=0), shared)

    def only(self, rows: BoolArray, columns: BoolArray) -> Overlap:
        """Returns the true instances of the mask rows (T,) and the predicted ones of columns (Q,)."""
        return Overlap(
            self.true_ids[rows], self.true_size[rows], self.ids[columns], self.size[columns], self.labelled[columns],
            self.shared[rows][:, columns],
        )  # fmt: skip

    @property
    def iou(self) -> FloatArray:
        """(T, Q), unlabelled points taken out."""
        union: IntArray = self.true_size[:, None] + self.labelled[None] - self.shared
        return np.asarray(self.shared / union)


def _by_appearance(values: IntArray, chosen: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Returns the different chosen values by first appearance, how often each occurs, and the place (P,) of each."""
    different, first, inverse, counts = np.unique(
        values[chosen], return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    place: IntArray = np.full(len(values), -1)
    place[chosen] = np.argsort(order)[inverse]
    return different[order], counts[order], place


def instance_score(predicted: IntArray, truth: IntArray, min_points: int = 1) -> InstanceScore:
    """Compares ids (P,) on the same points; predicted < 0 is none, truth <= 0 is unlabelled and leaves before unions.

    True instances under `min_points` points are left out.
    """
    overlap = Overlap.of(predicted, truth)
    best = overlap.iou.max(axis=1, initial=0.0)
    counted = overlap.true_size >= min_points
    scores, count = best[counted], int((overlap.labelled > 0).sum())
    if not len(scores):
        return InstanceScore(0.0, 0.0, 0.0, 0, 0, count, {})
    return InstanceScore(
        miou=100 * float(scores.mean()),
        ma50=100 * float((scores > 0.5).mean()),
        ma25=100 * float((scores > 0.25).mean()),
        found=int((scores > 0.5).sum()),
        true=len(scores),
        predicted=count,
        best=dict(sorted(zip(overlap.true_ids[counted].tolist(), scores.tolist(), strict=True))),
    )


@dataclass(frozen=True, slots=True)
class SemanticScore:
    """Percent; classes that the scene does not have take no part in the means."""

    miou: float  # 0 where no point has a true class
    macc: float
    iou: Mapping[int, float]  # true class -> IoU in [0, 1]
    accuracy: Mapping[int, float]  # true class -> share of its points that were given it


def semantic_score(predicted: IntArray, truth: IntArray) -> SemanticScore:
    """Compares classes (P,) on the same points: predicted < 0 is unknown and wrong, truth < 0 is left out."""
    known = truth >= 0
    predicted, truth = predicted[known], truth[known]
    iou, accuracy = {}, {}
    for c in np.unique(truth).tolist():
        given, wanted = predicted == c, truth == c
        hits = int((given & wanted).sum())
        iou[c] = hits / int((given | wanted).sum())
        accuracy[c] = hits / int(wanted.sum())
    if not iou:
        return SemanticScore(0.0, 0.0, {}, {})
    return SemanticScore(100 * sum(iou.values()) / len(iou), 100 * sum(accuracy.values()) / len(iou), iou, accuracy)


def score_entry(score: Any) -> dict[str, Any]:
    """Returns a score of this package (a dataclass) as JSON-ready values, rounded."""
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in dataclasses.asdict(score).items()}

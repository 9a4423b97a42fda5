"""Figures of merit, as the papers define them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

from ig_ros.raster.counting import unique_ids
from ig_ros.types import FloatArray, IntArray


def psnr(rendered: FloatArray, target: FloatArray) -> float:
    """Peak signal-to-noise ratio in dB of two images with values in [0, 1]."""
    error = float(np.mean((rendered.astype(np.float64) - target) ** 2))
    return -10.0 * math.log10(max(error, 1e-10))


def ssim(rendered: FloatArray, target: FloatArray) -> float:
    """Structural similarity (Gaussian window, sigma 1.5) of two (H, W, 3) images with values in [0, 1]."""
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
    true_ids, t, true_size = unique_ids(truth)
    ids, p, size = unique_ids(predicted)
    shared = np.bincount(t * len(ids) + p, minlength=len(true_ids) * len(ids)).reshape(len(true_ids), len(ids))
    iou = shared / (true_size[:, None] + size[None] - shared)
    real = ids >= 0
    return _Overlap(true_ids, true_size, size[real], iou[:, real])


@dataclass(frozen=True, slots=True)
class SemanticScore:
    """Percent; classes that the scene does not have take no part in the means."""

    miou: float  # 0 where no point has a true class
    macc: float
    iou: Mapping[int, float]  # true class -> IoU in [0, 1]
    accuracy: Mapping[int, float]  # true class -> share of its points that were given it


def semantic_score(predicted: IntArray, truth: IntArray) -> SemanticScore:
    """Compare classes (P,) on the same points: predicted < 0 is unknown and wrong, truth < 0 is left out."""
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


BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SelectionView:
    """One query in one annotated view."""

    place: int  # of the view in its dataset
    query: str
    predicted: BoolArray  # (H, W), all False where nothing was found
    truth: BoolArray  # (H, W), not empty


@dataclass(frozen=True, slots=True)
class SelectionScore:
    """Percent, over all (view, query) pairs alike."""

    miou: float  # 0 without a pair
    macc25: float  # share of pairs with IoU > 0.25, the paper's mAcc@0.25
    iou: Mapping[tuple[int, str], float]  # (place, query) -> IoU in [0, 1]


def selection_score(views: Iterable[SelectionView]) -> SelectionScore:
    """Score every pair. Raises ValueError for masks of two sizes, an empty true mask and a pair that comes twice."""
    iou: dict[tuple[int, str], float] = {}
    for view in views:
        name = f"'{view.query}' in view {view.place}"
        if view.predicted.shape != view.truth.shape:
            raise ValueError(f"{name}: predicted mask is {view.predicted.shape}, the true one {view.truth.shape}")
        if not view.truth.any():
            raise ValueError(f"{name}: the true mask is empty, so there is nothing to select")
        if (view.place, view.query) in iou:
            raise ValueError(f"{name} comes twice")
        union = int((view.predicted | view.truth).sum())
        iou[view.place, view.query] = int((view.predicted & view.truth).sum()) / union
    if not iou:
        return SelectionScore(0.0, 0.0, {})
    values = np.array(list(iou.values()))
    return SelectionScore(100 * float(values.mean()), 100 * float((values > 0.25).mean()), iou)

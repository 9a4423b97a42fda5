"""Average precision of instances after the protocol of the ScanNet benchmark (its evaluate_semantic_instance).

A prediction is right at a threshold if its IoU with a true instance that is still free exceeds it; predictions choose
in order of confidence. Precision over recall, one point per distinct confidence and (recall 0, precision 1) in front,
is integrated by trapezoids. What lies mostly on nothing that counts (unlabelled points, true instances below the
minimum size) is no error. Every prediction owns its points, so above IoU 0.5 the matching is unique.

Differences from the benchmark's script, each on purpose: unlabelled points leave before unions (docs/method.md,
section 6; the script leaves them inside); below IoU 0.5 the script lets true instances choose in the order of the file,
here the most confident prediction chooses first, then the larger IoU, so that ids do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ig_ros.evaluation.metrics import Overlap
from ig_ros.types import BoolArray, FloatArray, IntArray

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))  # 0.5:0.05:0.95; the benchmark's script stops at 0.90
MIN_REGION = 100  # points: the benchmark's smallest instance


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Percent, and the instances that counted; 0 without a true one."""

    ap: float  # mean over the thresholds
    ap50: float
    ap25: float
    true: int
    predicted: int


@dataclass(frozen=True, slots=True)
class ClassAveragePrecision:
    """Percent, means over the classes the scene has; 0 without one."""

    ap: float
    ap50: float
    ap25: float
    by_class: Mapping[int, AveragePrecision]


def instance_average_precision(
    predicted: IntArray,
    confidence: Mapping[int, float],
    truth: IntArray,
    min_points: int = MIN_REGION,
) -> AveragePrecision:
    """Returns class-agnostic AP of ids (P,) on the same points; predicted < 0 is none, truth <= 0 is unlabelled.

    `min_points` bounds true and predicted instances alike (100 on ScanNet's meshes). Raises KeyError for a predicted
    id without confidence.
    """
    return _evaluate(Overlap.of(predicted, truth), confidence, min_points)


def class_average_precision(
    predicted: IntArray,
    confidence: Mapping[int, float],
    predicted_classes: Mapping[int, int],
    truth: IntArray,
    true_classes: Mapping[int, int],
    min_points: int = MIN_REGION,
) -> ClassAveragePrecision:
    """Returns AP per class and its mean: only instances of one class meet.

    The classes map instance ids to classes. A true instance without one is unlabelled; a predicted instance without
    one is of no class and left out; a class without a true instance of `min_points` takes no part in the mean.
    """
    truth = np.where(np.isin(truth, list(true_classes)), truth, 0)
    overlap = Overlap.of(predicted, truth)
    by_class = {}
    for c in sorted(set(true_classes.values())):
        rows = np.array([true_classes[i] == c for i in overlap.true_ids.tolist()], bool)
        columns = np.array([predicted_classes.get(i) == c for i in overlap.ids.tolist()], bool)
        score = _evaluate(overlap.only(rows, columns), confidence, min_points)
        if score.true:
            by_class[c] = score
    values = list(by_class.values())
    n = max(len(values), 1)
    return ClassAveragePrecision(
        sum(v.ap for v in values) / n, sum(v.ap50 for v in values) / n, sum(v.ap25 for v in values) / n, by_class
    )


def _evaluate(overlap: Overlap, confidence: Mapping[int, float], min_points: int) -> AveragePrecision:
    overlap = overlap.only(np.ones(len(overlap.true_ids), bool), overlap.size >= min_points)
    counted = overlap.true_size >= min_points
    score = np.array([confidence[i] for i in overlap.ids.tolist()], float)
    at = {t: _precision_area(overlap, score, counted, t) for t in {*THRESHOLDS, 0.5, 0.25}}
    mean = sum(at[t] for t in THRESHOLDS) / len(THRESHOLDS)
    return AveragePrecision(100 * mean, 100 * at[0.5], 100 * at[0.25], int(counted.sum()), len(overlap.ids))


def _precision_area(overlap: Overlap, confidence: FloatArray, counted: BoolArray, threshold: float) -> float:
    """Returns the area in [0, 1] under precision over recall at one IoU threshold; `counted` (T,) are to be found."""
    if not counted.any():
        return 0.0
    iou = overlap.iou
    near = iou > threshold
    correct = _match(iou[counted], confidence, threshold)
    # a prediction on what is not evaluated is no error: on a true instance below the minimum, or mostly on such points
    beside = overlap.size - overlap.labelled + overlap.shared[~counted].sum(axis=0)
    excused = ~near[counted].any(axis=0) & (near[~counted].any(axis=0) | (beside > threshold * overlap.size))
    judged = correct | ~excused
    return _area(confidence[judged], correct[judged], int(counted.sum()))


def _match(iou: FloatArray, confidence: FloatArray, threshold: float) -> BoolArray:
    """Which of the predictions (Q,) get a true instance of their own, iou (T, Q)."""
    rows, columns = (iou > threshold).nonzero()
    order = np.lexsort((columns, -iou[rows, columns], -confidence[columns]))
    free, matched = np.ones(len(iou), bool), np.zeros(len(confidence), bool)
    for row, column in zip(rows[order], columns[order], strict=True):
        if free[row] and not matched[column]:
            free[row], matched[column] = False, True
    return matched


def _area(confidence: FloatArray, correct: BoolArray, true: int) -> float:
    order = np.argsort(-confidence, kind="stable")
    score, hits = confidence[order], np.cumsum(correct[order])
    last = np.append(score[1:] != score[:-1], True)[: len(score)]  # equally confident predictions come in together
    hits, judged = hits[last], last.nonzero()[0] + 1
    return float(np.trapezoid(np.append(1.0, hits / judged), np.append(0.0, hits / true)))

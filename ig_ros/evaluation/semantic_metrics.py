"""Open-vocabulary semantic quality: IoU and accuracy per class of the scene, then the mean (METHOD 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ig_ros.types import IntArray


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

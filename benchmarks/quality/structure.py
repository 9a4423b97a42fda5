"""Whether large things stay whole, and how quality depends on size."""

from __future__ import annotations

import numpy as np

from ig_ros.datasets import SceneTruth
from ig_ros.evaluation.metrics import InstanceScore
from ig_ros.types import IntArray

LARGE = ("floor", "table", "wall")
MATCHED = 0.5  # IoU above which a true instance counts as found
INTRUDER = 0.1  # share of its points another instance may hold while it still counts as whole
SIZES = {"small": (0.0, 0.15), "medium": (0.15, 0.6), "large": (0.6, np.inf)}  # m, longest edge of the upright box


def whole(predicted: IntArray, truth: IntArray, score: InstanceScore) -> dict[int, bool]:
    """True instance -> whether it came out as one.

    That is: its best IoU exceeds MATCHED, and no other predicted instance covers more than INTRUDER of its points.
    """
    result = {}
    for i, best in score.best.items():
        inside = predicted[truth == i]
        _, count = np.unique(inside[inside >= 0], return_counts=True)
        others = np.sort(count)[:-1]
        result[i] = bool(best > MATCHED and (not len(others) or others[-1] <= INTRUDER * len(inside)))
    return result


def whole_structure(predicted: IntArray, truth: SceneTruth, score: InstanceScore) -> dict[str, list[bool]]:
    """Name of a large thing -> for each of them in the scene whether it came out as one instance."""
    one = whole(predicted, truth.ids, score)
    found: dict[str, list[bool]] = {}
    for i, name in truth.names.items():
        if name in LARGE and i in one:
            found.setdefault(name, []).append(one[i])
    return found


def iou_by_size(truth: SceneTruth, score: InstanceScore) -> dict[str, list[float]]:
    """Size class -> best IoU (percent) of every true instance of that size."""
    result: dict[str, list[float]] = {size: [] for size in SIZES}
    for i, best in score.best.items():
        edge = float(np.ptp(truth.points[truth.ids == i], axis=0).max())
        size = next(s for s, (low, high) in SIZES.items() if low <= edge < high)
        result[size].append(100 * best)
    return result

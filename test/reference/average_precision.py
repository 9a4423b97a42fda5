"""Slow truth for average precision: sets of points, every cut of the confidence counted anew (ScanNet's protocol)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np

Points = dict[int, set[int]]  # id -> its points


def instances(ids: np.ndarray, least: int) -> Points:
    """The points of every id >= least, in the order in which the ids appear."""
    found: Points = {}
    for point, i in enumerate(ids.tolist()):
        if i >= least:
            found.setdefault(i, set()).add(point)
    return found


def slow_average_precision(
    predicted: np.ndarray,
    confidence: Mapping[int, float],
    truth: np.ndarray,
    min_points: int,
    thresholds: Sequence[float],
) -> float:
    """Mean area under precision over recall in percent, 0 without a true instance."""
    true = instances(truth, 1)
    found = {i: points for i, points in instances(predicted, 0).items() if len(points) >= min_points}
    labelled = set().union(*true.values()) if true else set()
    wanted = {i: points for i, points in true.items() if len(points) >= min_points}
    small = {i: points for i, points in true.items() if len(points) < min_points}
    if not wanted:
        return 0.0
    areas = [slow_area(found, confidence, wanted, small, labelled, Fraction(str(t))) for t in thresholds]
    return 100 * float(sum(areas, Fraction(0)) / len(areas))


def slow_area(
    found: Points,
    confidence: Mapping[int, float],
    wanted: Points,
    small: Points,
    labelled: set[int],
    threshold: Fraction,
) -> Fraction:
    """Area under the broken line through (0, 1) and one point of (recall, precision) per confidence."""

    def iou(points: set[int], true: set[int]) -> Fraction:
        points = points & labelled
        return Fraction(len(points & true), len(points | true)) if points | true else Fraction(0)

    pairs = [(p, t) for p in found for t in wanted if iou(found[p], wanted[t]) > threshold]
    rights: dict[int, int] = {}
    for p, t in sorted(pairs, key=lambda pair: (-confidence[pair[0]], -iou(found[pair[0]], wanted[pair[1]]))):
        if p not in rights and t not in rights.values():
            rights[p] = t
    wrongs = []
    for p, points in found.items():
        nothing = points - labelled | {x for t in small.values() for x in points & t}
        on_small = any(iou(points, t) > threshold for t in small.values())
        excused = on_small or Fraction(len(nothing), len(points)) > threshold
        if p not in rights and (any(q == p for q, _ in pairs) or not excused):
            wrongs.append(p)
    line = [(Fraction(0), Fraction(1))]
    for cut in sorted({confidence[p] for p in [*rights, *wrongs]}, reverse=True):
        right = sum(confidence[p] >= cut for p in rights)
        wrong = sum(confidence[p] >= cut for p in wrongs)
        line.append((Fraction(right, len(wanted)), Fraction(right, right + wrong)))
    return sum(((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(line)), Fraction(0))

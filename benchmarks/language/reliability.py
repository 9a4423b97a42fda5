"""Is an answer with a score of 0.8 right four times out of five? [Guo et al. 2017]"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.language.asking import Answer

BINS = 5


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose scores lie between `low` and `high`."""

    low: float
    high: float
    answers: int
    score: float  # mean
    right: float  # share


def reliability(answers: Sequence[Answer]) -> list[Bin]:
    """Filled bins of the scores of all answers given; refusals have no score."""
    given = [e for e in answers if e.given]
    score, right = np.array([e.score for e in given]), np.array([e.right for e in given], float)
    place = np.minimum((score * BINS).astype(int), BINS - 1)
    return [
        Bin(b / BINS, (b + 1) / BINS, int((place == b).sum()), float(score[place == b].mean()),
            float(right[place == b].mean()))
        for b in np.unique(place)
    ]  # fmt: skip


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: the mean gap between score and share of right answers, by answers."""
    total = sum(b.answers for b in bins)
    return round(sum(b.answers * abs(b.score - b.right) for b in bins) / max(total, 1), 3)

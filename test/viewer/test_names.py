"""Names of things beside each other do not lie on each other, those that stand apart stay where they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ig_ros.viewer.scene import apart


def test_names_that_would_cover_each_other_are_stacked() -> None:
    places = [np.array(p) for p in ((0.0, 0, 1.0), (0.01, 0, 1.0), (0.0, 0.02, 1.01), (2.0, 0, 0.5))]
    moved = apart(places, 0.1)
    for a, b in itertools.combinations(moved, 2):
        assert np.linalg.norm(a - b) >= 0.1
    for before, after in zip(places, moved, strict=True):
        assert after[:2] == pytest.approx(before[:2])
        assert after[2] >= before[2]
    assert moved[3] == pytest.approx(places[3])
    assert apart([], 0.1) == []

"""Rows by label, and what is remembered of groups that are as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_ros.instances.groups import Remembered, rows_of

LABELS = st.lists(st.integers(-1, 4), min_size=1, max_size=30).map(lambda values: np.array(values, np.int64))


@given(LABELS)
def test_rows_of_every_label_come_in_order(labels: np.ndarray) -> None:
    found = rows_of(labels, 5)
    assert len(found) == 5
    for label, rows in enumerate(found):
        np.testing.assert_array_equal(rows, np.flatnonzero(labels == label))


def test_no_labels_have_no_rows() -> None:
    assert rows_of(np.zeros(0, np.int64), 0) == []


@settings(deadline=None)
@given(st.data())
def test_what_is_remembered_is_what_would_be_found(data: st.DataObject) -> None:
    """Groups change their numbers and members, points move, come and go; the answers are those of a first run."""
    memory: Remembered[float] = Remembered()
    value, kept = np.zeros(0), np.zeros(0, np.int64)
    for _ in range(3):
        labels = data.draw(LABELS)
        kept = np.full(len(labels), -1)
        survivors = min(len(value), len(labels))
        if survivors:
            stays = np.array(data.draw(st.lists(st.booleans(), min_size=survivors, max_size=survivors)))
            kept[:survivors] = np.where(stays, np.arange(survivors), -1)
        fresh = np.random.default_rng(len(labels)).random(len(labels)) + data.draw(st.integers(1, 1000))
        value = np.where(kept >= 0, np.append(value, 0)[kept], fresh)
        size = int(labels.max()) + 1
        found = memory.each(labels, kept, size, lambda rows, of=value: float(of[rows].sum()))
        assert found == pytest.approx([value[labels == g].sum() for g in range(size)])


def test_only_changed_groups_are_looked_at_again() -> None:
    memory: Remembered[int] = Remembered()
    looked: list[list[int]] = []
    labels, kept = np.array([0, 0, 1, 1, 2, -1]), np.full(6, -1)

    def look(rows: np.ndarray) -> int:
        looked.append(rows.tolist())
        return len(looked)

    assert memory.each(labels, kept, 3, look) == [1, 2, 3]
    kept = np.array([0, 1, -1, 3, 4, 5])  # a point of group 1 has moved; the groups have other numbers now
    assert memory.each(np.array([2, 2, 0, 0, 1, -1]), kept, 3, look) == [4, 3, 1]
    assert looked[3:] == [[2, 3]]
    assert memory.each(np.array([2, 2, 0, 0, 1, 1]), np.arange(6), 3, look) == [4, 5, 1], "one has come to group 1"
    assert memory.each(np.array([0, 0, -1, -1, -1, -1]), np.arange(6), 1, look) == [1]
    assert memory.each(np.array([0, -1, -1, -1, -1, -1]), np.arange(6), 1, look) == [6], "one has left it"

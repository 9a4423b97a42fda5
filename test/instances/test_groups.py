"""Rows by label, and work on every group."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ig_ros.instances.groups import map_groups, rows_of

LABELS = st.lists(st.integers(-1, 4), min_size=1, max_size=30).map(lambda values: np.array(values, np.int64))


@given(LABELS)
def test_rows_of_every_label_come_in_order(labels: np.ndarray) -> None:
    found = rows_of(labels, 5)
    assert len(found) == 5
    for label, rows in enumerate(found):
        np.testing.assert_array_equal(rows, np.flatnonzero(labels == label))


def test_no_labels_have_no_rows() -> None:
    assert rows_of(np.zeros(0, np.int64), 0) == []


@given(LABELS)
def test_work_is_done_on_every_group(labels: np.ndarray) -> None:
    value = np.arange(len(labels)) ** 2
    size = int(labels.max()) + 1
    assert map_groups(lambda rows: int(value[rows].sum()), labels, size) == [
        int(value[labels == g].sum()) for g in range(size)
    ]

"""The largest entry of each row, against a plain loop."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.baselines.votes import NONE, most_voted


def test_most_votes_win_and_the_first_of_equals() -> None:
    random = np.random.default_rng(3)
    dense = random.integers(0, 4, (200, 9)) * (random.uniform(size=(200, 1)) < 0.8)
    row, column = random.permutation(np.argwhere(dense > 0)).T  # unordered, as votes are collected
    found = most_voted(csr_matrix((dense[row, column].astype(float), (row, column)), shape=dense.shape))
    for entries, best in zip(dense, found.tolist(), strict=True):
        assert best == (NONE if entries.max() == 0 else int(np.argmax(entries)))


def test_votes_given_twice_count_twice() -> None:
    votes = csr_matrix((np.ones(3), ([0, 0, 0], [1, 2, 2])), shape=(2, 3))
    assert most_voted(votes).tolist() == [2, NONE]
    assert most_voted(csr_matrix((0, 3))).tolist() == []

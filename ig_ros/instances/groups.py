"""Labels that number groups of points: their order, and which of them are what they were in the run before."""

from __future__ import annotations

import numpy as np

from ig_ros.types import BoolArray, IntArray


def changed_groups(now: IntArray, before: IntArray, size: IntArray) -> BoolArray:
    """(S,) whether group s of `now` (G,) is not exactly one group of the last run; before (G,) is each point's there.

    -1 in `before` = the point is new or changed; size (S',) points of each group in the last run.
    """
    groups = int(now.max(initial=-1)) + 1
    total = np.bincount(now, minlength=groups)
    one = np.full(groups, -1)
    one[now] = before
    alike = np.bincount(now, weights=(before == one[now]) & (before >= 0), minlength=groups) == total
    return np.asarray(~alike | (size[one] != total))


def in_order(labels: IntArray) -> IntArray:
    """(N,) labels numbered from 0 in the order of their first point."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    ordered: IntArray = number[inverse]
    return ordered

"""Labels that number groups of points: their order, and what of them is as it was in the run before."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
import torch
from scipy.sparse import csr_matrix

from ig_ros.types import BoolArray, IntArray

T = TypeVar("T")


class Remembered(Generic[T]):
    """What was found out about groups of points, kept for those with exactly the points they had, in their order."""

    def __init__(self) -> None:
        self._labels: IntArray = np.zeros(0, np.int64)
        self._found: list[T] = []

    def each(self, labels: IntArray, kept: IntArray, size: int, find: Callable[[IntArray], T]) -> list[T]:
        """`find` of the rows of every group from 0 to below size, on several threads; labels (N,), -1 = of none.

        kept (N,) is the row in the last run of a point that is as it was, -1 = it is new or changed.
        """
        own = np.flatnonzero(labels >= 0)
        known = kept[own] if len(self._labels) else np.full(len(own), -1)
        before = np.where(known >= 0, np.append(self._labels, -1)[known], -1)
        changed = np.ones(size, bool)
        now = changed_groups(labels[own], before, np.bincount(self._labels[self._labels >= 0], minlength=1))
        then = np.full(size, -1)
        then[labels[own]] = before
        changed[: len(now)] = now
        changed |= then < 0  # nobody is in it
        changed[labels[own][_out_of_order(labels[own], known)]] = True
        rows = rows_of(np.where(np.append(changed, False)[labels], labels, -1), size)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            fresh = pool.map(find, (rows[g] for g in np.flatnonzero(changed)))
            self._found = [next(fresh) if changed[g] else self._found[then[g]] for g in range(size)]
        self._labels = labels.astype(np.int64)
        return self._found


class Splitter:
    """Splits groups of points by a rule that looks at each alone; remembers the last run, so that only groups that
    changed are looked at."""

    def __init__(self) -> None:
        self._before: IntArray = np.zeros(0, np.int64)  # (G,) group of each point of the last run ...
        self._after: IntArray = np.zeros(0, np.int64)  # ... and the part it became

    def split(self, labels: IntArray, kept: IntArray, rule: Callable[[IntArray, IntArray], IntArray]) -> IntArray:
        """(G,) parts in the order of their first point.

        labels (G,); kept (G,) the row in the last run of a point about which the rule would learn what it learnt then,
        else -1; the rule gets labels from 0 of some rows of the points, and these rows, and returns labels of parts.
        """
        before = np.where(kept >= 0, self._before[kept], -1) if len(self._before) else np.full(len(labels), -1)
        changed = changed_groups(labels, before, np.bincount(self._before, minlength=1))[labels]
        after = np.zeros(len(labels), np.int64)
        after[~changed] = self._after[kept[~changed]] if len(self._after) else 0
        rows = np.flatnonzero(changed)
        if len(rows):
            _, local = np.unique(labels[rows], return_inverse=True)
            after[rows] = rule(local, rows) + int(self._after.max(initial=-1)) + 1
        self._before, self._after = labels.astype(np.int64), in_order(after)
        return self._after


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


def _out_of_order(labels: IntArray, row: IntArray) -> IntArray:
    """Points (n,) whose row in the last run comes before that of an earlier point with the same label."""
    if (np.diff(row[row >= 0]) > 0).all():  # as long as nothing came back from disk
        return np.zeros(0, np.int64)
    order = np.argsort(labels, kind="stable")
    back = (np.diff(row[order]) < 0) & (np.diff(labels[order]) == 0)
    found: IntArray = order[1:][back]
    return found


def in_order(labels: IntArray) -> IntArray:
    """(N,) labels, not far below 0 nor above N, numbered from 0 in the order of their first point."""
    low = int(labels.min(initial=0))
    n, size = len(labels), int(labels.max(initial=-1)) + 1 - low
    first = np.full(size, n)
    first[labels[::-1] - low] = np.arange(n)[::-1]  # of equal places the last one written stays: the first point
    found = np.flatnonzero(first < n)
    number = np.zeros(size, np.int64)
    number[found[np.argsort(first[found])]] = np.arange(len(found))
    ordered: IntArray = number[labels - low]
    return ordered


def rows_of(labels: IntArray, size: int) -> list[IntArray]:
    """For every label from 0 to below size the rows of labels (N,) that bear it, ascending; -1 = none."""
    own = np.flatnonzero(labels >= 0)
    ones = np.ones(len(own), np.int8)
    by_label = csr_matrix((ones, (labels[own], own)), shape=(size, len(labels)))  # counts: faster than sorting
    return list(np.split(by_label.indices, by_label.indptr[1:-1])) if size else []

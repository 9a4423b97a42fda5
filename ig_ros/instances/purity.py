"""Splitting sub-objects that straddle a border the masks know and the geometry does not: a pen lying on a table.

A point's signature is the mask it falls on in each view that sees it. In an impure sub-object two signatures are mixed;
a two-means on signatures (comparing only views that see the point) tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ig_ros.instances.observations import UNLABELLED, Observations
from ig_ros.raster import counting
from ig_ros.types import BoolArray, FloatArray, IntArray

IMPURITY = 0.15  # mean share of visible points outside a view's top mask, from which a sub-object is looked at
GAIN = 0.5  # a split must take away at least this share of the impurity
MIN_POINTS = 6  # in each part
ROUNDS = 3  # a part may be split again
STEPS = 4  # of the two-means


def purify(labels: IntArray, rows: IntArray, observed: Observations) -> IntArray:
    """(n,) int32 labels with impure sub-objects split; labels (n,) are those of the points rows (n,) of `observed`."""
    labels = labels.astype(np.int64)
    suspects = np.arange(labels.max() + 1)
    for _ in range(ROUNDS):
        suspects = suspects[impurity(labels, rows, observed, suspects) > IMPURITY]
        order = np.argsort(labels, kind="stable")
        start = np.searchsorted(labels[order], np.arange(labels.max() + 2))
        born = []
        for s in suspects.tolist():
            members = order[start[s] : start[s + 1]]
            second = _second_part(observed.mask[:, rows[members]])
            if second is not None:
                born.append(int(labels.max()) + 1)
                labels[members[second]] = born[-1]
                born.append(s)
        suspects = np.array(born, np.int64)
        if not born:
            break
    return labels.astype(np.int32)


def impurity(labels: IntArray, rows: IntArray, observed: Observations, among: IntArray) -> FloatArray:
    """(S,) mean over views of the share of labelled points outside the top mask there of the sub-objects among (S,).

    labels (n,) are those of the points rows (n,) of `observed`.
    """
    place = np.full(int(labels.max(initial=-1)) + 1, -1)
    place[among] = np.arange(len(among))
    own = np.flatnonzero(place[labels] >= 0)
    masks = np.bincount(observed.view_of_column[1:], minlength=len(observed.mask))
    lost, seen = counting.impurity(observed.mask, masks, rows[own], place[labels[own]], len(among))
    share: FloatArray = lost / np.maximum(seen, 1)
    return share


@dataclass(frozen=True, slots=True)
class _Signatures:
    """The masks of some points: entry e says that point[e] lies on mask place[e]."""

    points: int
    point: IntArray  # (E,)
    place: IntArray  # (E,)
    view_of: IntArray  # (C,) view of each mask

    def count(self, some: BoolArray) -> FloatArray:
        """(C,) how many of some (n,) of the points lie on each mask."""
        return np.bincount(self.place[some[self.point]], minlength=len(self.view_of)).astype(np.float64)

    def sums(self, value: FloatArray | BoolArray) -> FloatArray:
        """(n,) sum of value (C,) over the masks of each point."""
        return np.bincount(self.point, value[self.place], self.points).astype(np.float64)


def _second_part(mask: IntArray) -> IntArray | None:
    """Members (by place) of the smaller part of a sub-object with masks (K, n), None if it does not fall in two."""
    n = mask.shape[1]
    mask = mask[(mask > UNLABELLED).sum(1) >= 2]
    if n < 2 * MIN_POINTS or not len(mask):
        return None
    signatures = _signatures(mask)
    part = _two_means(signatures)
    if part is None:
        return None
    before = _outside_top(signatures.count(part >= 0), signatures.view_of).sum()
    after = sum(_outside_top(signatures.count(part == c), signatures.view_of).sum() for c in (0, 1))
    size = np.bincount(part, minlength=2)
    if size.min() < MIN_POINTS or after > GAIN * before:
        return None
    return np.flatnonzero(part == size.argmin())


def _signatures(mask: IntArray) -> _Signatures:
    """Those of points with masks (K, n)."""
    view, point = (mask > UNLABELLED).nonzero()
    column = mask[view, point]
    known = np.bincount(column) > 0
    place = (np.cumsum(known) - 1)[column]
    view_of = np.zeros(int(known.sum()), np.int64)
    view_of[place] = view
    return _Signatures(mask.shape[1], point, place, view_of)


def _two_means(signatures: _Signatures) -> IntArray | None:
    """(n,) part 0 or 1 of each point; None: no view has two.

    It starts from the view that is divided most evenly; a point belongs where its masks are the common ones, on average
    over the views that see it.
    """
    view_of = signatures.view_of
    count = signatures.count(np.ones(signatures.points, bool))
    outside = _outside_top(count, view_of)
    pivot = int(outside.argmax())
    if outside[pivot] < 2:
        return None
    candidates = np.flatnonzero(view_of == pivot)
    columns = np.arange(len(view_of))
    two = candidates[np.argsort(-count[candidates], kind="stable")[:2]]
    mine = np.stack([signatures.sums(columns == c) > 0 for c in two])
    for _ in range(STEPS):
        score = np.zeros(mine.shape)
        for c in (0, 1):
            histogram = signatures.count(mine[c])
            total = np.bincount(view_of, weights=histogram)[view_of]
            known = signatures.sums(total > 0)
            score[c] = signatures.sums(histogram / np.maximum(total, 1)) / np.maximum(known, 1)
        part = (score[1] > score[0]).astype(np.int64)
        mine = np.stack([part == 0, part == 1])
        if not mine.any(1).all():
            return None
    found: IntArray = part
    return found


def _outside_top(count: FloatArray, view_of: IntArray) -> FloatArray:
    """(K,) points outside each view's most frequent mask. count (C,) per mask, view_of (C,)."""
    views = int(view_of.max()) + 1
    top = np.zeros(views)
    np.maximum.at(top, view_of, count)
    outside: FloatArray = np.bincount(view_of, weights=count, minlength=views) - top
    return outside

"""Splitting sub-objects that lie across a border: one that the masks know, or a concave crease."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ig_ros.instances.groups import in_order
from ig_ros.instances.region_graph import CREASE
from ig_ros.instances.visibility import UNLABELLED, Observations
from ig_ros.raster import counting
from ig_ros.types import BoolArray, FloatArray, IntArray

IMPURITY = 0.15  # mean share of visible points outside a view's top mask, from which a sub-object is looked at
ROUNDS = 3  # in which parts may be split again, and of each two-means


def split_sub_objects(
    labels: IntArray, xyz: FloatArray, observed: Observations, normal: FloatArray, least: int
) -> IntArray:
    """Returns (G,) sub-objects of Gaussians, those split of which the masks or the normals say that they are two.

    labels (G,), xyz (G, 3) m, normal (G, 3) unit or zero; each part has at least `least` points. The result is numbered
    in the order of first points.
    """
    everything = np.arange(len(labels))
    pure = in_order(purify(np.unique(labels, return_inverse=True)[1], everything, observed, least))
    return in_order(crease_parts(pure, xyz, normal, least))


def purify(labels: IntArray, rows: IntArray, observed: Observations, least: int) -> IntArray:
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
            second = _second_part(observed.mask[:, rows[members]], least)
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


def _second_part(mask: IntArray, least: int) -> IntArray | None:
    """Members (by place) of the smaller part of a sub-object with masks (K, n), None if it does not fall in two."""
    n = mask.shape[1]
    mask = mask[(mask > UNLABELLED).sum(1) >= 2]
    if n < 2 * least or not len(mask):
        return None
    signatures = _signatures(mask)
    part = _two_means(signatures)
    if part is None:
        return None
    before = _outside_top(signatures.count(part >= 0), signatures.view_of).sum()
    after = sum(_outside_top(signatures.count(part == c), signatures.view_of).sum() for c in (0, 1))
    size = np.bincount(part, minlength=2)
    if size.min() < least or 2 * after > before:
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
    for _ in range(ROUNDS):
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


FLAT = 0.8  # least length of each part's mean normal: what is round has no two sides


def crease_parts(labels: IntArray, xyz: FloatArray, normal: FloatArray, least: int) -> IntArray:
    """(n,) labels in which sub-objects with a concave crease inside are two; the second part's are counted on.

    labels (n,) from 0, xyz (n, 3) m, normal (n, 3) unit towards the cameras, zero = unknown. Normals of a sub-object
    are divided by a two-means that starts along their largest spread.
    """
    size = int(labels.max(initial=-1)) + 1
    known = normal.any(1)
    label, direction, place = labels[known].astype(np.int64), normal[known].astype(np.float64), xyz[known]
    second = _two_sides(label, direction, size)
    part = 2 * label + second
    count = np.bincount(part, minlength=2 * size)
    mean = _sums(part, direction, 2 * size) / np.maximum(count, 1)[:, None]
    center = (_sums(part, place, 2 * size) / np.maximum(count, 1)[:, None]).reshape(size, 2, 3)
    creased = _is_crease(count.reshape(size, 2), mean.reshape(size, 2, 3), center, least)
    side = np.zeros(len(labels), bool)
    side[known] = second
    other = np.flatnonzero(~known)  # these go to the nearer part
    distance = np.linalg.norm(xyz[other, None] - center[labels[other]], axis=2)
    side[other] = distance[:, 1] < distance[:, 0]
    return np.where(creased[labels] & side, size + labels, labels)


def _two_sides(label: IntArray, direction: FloatArray, size: int) -> BoolArray:
    """(n,) which of the two directions of its sub-object each normal (n, 3) is nearer to."""
    count = np.maximum(np.bincount(label, minlength=size), 1)[:, None]
    offset = direction - (_sums(label, direction, size) / count)[label]
    products = (offset[:, :, None] * offset[:, None, :]).reshape(-1, 9)
    axis = np.linalg.eigh(_sums(label, products, size).reshape(-1, 3, 3))[1][:, :, 2]
    second = (offset * axis[label]).sum(1) > 0
    for _ in range(ROUNDS):
        mean = _sums(2 * label + second, direction, 2 * size)
        mean = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
        second = (direction * (mean[2 * label + 1] - mean[2 * label])).sum(1) > 0
    return np.asarray(second)


def _is_crease(count: IntArray, mean: FloatArray, center: FloatArray, least: int) -> BoolArray:
    """(S,) from the points (S, 2), mean normals (S, 2, 3) and centres (S, 2, 3) of both parts."""
    length = np.linalg.norm(mean, axis=2)
    unit = mean / np.maximum(length, 1e-9)[..., None]
    way = center[:, 1] - center[:, 0]
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    concave = ((unit[:, 0] - unit[:, 1]) * way).sum(1) > CREASE[0]
    return np.asarray(concave & (count.min(1) >= least) & (length.min(1) > FLAT))


def _sums(label: IntArray, value: FloatArray, size: int) -> FloatArray:
    """(size, F) sums of value (n, F) by label (n,)."""
    return np.stack([np.bincount(label, column, size) for column in value.T], axis=1)

"""Counting masks over all points and views, by the compiled kernels; every array here lives on the CPU.

`mask` is always (K, N) int32 with the rows together: the mask, numbered from 1 through all views, that point n falls on
in view k, 0 = visible on none, negative = hidden. `masks` (K,) is the number of masks of each view.
"""

from __future__ import annotations

import numpy as np

from ig_ros.raster.library import load, threads
from ig_ros.types import FloatArray, IntArray


def mask_counts(mask: IntArray, masks: IntArray, owner: IntArray, size: int) -> FloatArray:
    """(size, W) float32 visible points of every group on every mask; owner (N,) their group, negative = of none.

    A view has one column more than masks: its first, for points that are visible on none.
    """
    before = np.cumsum(masks) - masks
    first = before + np.arange(len(masks))
    count = np.zeros((size, int(masks.sum()) + len(masks)), np.float32)
    own = np.ascontiguousarray(owner, np.int32)
    load().call(
        "ig_mask_counts", *_table(mask), own, _long(first), _long(before), count.shape[1], count, threads()
    )  # fmt: skip
    return count


def impurity(mask: IntArray, masks: IntArray, rows: IntArray, owner: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """Points of every group outside its most frequent mask, and those on any mask, summed over the views; (size,) each.

    rows (n,) the points that are in a group, owner (n,) their groups. Raises MemoryError.
    """
    lost, seen = np.zeros(size, np.int64), np.zeros(size, np.int64)
    before = np.cumsum(masks) - masks
    own = _long(rows), len(rows), _long(owner)
    load().call("ig_impurity", *_table(mask), *own, size, _long(masks), _long(before), lost, seen, threads())
    return lost, seen


def dominant_masks(
    count: FloatArray, masks: IntArray, least: float, dominance: float, full: float
) -> tuple[IntArray, FloatArray]:
    """The column on which each row of `mask_counts` mainly lies in each view, (S, K) int32, and its weight (S, K).

    -1 where fewer than `least` points are visible, where no mask has the share `dominance` of them, and where most are
    on none; the weight grows to 1 with `full` visible points.
    """
    first = np.cumsum(masks) - masks + np.arange(len(masks))
    dominant = np.empty((len(count), len(masks)), np.int32)
    weight = np.empty((len(count), len(masks)), np.float32)
    rows, columns = np.ascontiguousarray(count, np.float32), (_long(first), _long(first + masks + 1))
    load().call(
        "ig_dominant_masks",
        *(rows, *rows.shape, *columns, len(masks)),
        *(least, dominance, full),
        *(dominant, weight, threads()),
    )
    return dominant, weight


def tally(
    mask: IntArray, rows: IntArray, instance_of: IntArray, say: FloatArray, instances: int, none: float
) -> FloatArray:
    """(R, instances + 1) float32 sum of `say` over the masks of each instance on which the points `rows` (R,) fall.

    instance_of and say (M,) of every mask, from number 0 on, which is none; `instances` = of none. The last column
    has those masks, and `none` for every view in which a point is visible on no mask.
    """
    votes = np.zeros((len(rows), instances + 1), np.float32)
    load().call(
        "ig_tally",
        *(*_table(mask), _long(rows), len(rows)),
        *(_long(instance_of), np.ascontiguousarray(say, np.float32), votes.shape[1], none, votes, threads()),
    )
    return votes


def _table(mask: IntArray) -> tuple[IntArray, int, int]:
    return np.ascontiguousarray(mask, np.int32), *mask.shape


def _long(values: IntArray) -> IntArray:
    return np.ascontiguousarray(values, np.int64)


MANY = 1 << 20  # range of ids beyond which they are sorted instead of counted in a table


def unique_ids(ids: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Of ids (P,): those that occur, increasing (M,), each one's place among them (P,), how often each occurs (M,)."""
    low, high = int(ids.min(initial=0)), int(ids.max(initial=0))
    if high - low > MANY:
        return np.unique(ids, return_inverse=True, return_counts=True)
    count = np.bincount(ids - low)
    found = count > 0
    return np.flatnonzero(found) + low, (np.cumsum(found) - 1)[ids - low], count[found]

"""Ids that last: a new instance takes over the id of the old one with which it shares most anchors (METHOD 4.4)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from ig_ros.types import IntArray

MIN_IOU = 0.1  # less shared ground than this is not the same thing


class Identity:
    """Remembers which anchor belonged to which object; ids count up from 1 and are never reused."""

    def __init__(self) -> None:
        self._uid: IntArray = np.zeros(0, np.int64)
        self._id: IntArray = np.zeros(0, np.int64)
        self._next = 1

    def rename(self, uid: IntArray, instance: IntArray, instances: int) -> IntArray:
        """(instances,) stable id of each new instance. uid (N,) of the anchors, instance (N,) theirs, -1 = none.

        Matching maximises the summed IoU over shared anchors, one to one: of a split the larger part keeps the id, of a
        merge the larger parent's id survives.
        """
        ids = np.zeros(instances, np.int64)
        old_ids = np.unique(self._id)
        _, now, before = np.intersect1d(uid, self._uid, assume_unique=True, return_indices=True)
        if len(old_ids) and len(now):
            old = np.searchsorted(old_ids, self._id)
            shared = np.zeros((instances, len(old_ids)))
            both = instance[now] >= 0
            np.add.at(shared, (instance[now][both], old[before][both]), 1.0)
            new_size = np.bincount(instance[instance >= 0], minlength=instances)
            union = new_size[:, None] + np.bincount(old, minlength=len(old_ids))[None] - shared
            iou = shared / np.maximum(union, 1)
            for i, j in zip(*linear_sum_assignment(-iou), strict=True):
                if iou[i, j] >= MIN_IOU:
                    ids[i] = old_ids[j]
        for i in np.flatnonzero(ids == 0):
            ids[i] = self._next
            self._next += 1
        owned = instance >= 0
        self._uid, self._id = uid[owned], ids[instance[owned]]
        return ids

    def state(self) -> dict[str, IntArray]:
        """Arrays for storage."""
        return {"uid": self._uid, "id": self._id, "next": np.array([self._next])}

    def load_state(self, state: dict[str, IntArray]) -> None:
        """Restore what `state` returned."""
        self._uid, self._id, self._next = state["uid"], state["id"], int(state["next"][0])

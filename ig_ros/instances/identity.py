"""Ids that last: a new instance takes over the id of the old one with which it shares most anchors (METHOD 4.4).

What becomes of an id is defined, and kept: of a *split* the larger part keeps the id and the other is told what it came
off; of a *merge* the larger parent's id survives and the other points to it; what has *vanished* sleeps with its ground
and *returns* under its id when an instance stands there again, or when a merge comes apart.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from ig_ros.types import BoolArray, FloatArray, IntArray

MIN_IOU = 0.1  # less shared ground than this is not the same thing
RETURN_IOU = 0.3  # an id that sleeps wakes on at least this much of its ground
INSIDE = 0.5  # more than this share of an object in another one: merged into it, or split off it
ASLEEP = 1000  # ids that sleep at most; those that fell asleep first are forgotten


class Identity:
    """Remembers which anchor belonged to which object; ids count up from 1, one is never given to another object."""

    def __init__(self, first: int = 1) -> None:
        """`first` is the first id that has not been given yet."""
        self._uid: IntArray = np.zeros(0, np.int64)
        self._id: IntArray = np.zeros(0, np.int64)
        self.next = first
        self.asleep: dict[int, IntArray] = {}  # id -> uids of the anchors it had when it was last there
        self.merged_into: dict[int, int] = {}  # id asleep -> id that has swallowed it
        self.split_from: dict[int, int] = {}  # living id -> id that it came off

    def rename(self, uid: IntArray, instance: IntArray, instances: int) -> IntArray:
        """(instances,) stable id of each new instance. uid (N,) of the anchors, instance (N,) theirs, -1 = none.

        Matching maximises the summed IoU over shared anchors, one to one, first with what was there last time, then
        with the ids that sleep.
        """
        for number in np.unique(self._id).tolist():  # awake: its anchors have come back from disk
            self.asleep.pop(number, None)
            self.merged_into.pop(number, None)
        ids = np.zeros(instances, np.int64)
        size = np.bincount(instance[instance >= 0], minlength=instances)
        old_ids = np.unique(self._id)
        shared = overlap(uid, instance, self._uid, np.searchsorted(old_ids, self._id), (instances, len(old_ids)))
        old_size = np.bincount(np.searchsorted(old_ids, self._id), minlength=len(old_ids))
        _take(ids, old_ids, shared, size, old_size, MIN_IOU)
        self._wake(ids, uid, instance, size)
        self._give_new(ids, shared, old_ids)
        self._put_to_sleep(ids, uid, shared, old_ids)
        owned = instance >= 0
        self._uid, self._id = uid[owned], ids[instance[owned]]
        return ids

    def replace(self, number: int, by: int) -> None:
        """Object `number` has turned out to be the older `by`, which slept: it bears that id from now on."""
        self._id = np.where(self._id == number, by, self._id)
        self.asleep.pop(by, None)
        self.merged_into.pop(by, None)
        self.split_from.pop(number, None)
        self.merged_into[number] = by

    def copy(self) -> Identity:
        """Another one that knows the same; what happens to one of them does not happen to the other."""
        other = Identity()
        other.take(self)
        return other

    def take(self, other: Identity) -> None:
        """Know what another one knows, and that no id that either has given is free."""
        self._uid, self._id, self.next = other._uid, other._id, max(self.next, other.next)
        self.asleep, self.merged_into = dict(other.asleep), dict(other.merged_into)
        self.split_from = dict(other.split_from)

    def heirs(self) -> dict[int, int]:
        """Which living object each merged id has gone into, through however many merges."""
        living = set(np.unique(self._id).tolist())
        found = {}
        for number in self.merged_into:
            heir, steps = number, 0
            while heir not in living and heir in self.merged_into and steps <= len(self.merged_into):
                heir, steps = self.merged_into[heir], steps + 1
            if heir in living and heir != number:
                found[number] = heir
        return found

    def state(self) -> dict[str, IntArray]:
        """Arrays for storage."""
        lengths = [len(ground) for ground in self.asleep.values()]
        return {
            "uid": self._uid,
            "id": self._id,
            "next": np.array([self.next]),
            "asleep_id": np.repeat(np.array(list(self.asleep), np.int64), lengths),
            "asleep_uid": np.concatenate([np.zeros(0, np.int64), *self.asleep.values()]),
            "merged": np.array(list(self.merged_into.items()), np.int64).reshape(-1, 2),
            "split": np.array(list(self.split_from.items()), np.int64).reshape(-1, 2),
        }

    def load_state(self, state: dict[str, IntArray]) -> None:
        """Restore what `state` returned; of an older map without history the ids alone."""
        self._uid, self._id, self.next = state["uid"], state["id"], int(state["next"][0])
        if "asleep_id" not in state:
            return
        number, ground = state["asleep_id"], state["asleep_uid"]
        begins = np.flatnonzero(np.diff(number, prepend=-1))
        parts = np.split(ground, begins[1:]) if len(number) else []
        self.asleep = dict(zip(number[begins].tolist(), parts, strict=True))
        self.merged_into = dict(state["merged"].tolist())
        self.split_from = dict(state["split"].tolist())

    def _wake(self, ids: IntArray, uid: IntArray, instance: IntArray, size: IntArray) -> None:
        """Instances without an id stand where one has fallen asleep: they take it."""
        if not self.asleep or (ids > 0).all():
            return
        sleepers = np.array(list(self.asleep), np.int64)
        lengths = np.array([len(ground) for ground in self.asleep.values()])
        ground = np.concatenate(list(self.asleep.values()))
        owner = np.repeat(np.arange(len(sleepers)), lengths)
        shared = overlap(uid, np.where(instance >= 0, instance, -1), ground, owner, (len(ids), len(sleepers)))
        shared[ids > 0] = 0.0
        for number in _take(ids, sleepers, shared, size, lengths, RETURN_IOU):
            del self.asleep[number]
            self.merged_into.pop(number, None)

    def _give_new(self, ids: IntArray, shared: FloatArray, old_ids: IntArray) -> None:
        """What is still without an id is new; most of it may have been another object's."""
        for i in np.flatnonzero(ids == 0):
            ids[i] = self.next
            self.next += 1
            before = shared[i].sum()
            if before and shared[i].max() > INSIDE * before:
                self.split_from[int(ids[i])] = int(old_ids[shared[i].argmax()])

    def _put_to_sleep(self, ids: IntArray, uid: IntArray, shared: FloatArray, old_ids: IntArray) -> None:
        """Ids that nobody took: swallowed by the instance that has most of their ground, or vanished."""
        for j in np.flatnonzero(~np.isin(old_ids, ids)):
            number = int(old_ids[j])
            ground = self._uid[self._id == number]
            self.asleep[number] = ground
            self.split_from.pop(number, None)
            left = int(np.isin(ground, uid).sum())
            if left and shared[:, j].max(initial=0.0) > INSIDE * left:
                self.merged_into[number] = int(ids[shared[:, j].argmax()])
        for number in list(self.asleep)[: max(len(self.asleep) - ASLEEP, 0)]:
            del self.asleep[number]
        known = set(self.asleep) | set(self.heirs())
        self.merged_into = {a: b for a, b in self.merged_into.items() if a in known}


def overlap(uid: IntArray, instance: IntArray, old_uid: IntArray, old: IntArray, shape: tuple[int, int]) -> FloatArray:
    """(instances, old ones) number of anchors in common; an old anchor may be named more than once."""
    shared = np.zeros(shape)
    order = np.argsort(uid)
    place = np.searchsorted(uid, old_uid, sorter=order).clip(0, max(len(uid) - 1, 0))
    if not len(uid) or not len(old_uid):
        return shared
    row = order[place]
    there: BoolArray = (uid[row] == old_uid) & (instance[row] >= 0)
    np.add.at(shared, (instance[row[there]], old[there]), 1.0)
    return shared


def _take(
    ids: IntArray, old_ids: IntArray, shared: FloatArray, size: IntArray, old_size: IntArray, least: float
) -> list[int]:
    """Match one to one by IoU and write the old ids into `ids`; returns those taken."""
    iou = shared / np.maximum(size[:, None] + old_size[None] - shared, 1)
    taken = []
    for i, j in zip(*linear_sum_assignment(-iou), strict=True):
        if iou[i, j] >= least:
            ids[i] = old_ids[j]
            taken.append(int(old_ids[j]))
    return taken

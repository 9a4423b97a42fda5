"""Lasting identity of objects: ids are matched from run to run, kept on disk, and found again after a move."""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ig_ros.types import Array, BoolArray, FloatArray, Instances, IntArray, MapSnapshot, ObjectInstance

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


@dataclass(frozen=True, slots=True)
class Remembered:
    """An object as it was last described."""

    thing: ObjectInstance
    embedding: FloatArray  # (E,)
    encoder: str  # that made the embedding


class AwayObjects:
    """Remembers of anchors that went to disk to which object they belonged.

    An instantiation works on a copy: `recall`, `complete`; what others `forget` meanwhile is forgotten with `take`.
    """

    def __init__(self) -> None:
        self._owner: tuple[IntArray, IntArray] = (np.zeros(0, np.int64), np.zeros(0, np.int64))  # uids, and their ids
        self._forgotten: deque[int] = deque()  # ids that are to go
        self._objects: dict[int, Remembered] = {}  # id -> last seen so

    def recall(self, identity: Identity, uid: IntArray) -> None:
        """Anchors uid (N,) are in memory now: tell `identity` what those among them that were away belonged to."""
        self._forget()
        anchors, owners = self._owner
        back = np.isin(anchors, uid)
        if not back.any():
            return
        state = identity.state()
        new = back & ~np.isin(anchors, state["uid"])
        uids, ids = np.concatenate([state["uid"], anchors[new]]), np.concatenate([state["id"], owners[new]])
        identity.load_state(state | {"uid": uids, "id": ids} | woken(state, owners[new]))
        self._owner = anchors[~back], owners[~back]

    def complete(
        self, found: Instances, before: dict[str, IntArray], away: IntArray, latest: MapSnapshot | None
    ) -> Instances:
        """The objects found in memory and those that are away.

        before: identity.state() of before this instantiation; away (M,): uids of the anchors on disk; latest: the
        snapshot in which an object that has just gone was last seen.
        """
        anchors, owners = self._owner
        gone = np.isin(before["uid"], away) & ~np.isin(before["uid"], anchors)
        self._owner = np.concatenate([anchors, before["uid"][gone]]), np.concatenate([owners, before["id"][gone]])
        self._forget()
        seen = {o.id for o in found.objects}
        known = self._objects | (described(latest.instances) if latest is not None else {})
        self._objects = {i: known[i] for i in np.unique(self._owner[1]).tolist() if i in known and i not in seen}
        if self._objects and not found.encoder and latest is not None:  # nothing in memory speaks for the encoder
            found = dataclasses.replace(found, encoder=latest.instances.encoder, threshold=latest.instances.threshold)
        return with_objects(found, list(self._objects.values()))

    def copy(self) -> AwayObjects:
        """Another one that knows the same; what happens to one of them does not happen to the other."""
        other = AwayObjects()
        other._owner, other._objects, other._forgotten = self._owner, dict(self._objects), deque(self._forgotten)
        return other

    def take(self, other: AwayObjects) -> None:
        """Know what a copy knows by now, without what has been forgotten since."""
        self._owner, self._objects = other._owner, dict(other._objects)
        self._forget()

    def holds(self, number: int) -> bool:
        """Whether all that is left of an object is on disk."""
        return number in self._objects

    def state(self) -> dict[str, IntArray]:
        """Arrays for storage; what the objects look like is in the snapshot."""
        anchors, owners = self._owner
        stay = ~np.isin(owners, list(self._forgotten))
        return {"uid": anchors[stay], "id": owners[stay]}

    def load_state(self, state: dict[str, IntArray], latest: MapSnapshot | None) -> None:
        """Restore what `state` returned; `latest` is the snapshot stored with it."""
        self._owner = state["uid"], state["id"]
        known = described(latest.instances) if latest is not None else {}
        self._objects = {i: known[i] for i in np.unique(state["id"]).tolist() if i in known}

    def forget(self, number: int) -> None:
        """An object was taken out of the map."""
        self._forgotten.append(number)

    def _forget(self) -> None:
        """The objects that were taken out since the last time."""
        while self._forgotten:
            number, (anchors, owners) = self._forgotten[0], self._owner
            self._owner = anchors[owners != number], owners[owners != number]
            self._objects.pop(number, None)
            self._forgotten.popleft()


def woken(state: dict[str, IntArray], ids: IntArray) -> dict[str, IntArray]:
    """The part of an identity's state that changes when some ids no longer sleep."""
    rest = ~np.isin(state["asleep_id"], ids)
    return {"asleep_id": state["asleep_id"][rest], "asleep_uid": state["asleep_uid"][rest]}


def described(instances: Instances) -> dict[int, Remembered]:
    """Objects and their embeddings by id."""
    return {o.id: Remembered(o, instances.embeddings[i], instances.encoder) for i, o in enumerate(instances.objects)}


def with_objects(instances: Instances, more: list[Remembered]) -> Instances:
    """The instances with more objects, of which the cloud has no points.

    An embedding of another encoder, or of another length, becomes zero: nothing is known of how that object looks.
    """
    if not more:
        return instances
    own = [known.embedding for known in more if known.encoder == instances.encoder]
    width = instances.embeddings.shape[1] if len(instances.embeddings) else max(map(len, own), default=0)
    table = np.zeros((len(instances.objects) + len(more), width), np.float32)
    if len(instances.embeddings):
        table[: len(instances.embeddings)] = instances.embeddings
    for row, known in zip(table[len(instances.objects) :], more, strict=True):
        if known.encoder == instances.encoder and len(known.embedding) == width:
            row[:] = known.embedding
    objects = (*instances.objects, *(known.thing for known in more))
    return dataclasses.replace(instances, objects=objects, embeddings=table)


GONE = 0.3  # a place is empty when at most this share of an object's anchors is left
COLOR = 0.15  # of [0, 1]: mean colours further apart are different looks
LIGHT = 1.4  # so much brighter or darker may the same colour be in another place
STRETCH = 1.7  # so may the box's edges differ, longest with longest: it may stand differently, and be half seen
ALIKE = 0.9  # cosine of embeddings of one thing seen twice


@dataclass(frozen=True, slots=True)
class Life:
    """One id."""

    born: int  # ns, of the first keyframe that recognised it
    last_seen: int  # ns, of the newest one
    label: str
    color: FloatArray  # (3,) mean in [0, 1]
    size: FloatArray  # (3,) m, edges of its box, ascending
    embedding: FloatArray  # (E,) zeros = unknown

    def resembles(self, other: Life) -> bool:
        """Whether both may be one thing: colour, size, and embedding or, where one is unknown, label.

        Of what has neither, colour and size are no proof: another thing of the same colour may have been brought.
        """
        if difference(self.color, other.color) > COLOR:
            return False
        if (np.maximum(self.size, other.size) > STRETCH * np.maximum(np.minimum(self.size, other.size), 1e-3)).any():
            return False
        if self.embedding.any() and other.embedding.any() and len(self.embedding) == len(other.embedding):
            return bool(self.embedding @ other.embedding >= ALIKE)
        return bool(self.label) and self.label == other.label


class Lives:
    """The lives of all ids that are there or asleep; an instantiation works on a copy."""

    def __init__(self) -> None:
        self._lives: dict[int, Life] = {}

    def update(self, found: Instances, identity: Identity, uid: IntArray, rgb: IntArray) -> Instances:
        """The instances with stamps and the fate of ids; a moved thing has its old id again.

        uid (A,) are the anchors in memory, rgb (N, 3) u8 the colours of the cloud that point_ids (N,) speak of.
        """
        self._note(found, rgb)
        for new, old in self._moved(found, identity, uid).items():
            identity.replace(new, old)
            found = with_id(found, new, old)
            before, now = self._lives[old], self._lives.pop(new)
            self._lives[old] = dataclasses.replace(now, born=before.born)
        there = {o.id for o in found.objects}
        self._lives = {i: life for i, life in self._lives.items() if i in there or i in identity.asleep}
        objects = tuple(self._tell(o, identity) for o in found.objects)
        heirs = {a: b for a, b in identity.heirs().items() if a not in there}
        vanished = tuple(sorted(i for i in identity.asleep if i not in heirs and i not in there))
        return dataclasses.replace(found, objects=objects, merged_into=heirs, vanished=vanished)

    def copy(self) -> Lives:
        """Another one that knows the same; what happens to one of them does not happen to the other."""
        other = Lives()
        other.take(self)
        return other

    def take(self, other: Lives) -> None:
        """Know what another one knows."""
        self._lives = dict(other._lives)

    def state(self) -> dict[str, Array]:
        """Arrays for storage, (n, ...); labels are apart."""
        lives = list(self._lives.values())
        width = max([len(life.embedding) for life in lives], default=0)
        table = np.zeros((len(lives), width), np.float32)
        for row, life in zip(table, lives, strict=True):
            row[: len(life.embedding)] = life.embedding
        return {
            "id": np.array(list(self._lives), np.int64),
            "stamps": np.array([(life.born, life.last_seen) for life in lives], np.int64).reshape(-1, 2),
            "color": np.array([life.color for life in lives], np.float64).reshape(-1, 3),
            "size": np.array([life.size for life in lives], np.float64).reshape(-1, 3),
            "embedding": table,
        }

    def labels(self) -> list[str]:
        """Label of each life, in the order of `state`."""
        return [life.label for life in self._lives.values()]

    def load_state(self, state: dict[str, Any], labels: list[str]) -> None:
        """Restore what `state` and `labels` returned. Raises ValueError where they do not fit."""
        rows = zip(
            state["id"].tolist(), state["stamps"].tolist(), labels, state["color"], state["size"], state["embedding"],
            strict=True,
        )  # fmt: skip
        self._lives = {i: Life(born, seen, label, c, s, look) for i, (born, seen), label, c, s, look in rows}

    def _note(self, found: Instances, rgb: IntArray) -> None:
        """What each object looks like now; what is away keeps its look."""
        points = np.bincount(np.maximum(found.point_ids, 0))
        sums = [np.bincount(np.maximum(found.point_ids, 0), weights=rgb[:, c]) for c in range(3)]
        for row, thing in enumerate(found.objects):
            if thing.id >= len(points) or not points[thing.id]:
                continue
            color = np.array([s[thing.id] for s in sums]) / points[thing.id] / 255
            look = found.embeddings[row] if row < len(found.embeddings) else np.zeros(0)
            before = self._lives.get(thing.id)
            born = thing.born if before is None else before.born
            last = thing.last_seen if before is None else max(before.last_seen, thing.last_seen)
            self._lives[thing.id] = Life(born, last, thing.label, color, np.sort(thing.size), look)

    def _moved(self, found: Instances, identity: Identity, uid: IntArray) -> dict[int, int]:
        """New id -> old id of the things that stood elsewhere; of several that fit the nearest in colour."""
        there = {o.id for o in found.objects}
        missing = [
            i
            for i, ground in identity.asleep.items()
            if i in self._lives and i not in there and i not in identity.merged_into
            and np.isin(ground, uid).mean() <= GONE
        ]  # fmt: skip
        new = [i for i in there if i in self._lives]
        fits: BoolArray = np.array([[self._fits(n, o) for o in missing] for n in new], bool).reshape(
            len(new), len(missing)
        )
        if not fits.any():
            return {}
        cost = np.array([[difference(self._lives[n].color, self._lives[o].color) for o in missing] for n in new])
        pairs = zip(*linear_sum_assignment(np.where(fits, cost, 1e3)), strict=True)
        return {new[i]: missing[j] for i, j in pairs if fits[i, j]}

    def _fits(self, new: int, old: int) -> bool:
        one, other = self._lives[new], self._lives[old]
        return one.born > other.last_seen and one.resembles(other)

    def _tell(self, thing: ObjectInstance, identity: Identity) -> ObjectInstance:
        life = self._lives.get(thing.id)
        if life is None:
            return thing
        split = identity.split_from.get(thing.id, 0)
        return dataclasses.replace(thing, born=life.born, last_seen=life.last_seen, split_from=split)


def difference(one: FloatArray, other: FloatArray) -> float:
    """Largest difference of two mean colours (3,) in [0, 1] when the lights of their places are made equal."""
    light = float(np.clip(one @ other / max(float(other @ other), 1e-6), 1 / LIGHT, LIGHT))
    return float(np.abs(one / np.sqrt(light) - other * np.sqrt(light)).max())


def with_id(instances: Instances, number: int, by: int) -> Instances:
    """The instances with an object's id replaced."""
    objects = tuple(dataclasses.replace(o, id=by) if o.id == number else o for o in instances.objects)
    point_ids = np.where(instances.point_ids == number, np.int32(by), instances.point_ids)
    return dataclasses.replace(instances, objects=objects, point_ids=point_ids)

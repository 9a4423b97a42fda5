"""Lasting identity of objects: ids are matched from run to run, kept for ground on disk, found again after a move.

What becomes of an id (docs/method.md, section 4): of a *split* the larger part keeps the id and the other notes what it
came off; of a *merge* the larger parent's id survives and the other points to it; what has *vanished* leaves its id
dormant, and *returns* under it when an instance stands there again, or when a merge comes apart.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ig_ros.types import Array, BoolArray, FloatArray, Instances, IntArray, MapSnapshot, ObjectInstance

MIN_IOU = 0.1  # less shared ground than this is not the same thing
RETURN_IOU = 0.3  # a dormant id returns on at least this much of its ground
INSIDE = 0.5  # more than this share of an object in another one: merged into it, or split off it
DORMANT = 1000  # dormant ids at most; the oldest are forgotten
GONE = 0.3  # a place is empty when at most this share of an object's anchors is left
COLOR = 0.15  # of [0, 1]: mean colours further apart are different looks
LIGHT = 1.4  # so much brighter or darker may the same colour be in another place
STRETCH = 1.7  # so may the box's edges differ, longest with longest: it may stand differently, and be half seen
ALIKE = 0.9  # cosine of embeddings of one thing seen twice


class ObjectTracker:
    """Owns the identity of objects. An instantiation works on a copy, which the map's tracker takes over at its end."""

    def __init__(self, first_id: int = 1) -> None:
        """`first_id` is the first id that has not been given yet."""
        self.ids = IdMatching(first_id)
        self._on_disk = PagedObjects()
        self._histories = ObjectHistories()
        self._before: dict[str, IntArray] = {}

    def copy(self) -> ObjectTracker:
        """Returns a copy; changes of one do not reach the other."""
        other = ObjectTracker()
        for name in ("ids", "_on_disk", "_histories"):
            own = vars(getattr(self, name))
            vars(getattr(other, name)).update({key: copy.copy(value) for key, value in own.items()})
        return other

    def take(self, other: ObjectTracker) -> None:
        """Takes over what a copy found. No id that either has given is free; objects taken out meanwhile stay out."""
        first, removed = max(self.ids.next, other.ids.next), self._on_disk.removed
        self.ids, self._on_disk, self._histories = other.ids, other._on_disk, other._histories
        self.ids.next, self._on_disk.removed = first, removed
        self._on_disk.drop_removed()

    def begin(self, uid: IntArray) -> None:
        """Prepares an instantiation of anchors uid (N,): those that came back from disk have their ids again."""
        self._on_disk.recall(self.ids, uid)
        self._before = self.ids.state()

    def rename(self, uid: IntArray, instance: IntArray, instances: int) -> IntArray:
        """Returns (instances,) the stable id of each new instance, see `IdMatching.rename`."""
        return self.ids.rename(uid, instance, instances)

    def complete(
        self, found: Instances, uid: IntArray, on_disk: IntArray, latest: MapSnapshot | None, rgb: IntArray
    ) -> Instances:
        """Returns the instances found with those on disk, with their stamps, and moved objects under their old ids.

        uid (N,): anchors in memory; on_disk (M,): those on disk; latest: the snapshot before this run; rgb (G, 3) u8:
        colours of the cloud that found.point_ids (G,) speak of.
        """
        found = self._on_disk.complete(found, self._before, on_disk, latest)
        return self._histories.update(found, self.ids, uid, rgb)

    def is_on_disk(self, number: int) -> bool:
        """Returns whether all that is left of an object is on disk."""
        return self._on_disk.holds(number)

    def forget(self, number: int) -> None:
        """Drops an object that was taken out of the map."""
        self._on_disk.forget(number)

    def state(self) -> tuple[dict[str, Array], list[str]]:
        """Returns arrays for storage named "ids.*", "on_disk.*" and "histories.*", and the objects' labels."""
        parts: dict[str, dict[str, Any]] = {
            "ids": self.ids.state(), "on_disk": self._on_disk.state(), "histories": self._histories.state(),
        }  # fmt: skip
        return {f"{part}.{n}": a for part, arrays in parts.items() for n, a in arrays.items()}, self._histories.labels()

    def load_state(self, state: dict[str, Array], labels: list[str], latest: MapSnapshot | None) -> None:
        """Restores what `state` returned; `latest` is the snapshot stored with it."""
        part: dict[str, dict[str, Any]] = {"ids": {}, "on_disk": {}, "histories": {}}
        for name, array in state.items():
            owner, _, column = name.partition(".")
            part[owner][column] = array
        self.ids.load_state(part["ids"])
        self._on_disk.load_state(part["on_disk"], latest)
        self._histories.load_state(part["histories"], labels)


class IdMatching:
    """Matches objects to those of the run before by shared anchors; ids count up from 1 and are never reused."""

    def __init__(self, first: int = 1) -> None:
        """`first` is the first id that has not been given yet."""
        self._uid: IntArray = np.zeros(0, np.int64)
        self._id: IntArray = np.zeros(0, np.int64)
        self.next = first
        self.dormant: dict[int, IntArray] = {}  # id -> uids of the anchors it had when it was last there
        self.merged_into: dict[int, int] = {}  # dormant id -> id it was merged into
        self.split_from: dict[int, int] = {}  # id in use -> id it was split off

    def rename(self, uid: IntArray, instance: IntArray, instances: int) -> IntArray:
        """Returns (instances,) the stable id of each new instance.

        uid (N,): anchors; instance (N,): theirs, -1 = none.

        Matching maximises the summed IoU over shared anchors, one to one, first with what was there last time, then
        with dormant ids.
        """
        for number in np.unique(self._id).tolist():  # its anchors have come back from disk
            self.dormant.pop(number, None)
            self.merged_into.pop(number, None)
        ids = np.zeros(instances, np.int64)
        size = np.bincount(instance[instance >= 0], minlength=instances)
        old_ids = np.unique(self._id)
        shared = overlap(uid, instance, self._uid, np.searchsorted(old_ids, self._id), (instances, len(old_ids)))
        old_size = np.bincount(np.searchsorted(old_ids, self._id), minlength=len(old_ids))
        _take(ids, old_ids, shared, size, old_size, MIN_IOU)
        self._revive(ids, uid, instance, size)
        self._give_new(ids, shared, old_ids)
        self._retire(ids, uid, shared, old_ids)
        owned = instance >= 0
        self._uid, self._id = uid[owned], ids[instance[owned]]
        return ids

    def replace(self, number: int, by: int) -> None:
        """Gives object `number` the dormant id `by`: it has turned out to be that older object."""
        self._id = np.where(self._id == number, by, self._id)
        self.dormant.pop(by, None)
        self.merged_into.pop(by, None)
        self.split_from.pop(number, None)
        self.merged_into[number] = by

    def heirs(self) -> dict[int, int]:
        """Returns into which present object each merged id has gone, through however many merges."""
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
        """Returns arrays for storage."""
        lengths = [len(ground) for ground in self.dormant.values()]
        return {
            "uid": self._uid,
            "id": self._id,
            "next": np.array([self.next]),
            "dormant_id": np.repeat(np.array(list(self.dormant), np.int64), lengths),
            "dormant_uid": np.concatenate([np.zeros(0, np.int64), *self.dormant.values()]),
            "merged": np.array(list(self.merged_into.items()), np.int64).reshape(-1, 2),
            "split": np.array(list(self.split_from.items()), np.int64).reshape(-1, 2),
        }

    def load_state(self, state: dict[str, IntArray]) -> None:
        """Restores what `state` returned."""
        self._uid, self._id, self.next = state["uid"], state["id"], int(state["next"][0])
        number, ground = state["dormant_id"], state["dormant_uid"]
        begins = np.flatnonzero(np.diff(number, prepend=-1))
        parts = np.split(ground, begins[1:]) if len(number) else []
        self.dormant = dict(zip(number[begins].tolist(), parts, strict=True))
        self.merged_into = dict(state["merged"].tolist())
        self.split_from = dict(state["split"].tolist())

    def _revive(self, ids: IntArray, uid: IntArray, instance: IntArray, size: IntArray) -> None:
        """Gives instances without an id the dormant id of the ground on which they stand."""
        if not self.dormant or (ids > 0).all():
            return
        dormant = np.array(list(self.dormant), np.int64)
        lengths = np.array([len(ground) for ground in self.dormant.values()])
        ground = np.concatenate(list(self.dormant.values()))
        owner = np.repeat(np.arange(len(dormant)), lengths)
        shared = overlap(uid, np.where(instance >= 0, instance, -1), ground, owner, (len(ids), len(dormant)))
        shared[ids > 0] = 0.0
        for number in _take(ids, dormant, shared, size, lengths, RETURN_IOU):
            del self.dormant[number]
            self.merged_into.pop(number, None)

    def _give_new(self, ids: IntArray, shared: FloatArray, old_ids: IntArray) -> None:
        """Gives new ids to what is left; notes of which object most of it was."""
        for i in np.flatnonzero(ids == 0):
            ids[i] = self.next
            self.next += 1
            before = shared[i].sum()
            if before and shared[i].max() > INSIDE * before:
                self.split_from[int(ids[i])] = int(old_ids[shared[i].argmax()])

    def _retire(self, ids: IntArray, uid: IntArray, shared: FloatArray, old_ids: IntArray) -> None:
        """Makes ids dormant that no instance took: merged into that with most of their ground, or vanished."""
        for j in np.flatnonzero(~np.isin(old_ids, ids)):
            number = int(old_ids[j])
            ground = self._uid[self._id == number]
            self.dormant[number] = ground
            self.split_from.pop(number, None)
            left = int(np.isin(ground, uid).sum())
            if left and shared[:, j].max(initial=0.0) > INSIDE * left:
                self.merged_into[number] = int(ids[shared[:, j].argmax()])
        for number in list(self.dormant)[: max(len(self.dormant) - DORMANT, 0)]:
            del self.dormant[number]
        known = set(self.dormant) | set(self.heirs())
        self.merged_into = {a: b for a, b in self.merged_into.items() if a in known}


def overlap(uid: IntArray, instance: IntArray, old_uid: IntArray, old: IntArray, shape: tuple[int, int]) -> FloatArray:
    """Returns (instances, old ones) the number of anchors in common; an old anchor may be named more than once."""
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
    """Matches one to one by IoU and writes the old ids into `ids`; returns those taken."""
    iou = shared / np.maximum(size[:, None] + old_size[None] - shared, 1)
    taken = []
    for i, j in zip(*linear_sum_assignment(-iou), strict=True):
        if iou[i, j] >= least:
            ids[i] = old_ids[j]
            taken.append(int(old_ids[j]))
    return taken


@dataclass(frozen=True, slots=True)
class PagedObject:
    """An object on disk as it was last described."""

    thing: ObjectInstance
    embedding: FloatArray  # (E,)
    encoder: str  # that made the embedding


class PagedObjects:
    """Objects whose anchors are on disk: they keep id, box, name and embedding until their anchors come back."""

    def __init__(self) -> None:
        self._owner: tuple[IntArray, IntArray] = (np.zeros(0, np.int64), np.zeros(0, np.int64))  # uids, and their ids
        self.removed: deque[int] = deque()  # ids that are to go, noted on any thread
        self._objects: dict[int, PagedObject] = {}  # id -> last seen so

    def recall(self, ids: IdMatching, uid: IntArray) -> None:
        """Gives anchors uid (N,) that are in memory again their ids in `ids`."""
        self.drop_removed()
        anchors, owners = self._owner
        back = np.isin(anchors, uid)
        if not back.any():
            return
        state = ids.state()
        new = back & ~np.isin(anchors, state["uid"])
        uids, owned = np.concatenate([state["uid"], anchors[new]]), np.concatenate([state["id"], owners[new]])
        ids.load_state(state | {"uid": uids, "id": owned} | awakened(state, owners[new]))
        self._owner = anchors[~back], owners[~back]

    def complete(
        self, found: Instances, before: dict[str, IntArray], on_disk: IntArray, latest: MapSnapshot | None
    ) -> Instances:
        """Returns the objects found in memory together with those on disk.

        before: uids and ids of before this instantiation; on_disk (M,): uids of the anchors on disk; latest: the
        snapshot that describes an object whose anchors have just gone.
        """
        anchors, owners = self._owner
        gone = np.isin(before["uid"], on_disk) & ~np.isin(before["uid"], anchors)
        self._owner = np.concatenate([anchors, before["uid"][gone]]), np.concatenate([owners, before["id"][gone]])
        self.drop_removed()
        seen = {o.id for o in found.objects}
        known = self._objects | (described(latest.instances) if latest is not None else {})
        self._objects = {i: known[i] for i in np.unique(self._owner[1]).tolist() if i in known and i not in seen}
        if self._objects and not found.encoder and latest is not None:  # nothing in memory speaks for the encoder
            found = dataclasses.replace(found, encoder=latest.instances.encoder, threshold=latest.instances.threshold)
        return with_objects(found, list(self._objects.values()))

    def holds(self, number: int) -> bool:
        """Returns whether all that is left of an object is on disk."""
        return number in self._objects

    def state(self) -> dict[str, IntArray]:
        """Returns arrays for storage; boxes and names are in the snapshot."""
        anchors, owners = self._owner
        stay = ~np.isin(owners, list(self.removed))
        return {"uid": anchors[stay], "id": owners[stay]}

    def load_state(self, state: dict[str, IntArray], latest: MapSnapshot | None) -> None:
        """Restores what `state` returned; `latest` is the snapshot stored with it."""
        self._owner = state["uid"], state["id"]
        known = described(latest.instances) if latest is not None else {}
        self._objects = {i: known[i] for i in np.unique(state["id"]).tolist() if i in known}

    def forget(self, number: int) -> None:
        """Drops an object that was taken out of the map."""
        self.removed.append(number)

    def drop_removed(self) -> None:
        """Drops the objects that were taken out since the last time."""
        while self.removed:
            number, (anchors, owners) = self.removed[0], self._owner
            self._owner = anchors[owners != number], owners[owners != number]
            self._objects.pop(number, None)
            self.removed.popleft()


def awakened(state: dict[str, IntArray], ids: IntArray) -> dict[str, IntArray]:
    """Returns the part of the matching's state that changes when some ids are no longer dormant."""
    rest = ~np.isin(state["dormant_id"], ids)
    return {"dormant_id": state["dormant_id"][rest], "dormant_uid": state["dormant_uid"][rest]}


def described(instances: Instances) -> dict[int, PagedObject]:
    """Returns objects and their embeddings by id."""
    return {o.id: PagedObject(o, instances.embeddings[i], instances.encoder) for i, o in enumerate(instances.objects)}


def with_objects(instances: Instances, more: list[PagedObject]) -> Instances:
    """Returns the instances with more objects, of which the cloud has no points.

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


@dataclass(frozen=True, slots=True)
class ObjectHistory:
    """When an object was seen, and how it looks."""

    born: int  # ns, of the first keyframe that recognised it
    last_seen: int  # ns, of the newest one
    label: str
    color: FloatArray  # (3,) mean in [0, 1]
    size: FloatArray  # (3,) m, edges of its box, ascending
    embedding: FloatArray  # (E,) zeros = unknown

    def resembles(self, other: ObjectHistory) -> bool:
        """Returns whether both may be one object: by colour, size, and embedding or, where one is unknown, label.

        Without embedding and label, colour and size do not suffice: it may be another object of the same colour.
        """
        if difference(self.color, other.color) > COLOR:
            return False
        if (np.maximum(self.size, other.size) > STRETCH * np.maximum(np.minimum(self.size, other.size), 1e-3)).any():
            return False
        if self.embedding.any() and other.embedding.any() and len(self.embedding) == len(other.embedding):
            return bool(self.embedding @ other.embedding >= ALIKE)
        return bool(self.label) and self.label == other.label


class ObjectHistories:
    """When every object was first and last seen, and how it looks; finds objects again that were moved by hand.

    When the old place has been seen empty and something of the same look has appeared since, it is the same object.
    """

    def __init__(self) -> None:
        self._histories: dict[int, ObjectHistory] = {}

    def update(self, found: Instances, ids: IdMatching, uid: IntArray, rgb: IntArray) -> Instances:
        """Returns the instances with stamps and with what became of ids; a moved object has its old id again.

        uid (A,) are the anchors in memory, rgb (N, 3) u8 the colours of the cloud that point_ids (N,) speak of.
        """
        self._describe(found, rgb)
        for new, old in self._moved(found, ids, uid).items():
            ids.replace(new, old)
            found = with_id(found, new, old)
            before, now = self._histories[old], self._histories.pop(new)
            self._histories[old] = dataclasses.replace(now, born=before.born)
        there = {o.id for o in found.objects}
        self._histories = {i: history for i, history in self._histories.items() if i in there or i in ids.dormant}
        objects = tuple(self._with_history(o, ids) for o in found.objects)
        heirs = {a: b for a, b in ids.heirs().items() if a not in there}
        vanished = tuple(sorted(i for i in ids.dormant if i not in heirs and i not in there))
        return dataclasses.replace(found, objects=objects, merged_into=heirs, vanished=vanished)

    def state(self) -> dict[str, Array]:
        """Returns arrays for storage, (n, ...); labels are apart."""
        histories = list(self._histories.values())
        width = max([len(history.embedding) for history in histories], default=0)
        table = np.zeros((len(histories), width), np.float32)
        for row, history in zip(table, histories, strict=True):
            row[: len(history.embedding)] = history.embedding
        return {
            "id": np.array(list(self._histories), np.int64),
            "stamps": np.array([(history.born, history.last_seen) for history in histories], np.int64).reshape(-1, 2),
            "color": np.array([history.color for history in histories], np.float64).reshape(-1, 3),
            "size": np.array([history.size for history in histories], np.float64).reshape(-1, 3),
            "embedding": table,
        }

    def labels(self) -> list[str]:
        """Returns the label of each object, in the order of `state`."""
        return [history.label for history in self._histories.values()]

    def load_state(self, state: dict[str, Any], labels: list[str]) -> None:
        """Restores what `state` and `labels` returned. Raises ValueError where they do not fit."""
        rows = zip(
            state["id"].tolist(), state["stamps"].tolist(), labels, state["color"], state["size"], state["embedding"],
            strict=True,
        )  # fmt: skip
        self._histories = {
            i: ObjectHistory(born, seen, label, c, s, look) for i, (born, seen), label, c, s, look in rows
        }

    def _describe(self, found: Instances, rgb: IntArray) -> None:
        """Notes how each object in memory looks now."""
        points = np.bincount(np.maximum(found.point_ids, 0))
        sums = [np.bincount(np.maximum(found.point_ids, 0), weights=rgb[:, c]) for c in range(3)]
        for row, thing in enumerate(found.objects):
            if thing.id >= len(points) or not points[thing.id]:
                continue
            color = np.array([s[thing.id] for s in sums]) / points[thing.id] / 255
            look = found.embeddings[row] if row < len(found.embeddings) else np.zeros(0)
            before = self._histories.get(thing.id)
            born = thing.born if before is None else before.born
            last = thing.last_seen if before is None else max(before.last_seen, thing.last_seen)
            self._histories[thing.id] = ObjectHistory(born, last, thing.label, color, np.sort(thing.size), look)

    def _moved(self, found: Instances, ids: IdMatching, uid: IntArray) -> dict[int, int]:
        """Returns new id -> old id of objects that stood elsewhere; of several that fit the nearest in colour."""
        there = {o.id for o in found.objects}
        missing = [
            i
            for i, ground in ids.dormant.items()
            if i in self._histories and i not in there and i not in ids.merged_into
            and np.isin(ground, uid).mean() <= GONE
        ]  # fmt: skip
        new = [i for i in there if i in self._histories]
        fits: BoolArray = np.array([[self._fits(n, o) for o in missing] for n in new], bool).reshape(
            len(new), len(missing)
        )
        if not fits.any():
            return {}
        cost = np.array(
            [[difference(self._histories[n].color, self._histories[o].color) for o in missing] for n in new]
        )
        pairs = zip(*linear_sum_assignment(np.where(fits, cost, 1e3)), strict=True)
        return {new[i]: missing[j] for i, j in pairs if fits[i, j]}

    def _fits(self, new: int, old: int) -> bool:
        one, other = self._histories[new], self._histories[old]
        return one.born > other.last_seen and one.resembles(other)

    def _with_history(self, thing: ObjectInstance, ids: IdMatching) -> ObjectInstance:
        history = self._histories.get(thing.id)
        if history is None:
            return thing
        split = ids.split_from.get(thing.id, 0)
        return dataclasses.replace(thing, born=history.born, last_seen=history.last_seen, split_from=split)


def difference(one: FloatArray, other: FloatArray) -> float:
    """Returns the largest difference of two mean colours (3,) in [0, 1], brightness made equal."""
    light = float(np.clip(one @ other / max(float(other @ other), 1e-6), 1 / LIGHT, LIGHT))
    return float(np.abs(one / np.sqrt(light) - other * np.sqrt(light)).max())


def with_id(instances: Instances, number: int, by: int) -> Instances:
    """Returns the instances with an object's id replaced."""
    objects = tuple(dataclasses.replace(o, id=by) if o.id == number else o for o in instances.objects)
    point_ids = np.where(instances.point_ids == number, np.int32(by), instances.point_ids)
    return dataclasses.replace(instances, objects=objects, point_ids=point_ids)

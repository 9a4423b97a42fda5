"""Lasting identity of objects: ids are matched from run to run, kept for ground on disk, found again after a move.

What becomes of an id (docs/method.md, section 4): of a *split* the larger part keeps the id and the other notes what it
came off; of a *merge* the larger parent's id survives and the other points to it; what has *vanished* leaves its id
dormant, and *returns* under it when an instance stands there again, or when a merge comes apart.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ig_ros.instances.voting import MIN_IOU
from ig_ros.types import Array, BoolArray, FloatArray, Instances, IntArray, MapSnapshot, ObjectInstance

DORMANT = 1000  # dormant ids at most; the oldest are forgotten
COLOR = 0.15  # of [0, 1]: mean colours further apart are different looks
VARIES = 1.5  # times brighter or darker, longer or shorter may a thing look in another place
ALIKE = 0.9  # cosine of embeddings of one thing seen twice
NO_IDS: IntArray = np.zeros(0, np.int64)  # never written to


@dataclass(frozen=True, slots=True)
class PagedObject:
    """An object on disk as it was last described."""

    thing: ObjectInstance
    embedding: FloatArray  # (E,)
    encoder: str  # that made the embedding


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
        if (np.maximum(self.size, other.size) > VARIES * np.maximum(np.minimum(self.size, other.size), 1e-3)).any():
            return False
        if self.embedding.any() and other.embedding.any() and len(self.embedding) == len(other.embedding):
            return bool(self.embedding @ other.embedding >= ALIKE)
        return bool(self.label) and self.label == other.label


@dataclass(eq=False, slots=True)
class ObjectTracker:
    """What is known of objects from run to run. An instantiation works on a copy, which replaces the original.

    Order: `begin`, `rename`, `complete`. An id whose anchors are on disk keeps box, name and embedding until they
    come back. When an old place has been seen empty and something of the same look has appeared since, it is the
    same object, moved by hand.
    """

    next: int = 1  # the first id that has not been given yet; ids are never given again
    dormant: dict[int, IntArray] = field(default_factory=dict)  # id -> uids of the anchors it had when last there
    merged_into: dict[int, int] = field(default_factory=dict)  # dormant id -> id it was merged into
    split_from: dict[int, int] = field(default_factory=dict)  # id in use -> id it was split off
    _anchors: tuple[IntArray, IntArray] = (NO_IDS, NO_IDS)  # uids (N,) at the last run, and their objects' ids (N,)
    _on_disk: tuple[IntArray, IntArray] = (NO_IDS, NO_IDS)  # the same of anchors on disk
    _paged: dict[int, PagedObject] = field(default_factory=dict)  # id of an object on disk -> its last description
    _histories: dict[int, ObjectHistory] = field(default_factory=dict)

    def copy(self) -> ObjectTracker:
        """Returns a copy; changes of one do not reach the other."""
        return ObjectTracker(*(copy.copy(getattr(self, each.name)) for each in dataclasses.fields(self)))

    def begin(self, uid: IntArray, on_disk: IntArray) -> None:
        """Notes which anchors came from disk or went there since the last run: uid (N,) in memory, on_disk (M,)."""
        uids, ids = self._anchors
        paged_uids, paged_ids = self._on_disk
        back = np.isin(paged_uids, uid)
        new = back & ~np.isin(paged_uids, uids)
        for number in np.unique(paged_ids[new]).tolist():
            self.dormant.pop(number, None)
        self._anchors = np.append(uids, paged_uids[new]), np.append(ids, paged_ids[new])
        paged_uids, paged_ids = paged_uids[~back], paged_ids[~back]
        gone = np.isin(uids, on_disk) & ~np.isin(uids, paged_uids)
        self._on_disk = np.append(paged_uids, uids[gone]), np.append(paged_ids, ids[gone])

    def rename(self, uid: IntArray, instance: IntArray, instances: int) -> IntArray:
        """Returns (instances,) the stable id of each new instance.

        uid (N,): anchors; instance (N,): theirs, -1 = none. Matching maximises the summed IoU over shared anchors, one
        to one, first with what was there last time, then with dormant ids.
        """
        old_uid, old_id = self._anchors
        old_ids, old, old_size = np.unique(old_id, return_inverse=True, return_counts=True)
        for number in old_ids.tolist():  # its anchors have come back from disk
            self.dormant.pop(number, None)
            self.merged_into.pop(number, None)
        ids = np.zeros(instances, np.int64)
        size = np.bincount(instance[instance >= 0], minlength=instances)
        shared = overlap(uid, instance, old_uid, old, (instances, len(old_ids)))
        _match(ids, old_ids, shared, size, old_size)
        self._revive(ids, uid, instance, size)
        self._give_new(ids, shared, old_ids)
        self._retire(ids, uid, shared, old_ids)
        owned = instance >= 0
        self._anchors = uid[owned], ids[instance[owned]]
        return ids

    def complete(self, found: Instances, uid: IntArray, latest: MapSnapshot | None, rgb: IntArray) -> Instances:
        """Returns the instances found with those on disk, with their stamps, and moved objects under their old ids.

        uid (N,): anchors in memory; latest: the snapshot before this run; rgb (G, 3) u8: colours of the cloud that
        found.point_ids (G,) speak of.
        """
        found = self._with_paged(found, latest)
        self._describe(found, rgb)
        for new, old in self._moved(found, uid).items():
            self._replace(new, old)
            found = with_id(found, new, old)
        there = {o.id for o in found.objects}
        self._histories = {i: h for i, h in self._histories.items() if i in there or i in self.dormant}
        objects = tuple(self._with_history(o) for o in found.objects)
        heirs = {a: b for a, b in self.heirs().items() if a not in there}
        vanished = tuple(sorted(i for i in self.dormant if i not in heirs and i not in there))
        return dataclasses.replace(found, objects=objects, merged_into=heirs, vanished=vanished)

    def is_on_disk(self, number: int) -> bool:
        """Returns whether all that is left of an object is on disk."""
        return number in self._paged

    def forget(self, number: int) -> None:
        """Drops what is on disk of an object that was taken out of the map."""
        uids, ids = self._on_disk
        self._on_disk = uids[ids != number], ids[ids != number]
        self._paged.pop(number, None)

    def heirs(self) -> dict[int, int]:
        """Returns into which present object each merged id has gone, through however many merges."""
        present = set(np.unique(self._anchors[1]).tolist())
        found = {}
        for number in self.merged_into:
            heir, steps = number, 0
            while heir not in present and heir in self.merged_into and steps <= len(self.merged_into):
                heir, steps = self.merged_into[heir], steps + 1
            if heir in present and heir != number:
                found[number] = heir
        return found

    def state(self) -> tuple[dict[str, Array], list[str]]:
        """Returns arrays for storage, and the label of each history; boxes and names on disk are in the snapshot."""
        histories = list(self._histories.values())
        width = max((len(h.embedding) for h in histories), default=0)
        table = np.zeros((len(histories), width), np.float32)
        for row, h in zip(table, histories, strict=True):
            row[: len(h.embedding)] = h.embedding
        arrays: dict[str, Array] = {
            "ids.uid": self._anchors[0],
            "ids.id": self._anchors[1],
            "ids.next": np.array([self.next]),
            "ids.dormant_id": np.repeat(np.array(list(self.dormant), np.int64), list(map(len, self.dormant.values()))),
            "ids.dormant_uid": np.concatenate([NO_IDS, *self.dormant.values()]),
            "ids.merged": np.array(list(self.merged_into.items()), np.int64).reshape(-1, 2),
            "ids.split": np.array(list(self.split_from.items()), np.int64).reshape(-1, 2),
            "on_disk.uid": self._on_disk[0],
            "on_disk.id": self._on_disk[1],
            "histories.id": np.array(list(self._histories), np.int64),
            "histories.stamps": np.array([(h.born, h.last_seen) for h in histories], np.int64).reshape(-1, 2),
            "histories.color": np.array([h.color for h in histories], np.float64).reshape(-1, 3),
            "histories.size": np.array([h.size for h in histories], np.float64).reshape(-1, 3),
            "histories.embedding": table,
        }
        return arrays, [h.label for h in histories]

    def load_state(self, state: Mapping[str, Any], labels: list[str], latest: MapSnapshot | None) -> None:
        """Restores what `state` returned; `latest` is the snapshot stored with it. Raises ValueError for a misfit."""
        self._anchors, self._on_disk = ((state[f"{part}.uid"], state[f"{part}.id"]) for part in ("ids", "on_disk"))
        self.next = int(state["ids.next"][0])
        number, ground = state["ids.dormant_id"], state["ids.dormant_uid"]
        begins = np.flatnonzero(np.diff(number, prepend=-1))
        parts = np.split(ground, begins[1:]) if len(number) else []
        self.dormant = dict(zip(number[begins].tolist(), parts, strict=True))
        self.merged_into, self.split_from = dict(state["ids.merged"].tolist()), dict(state["ids.split"].tolist())
        known = described(latest)
        self._paged = {i: known[i] for i in np.unique(self._on_disk[1]).tolist() if i in known}
        stamps, color, size, look = (state[f"histories.{n}"] for n in ("stamps", "color", "size", "embedding"))
        rows = zip(state["histories.id"].tolist(), stamps.tolist(), labels, color, size, look, strict=True)
        self._histories = {i: ObjectHistory(born, last, *rest) for i, (born, last), *rest in rows}

    def _revive(self, ids: IntArray, uid: IntArray, instance: IntArray, size: IntArray) -> None:
        """Gives instances without an id the dormant id of the ground on which they stand."""
        if not self.dormant or (ids > 0).all():
            return
        dormant = np.array(list(self.dormant), np.int64)
        lengths = np.array([len(ground) for ground in self.dormant.values()])
        owner = np.repeat(np.arange(len(dormant)), lengths)
        shared = overlap(uid, instance, np.concatenate(list(self.dormant.values())), owner, (len(ids), len(dormant)))
        shared[ids > 0] = 0.0
        for number in _match(ids, dormant, shared, size, lengths):
            del self.dormant[number]
            self.merged_into.pop(number, None)

    def _give_new(self, ids: IntArray, shared: FloatArray, old_ids: IntArray) -> None:
        """Gives new ids to what is left; notes of which object most of it was."""
        for i in np.flatnonzero(ids == 0):
            ids[i] = self.next
            self.next += 1
            before = shared[i].sum()
            if before and 2 * shared[i].max() > before:
                self.split_from[int(ids[i])] = int(old_ids[shared[i].argmax()])

    def _retire(self, ids: IntArray, uid: IntArray, shared: FloatArray, old_ids: IntArray) -> None:
        """Makes ids dormant that no instance took: merged into that with most of their ground, or vanished."""
        for j in np.flatnonzero(~np.isin(old_ids, ids)):
            number = int(old_ids[j])
            ground = self._anchors[0][self._anchors[1] == number]
            self.dormant[number] = ground
            self.split_from.pop(number, None)
            left = int(np.isin(ground, uid).sum())
            if left and 2 * shared[:, j].max(initial=0.0) > left:
                self.merged_into[number] = int(ids[shared[:, j].argmax()])
        for number in list(self.dormant)[: max(len(self.dormant) - DORMANT, 0)]:
            del self.dormant[number]
        known = set(self.dormant) | set(self.heirs())
        self.merged_into = {a: b for a, b in self.merged_into.items() if a in known}

    def _with_paged(self, found: Instances, latest: MapSnapshot | None) -> Instances:
        """Returns the instances with the objects on disk, those that have just gone as `latest` describes them."""
        seen, known = {o.id for o in found.objects}, self._paged | described(latest)
        self._paged = {i: known[i] for i in np.unique(self._on_disk[1]).tolist() if i in known and i not in seen}
        if self._paged and not found.encoder and latest is not None:  # nothing in memory speaks for the encoder
            found = dataclasses.replace(found, encoder=latest.instances.encoder, threshold=latest.instances.threshold)
        return with_objects(found, list(self._paged.values()))

    def _replace(self, number: int, by: int) -> None:
        """Gives object `number` the dormant id `by`: it has turned out to be that older object."""
        uids, ids = self._anchors
        self._anchors = uids, np.where(ids == number, by, ids)
        self.dormant.pop(by, None)
        self.merged_into.pop(by, None)
        self.split_from.pop(number, None)
        self.merged_into[number] = by
        self._histories[by] = dataclasses.replace(self._histories.pop(number), born=self._histories[by].born)

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

    def _moved(self, found: Instances, uid: IntArray) -> dict[int, int]:
        """Returns new id -> old id of objects that stood elsewhere; of several that fit the nearest in colour."""
        there = {o.id for o in found.objects}
        missing = [
            i
            for i, ground in self.dormant.items()
            if i in self._histories and i not in there and i not in self.merged_into
            and np.isin(ground, uid).mean() < MIN_IOU
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

    def _with_history(self, thing: ObjectInstance) -> ObjectInstance:
        history = self._histories.get(thing.id)
        if history is None:
            return thing
        split = self.split_from.get(thing.id, 0)
        return dataclasses.replace(thing, born=history.born, last_seen=history.last_seen, split_from=split)


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


def _match(ids: IntArray, old_ids: IntArray, shared: FloatArray, size: IntArray, old_size: IntArray) -> list[int]:
    """Matches one to one by IoU and writes the old ids into `ids`; returns those taken."""
    iou = shared / np.maximum(size[:, None] + old_size[None] - shared, 1)
    taken = []
    for i, j in zip(*linear_sum_assignment(-iou), strict=True):
        if iou[i, j] >= MIN_IOU:
            ids[i] = old_ids[j]
            taken.append(int(old_ids[j]))
    return taken


def described(snapshot: MapSnapshot | None) -> dict[int, PagedObject]:
    """Returns the objects of a snapshot and their embeddings by id."""
    if snapshot is None:
        return {}
    found = snapshot.instances
    return {o.id: PagedObject(o, found.embeddings[i], found.encoder) for i, o in enumerate(found.objects)}


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


def difference(one: FloatArray, other: FloatArray) -> float:
    """Returns the largest difference of two mean colours (3,) in [0, 1], brightness made equal."""
    light = float(np.clip(one @ other / max(float(other @ other), 1e-6), 1 / VARIES, VARIES))
    return float(np.abs(one / np.sqrt(light) - other * np.sqrt(light)).max())


def with_id(instances: Instances, number: int, by: int) -> Instances:
    """Returns the instances with an object's id replaced."""
    objects = tuple(dataclasses.replace(o, id=by) if o.id == number else o for o in instances.objects)
    point_ids = np.where(instances.point_ids == number, np.int32(by), instances.point_ids)
    return dataclasses.replace(instances, objects=objects, point_ids=point_ids)

"""Objects whose anchors are on disk: they keep id, box, name and embedding, and take their id up again on return."""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass

import numpy as np

from ig_ros.instances import Identity
from ig_ros.types import FloatArray, Instances, IntArray, MapSnapshot, ObjectInstance


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

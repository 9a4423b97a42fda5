"""Objects whose anchors are on disk: they keep id, box, name and embedding, and take their id up again on return."""

from __future__ import annotations

import dataclasses

import numpy as np

from ig_ros.instances import Identity
from ig_ros.types import Array, FloatArray, Instances, IntArray, MapSnapshot, ObjectInstance


class AwayObjects:
    """Remembers of anchors that went to disk to which object they belonged; used by the instantiating thread alone."""

    def __init__(self) -> None:
        self._uid: IntArray = np.zeros(0, np.int64)
        self._id: IntArray = np.zeros(0, np.int64)
        self._objects: dict[int, tuple[ObjectInstance, FloatArray]] = {}  # id -> last seen so

    def recall(self, identity: Identity, uid: IntArray) -> None:
        """Anchors uid (N,) are in memory now: tell `identity` what those among them that were away belonged to."""
        back = np.isin(self._uid, uid)
        if not back.any():
            return
        state = identity.state()
        new = back & ~np.isin(self._uid, state["uid"])
        uids, ids = np.concatenate([state["uid"], self._uid[new]]), np.concatenate([state["id"], self._id[new]])
        identity.load_state(state | {"uid": uids, "id": ids} | woken(state, self._id[new]))
        self._uid, self._id = self._uid[~back], self._id[~back]

    def complete(
        self, found: Instances, before: dict[str, IntArray], away: IntArray, latest: MapSnapshot | None
    ) -> Instances:
        """The objects found in memory and those that are away.

        before: identity.state() of before this instantiation; away (M,): uids of the anchors on disk; latest: the
        snapshot in which an object that has just gone was last seen.
        """
        gone = np.isin(before["uid"], away) & ~np.isin(before["uid"], self._uid)
        self._uid, self._id = (
            np.concatenate(p) for p in ((self._uid, before["uid"][gone]), (self._id, before["id"][gone]))
        )
        seen = {o.id for o in found.objects}
        known = self._objects | (described(latest.instances) if latest is not None else {})
        self._objects = {i: known[i] for i in np.unique(self._id).tolist() if i in known and i not in seen}
        if self._objects and not found.encoder and latest is not None:  # nothing in memory speaks for the encoder
            found = dataclasses.replace(found, encoder=latest.instances.encoder, threshold=latest.instances.threshold)
        return with_objects(found, list(self._objects.values()))

    def holds(self, number: int) -> bool:
        """Whether all that is left of an object is on disk."""
        return number in self._objects

    def state(self) -> dict[str, IntArray]:
        """Arrays for storage; what the objects look like is in the snapshot."""
        return {"uid": self._uid, "id": self._id}

    def load_state(self, state: dict[str, IntArray], latest: MapSnapshot | None) -> None:
        """Restore what `state` returned; `latest` is the snapshot stored with it."""
        self._uid, self._id = state["uid"], state["id"]
        known = described(latest.instances) if latest is not None else {}
        self._objects = {i: known[i] for i in np.unique(self._id).tolist() if i in known}

    def forget(self, number: int) -> None:
        """An object was taken out of the map."""
        self._objects.pop(number, None)
        keep = self._id != number
        self._uid, self._id = self._uid[keep], self._id[keep]


def woken(state: dict[str, IntArray], ids: IntArray) -> dict[str, IntArray]:
    """The part of an identity's state that changes when some ids no longer sleep."""
    rest = ~np.isin(state["asleep_id"], ids)
    return {"asleep_id": state["asleep_id"][rest], "asleep_uid": state["asleep_uid"][rest]}


def described(instances: Instances) -> dict[int, tuple[ObjectInstance, FloatArray]]:
    """Objects and their embeddings by id."""
    return {o.id: (o, instances.embeddings[i]) for i, o in enumerate(instances.objects)}


def with_objects(instances: Instances, more: list[tuple[ObjectInstance, FloatArray]]) -> Instances:
    """The instances with more objects, of which the cloud has no points."""
    if not more:
        return instances
    rows: list[Array] = [*instances.embeddings, *(embedding for _, embedding in more)]
    objects = (*instances.objects, *(thing for thing, _ in more))
    width = max(len(row) for row in rows)
    table = np.zeros((len(rows), width), np.float32)
    for row, embedding in zip(table, rows, strict=True):
        row[: len(embedding)] = embedding
    return dataclasses.replace(instances, objects=objects, embeddings=table)

"""What is known of every id over time: when it was first and last seen, how it looked, and where it went.

A thing that is moved by hand vanishes in one place and appears in another. When the old place has been seen empty and
something of the same look has appeared since it was last seen there, the new object is the old one and takes its id.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ig_ros.instances import Identity
from ig_ros.types import Array, BoolArray, FloatArray, Instances, IntArray, ObjectInstance

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

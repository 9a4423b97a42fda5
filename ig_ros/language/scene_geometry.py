"""The objects of a snapshot as geometry: boxes, and a few hundred points of each with their colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from scipy.spatial import cKDTree

from ig_ros.colors import COLOR_NAMES, color_numbers
from ig_ros.types import BoolArray, FloatArray, IntArray, MapSnapshot, ObjectInstance

CONTACT = 0.05  # m: closer than this is touching, in a map of 2 cm voxels
SUPPORT_MARGIN = 0.1  # m around a thing in which the surface that carries it is looked for: what is under it is hidden
COMPARED_POINTS = 300  # of each object, when all objects are compared with one
ANCHOR_POINTS = 4000  # of the object that the others are compared with

Rows = TypeVar("Rows", FloatArray, IntArray)


@dataclass(frozen=True, eq=False)
class SceneGeometry:
    """S objects; metres, world frame with z up."""

    labels: tuple[str, ...]  # (S,)
    T_world_box: FloatArray  # (S, 4, 4)
    size: FloatArray  # (S, 3)
    points: FloatArray  # (P, 3), grouped by object, at most ANCHOR_POINTS each
    rgb: FloatArray  # (P, 3) in [0, 1]
    start: IntArray  # (S + 1,) first point of each object
    seen: BoolArray  # (S,) its points are of its surface; otherwise they are the corners of its box

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def center(self) -> FloatArray:
        """(S, 3) middle of each box."""
        return self.T_world_box[:, :3, 3]

    @property
    def low(self) -> FloatArray:
        """(S,) height of each underside."""
        return self.center[:, 2] - self.size[:, 2] / 2

    @property
    def high(self) -> FloatArray:
        """(S,) height of each top."""
        return self.center[:, 2] + self.size[:, 2] / 2

    def points_of(self, i: int) -> FloatArray:
        """(n, 3) points of object i."""
        return self.points[self.start[i] : self.start[i + 1]]

    @cached_property
    def color_shares(self) -> FloatArray:
        """(len(COLOR_NAMES), S) share of each object's points in every colour."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.start))
        count = np.zeros((len(COLOR_NAMES), len(self)))
        np.add.at(count, (color_numbers(self.rgb), owner), 1.0)
        return count / np.maximum(np.diff(self.start), 1)

    @cached_property
    def sample(self) -> tuple[FloatArray, IntArray]:
        """(p, 3) at most COMPARED_POINTS points of every object, and (p,) the object that each belongs to."""
        chosen = [thinned(self.points_of(i), COMPARED_POINTS) for i in range(len(self))]
        owner = np.repeat(np.arange(len(self)), [len(points) for points in chosen])
        return np.concatenate([*chosen, np.zeros((0, 3))]), owner

    def in_box(self, i: int, xyz: FloatArray) -> FloatArray:
        """(n, 3) m: points (n, 3) in box i's own axes, from its centre."""
        T = self.T_world_box[i]
        return np.asarray((xyz - T[:3, 3]) @ T[:3, :3])

    def over(self, i: int, xyz: FloatArray, margin: float = 0.0) -> BoolArray:
        """(n,) bool: points (n, 3) over, in or under box i, whose ground plan is grown by `margin` m."""
        return np.asarray((np.abs(self.in_box(i, xyz)[:, :2]) <= self.size[i, :2] / 2 + margin).all(1))

    def share_of_sample(self, chosen: BoolArray) -> FloatArray:
        """(S,) share of each object's sample points that are chosen (p,)."""
        owner = self.sample[1]
        return np.bincount(owner, chosen, len(self)) / np.maximum(np.bincount(owner, minlength=len(self)), 1)

    def share_over(self, i: int) -> FloatArray:
        """(S,) share of every object's points over the ground plan of box i."""
        return self.share_of_sample(self.over(i, self.sample[0]))

    def overlap(self, i: int) -> FloatArray:
        """(S,) share of ground plan that object i and each other have in common, of the one that has more of it."""
        own = thinned(self.points_of(i), COMPARED_POINTS)
        return np.maximum(self.share_over(i), [self.over(j, own).mean() for j in range(len(self))])

    def gaps(self, i: int) -> FloatArray:
        """(S,) m, shortest distance between the surfaces of object i and every other."""
        if i not in self._known_gaps:
            self._known_gaps[i] = self.least(cKDTree(self.points_of(i)).query(self.sample[0])[0])
        return self._known_gaps[i]

    @cached_property
    def _known_gaps(self) -> dict[int, FloatArray]:
        return {}

    def least(self, values: FloatArray) -> FloatArray:
        """(S,) least of the values (p,) of each object's sample points."""
        least = np.full(len(self), np.inf)
        np.minimum.at(least, self.sample[1], values)
        return least


_GEOMETRY: WeakKeyDictionary[MapSnapshot, SceneGeometry] = WeakKeyDictionary()


def geometry_of(snapshot: MapSnapshot) -> SceneGeometry:
    """The geometry of a snapshot's objects, worked out at the first question and kept as long as the snapshot.

    An object without points has the corners of its box.
    """
    known = _GEOMETRY.get(snapshot)
    if known is None:
        known = _GEOMETRY[snapshot] = _measure(snapshot)
    return known


def _measure(snapshot: MapSnapshot) -> SceneGeometry:
    objects = snapshot.instances.objects
    order = np.argsort(snapshot.instances.point_ids, kind="stable")
    sorted_ids = snapshot.instances.point_ids[order]
    points: list[FloatArray] = [np.zeros((0, 3))]
    colors: list[FloatArray] = [np.zeros((0, 3))]
    seen = np.zeros(len(objects), bool)
    for place, thing in enumerate(objects):
        first, last = np.searchsorted(sorted_ids, [thing.id, thing.id + 1])
        rows = thinned(order[first:last], ANCHOR_POINTS)
        seen[place] = len(rows) > 0
        points.append(snapshot.xyz[rows].astype(np.float64) if seen[place] else box_corners(thing))
        colors.append(snapshot.rgb[rows] / 255.0 if seen[place] else np.zeros_like(points[-1]))
    return SceneGeometry(
        tuple(o.label for o in objects),
        np.array([o.T_world_box for o in objects]).reshape(-1, 4, 4),
        np.array([o.size for o in objects]).reshape(-1, 3),
        np.concatenate(points),
        np.concatenate(colors),
        np.cumsum([len(p) for p in points]),
        seen,
    )


def box_corners(thing: ObjectInstance) -> FloatArray:
    """(8, 3) m, world."""
    corners = np.indices((2, 2, 2)).reshape(3, -1).T - 0.5
    return np.asarray(corners * thing.size @ thing.T_world_box[:3, :3].T + thing.T_world_box[:3, 3])


def thinned(rows: Rows, limit: int) -> Rows:
    """At most `limit` of the rows (n, ...), evenly spread."""
    return rows if len(rows) <= limit else rows[np.linspace(0, len(rows) - 1, limit).astype(np.int64)]

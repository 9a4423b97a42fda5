"""The objects of a snapshot as geometry: boxes, and a few hundred points of each with their colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ig_ros.colors import COLOR_NAMES, color_numbers
from ig_ros.types import FloatArray, Instances, IntArray, ObjectInstance

POINTS = 300  # of each object take part in comparisons
FINE = 4000  # of an object that others are compared with
STRUCTURE = frozenset(
    {"floor", "ground", "wall", "ceiling", "room", "window", "door"}
)  # no "thing", when asked for one
_CORNERS = np.array([[(c >> axis & 1) - 0.5 for axis in range(3)] for c in range(8)])


@dataclass(frozen=True)
class Surroundings:
    """S objects; metres, world frame with z up. What is asked for again and again is worked out once."""

    labels: tuple[str, ...]  # (S,)
    T_world_box: FloatArray  # (S, 4, 4)
    size: FloatArray  # (S, 3)
    points: FloatArray  # (P, 3), grouped by object, at most FINE each
    rgb: FloatArray  # (P, 3) in [0, 1]
    start: IntArray  # (S + 1,) first point of each object
    seen: npt.NDArray[np.bool_]  # (S,) its points are of its surface; otherwise the corners of its box

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
        """(p, 3) at most POINTS points of every object, and (p,) whose they are."""
        counts = np.diff(self.start)
        chosen = [s + thinned(n, POINTS) for s, n in zip(self.start[:-1], counts, strict=True)]
        owner = np.repeat(np.arange(len(self)), [len(c) for c in chosen])
        return self.points[np.concatenate([*chosen, np.zeros(0, int)])], owner

    def in_box(self, i: int, xyz: FloatArray) -> FloatArray:
        """(n, 3) points in box i's own axes, in half edges: inside is |.| <= 1 on all three."""
        T = self.T_world_box[i]
        local = (xyz - T[:3, 3]) @ T[:3, :3]
        return np.asarray(local / np.maximum(self.size[i] / 2, 1e-6))

    def gaps(self, i: int) -> FloatArray:
        """(S,) m, shortest distance between the surfaces of object i and every other."""
        xyz, owner = self.sample
        distance = cKDTree(self.points_of(i)).query(xyz)[0]
        gaps = np.full(len(self), np.inf)
        np.minimum.at(gaps, owner, distance)
        return gaps

    def share_inside(self, i: int, margin: float = 0.0, upright: bool = False) -> FloatArray:
        """(S,) share of every object's points over the ground plan of box i (or inside it), grown by `margin` m."""
        xyz, owner = self.sample
        local = np.abs(self.in_box(i, xyz)) * (self.size[i] / 2) <= self.size[i] / 2 + margin
        inside = local.all(1) if upright else local[:, :2].all(1)
        return np.bincount(owner, inside, len(self)) / np.maximum(np.bincount(owner, minlength=len(self)), 1)

    def share_of(self, i: int) -> FloatArray:
        """(S,) share of object i's points over the ground plan of every box."""
        own = self.points_of(i)[thinned(len(self.points_of(i)), POINTS)]
        return np.array([(np.abs(self.in_box(j, own)[:, :2]) <= 1).all(1).mean() for j in range(len(self))])


def surroundings(instances: Instances, xyz: FloatArray, rgb: IntArray) -> Surroundings:
    """The geometry of a map's objects from its points xyz (N, 3) m and rgb (N, 3) u8; one without has its corners."""
    objects = instances.objects
    order = np.argsort(instances.point_ids, kind="stable")
    sorted_ids = instances.point_ids[order]
    points: list[FloatArray] = []
    colors: list[FloatArray] = []
    seen = np.zeros(len(objects), bool)
    for place, thing in enumerate(objects):
        first, last = np.searchsorted(sorted_ids, [thing.id, thing.id + 1])
        rows = order[first:last]
        rows = rows[thinned(len(rows), FINE)]
        seen[place] = len(rows) > 0
        if seen[place]:
            points.append(xyz[rows].astype(np.float64))
            colors.append(rgb[rows] / 255.0)
        else:
            points.append(box_corners(thing))
            colors.append(np.zeros((8, 3)))
    start = np.cumsum([0, *(len(p) for p in points)])
    return Surroundings(
        tuple(o.label for o in objects),
        np.stack([o.T_world_box for o in objects]) if objects else np.zeros((0, 4, 4)),
        np.stack([o.size for o in objects]) if objects else np.zeros((0, 3)),
        np.concatenate(points) if points else np.zeros((0, 3)),
        np.concatenate(colors) if colors else np.zeros((0, 3)),
        start,
        seen,
    )


def box_corners(thing: ObjectInstance) -> FloatArray:
    """(8, 3) m, world."""
    return np.asarray(_CORNERS * thing.size @ thing.T_world_box[:3, :3].T + thing.T_world_box[:3, 3])


def thinned(count: int, limit: int) -> IntArray:
    """At most `limit` of `count` places, evenly spread."""
    return np.arange(count) if count <= limit else np.linspace(0, count - 1, limit).astype(np.int64)

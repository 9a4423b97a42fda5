"""What a rerun keeps of the run before: Gaussians and views that are as they were, and what follows from them alone.

Training moves everything a little all the time. An anchor that moved less than a tolerance since it was last looked at
is taken as it was then, so that all that depends on it alone stays valid: a rerun costs what has changed, and equals a
first run on the same, held scene.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ig_ros.geometry import lengths
from ig_ros.instances.over_segmentation import PointSet
from ig_ros.instances.visibility import LabelledView
from ig_ros.types import BoolArray, FloatArray, IntArray

MOVED = 0.1  # of the anchor's edge, by which a Gaussian has moved
RECOLORED = 0.03  # RGB distance
RELEARNED = 0.01  # half-space feature distance: a fifteenth of what tells two things apart
DEEPER, WHERE = 0.01, 0.01  # a view is another when its depth differs by this share on this share of its pixels


@dataclass(frozen=True, slots=True)
class Children:
    """The Gaussians whose instance is asked for."""

    xyz: FloatArray  # (G, 3) m
    anchor: IntArray  # (G,) row of PointSet


@dataclass(frozen=True, slots=True)
class Scene:
    """What is instantiated."""

    points: PointSet
    children: Children
    views: tuple[LabelledView, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a scene is as it was in the run before: the rows there."""

    point: IntArray  # (G,) of each Gaussian, -1 = new or changed
    view: IntArray  # (K,) of each view, -1 = new or changed

    @classmethod
    def nothing(cls, gaussians: int, views: int) -> Kept:
        """A first run."""
        return cls(np.full(gaussians, -1), np.full(views, -1))


def hold(before: Scene | None, now: Scene) -> tuple[Scene, Kept]:
    """`now` with everything that hardly changed since `before` as it was there, and what that is."""
    if before is None:
        return now, Kept.nothing(len(now.children.xyz), len(now.views))
    old, new = before.points, now.points
    order = np.argsort(old.uid)
    place = (
        order[np.searchsorted(old.uid, new.uid, sorter=order).clip(0, max(len(order) - 1, 0))] if len(order) else None
    )
    if place is None:
        return now, Kept.nothing(len(now.children.xyz), len(now.views))
    same = old.uid[place] == new.uid
    same &= np.abs(old.edge[place] - new.edge) <= MOVED * new.edge
    for a, b, limit in ((old.color, new.color, RECOLORED), (old.feature, new.feature, RELEARNED)):
        same &= lengths(a[place] - b) <= limit
    same &= lengths(old.xyz[place] - new.xyz) <= MOVED * new.edge
    child = _kept_children(before.children, now.children, np.where(same, place, -1), new.edge)
    same &= ~_any_by_anchor(child < 0, now.children.anchor, len(new.xyz))
    child = np.where(same[now.children.anchor], child, -1)
    points = _merged(old, new, np.where(same, place, -1))
    xyz = np.where((child >= 0)[:, None], before.children.xyz[child], now.children.xyz)
    view = _kept_views(before.views, now.views)
    views = tuple(before.views[j] if j >= 0 else v for j, v in zip(view.tolist(), now.views, strict=True))
    return Scene(points, Children(xyz, now.children.anchor), views), Kept(child, view)


def _kept_children(old: Children, new: Children, anchor: IntArray, edge: FloatArray) -> IntArray:
    """(G,) old row of each new Gaussian by anchor and place within it, -1 if it moved or its anchor has others now.

    anchor (N,) old row of each new anchor or -1, edge (N,) m.
    """
    if not len(old.xyz):
        return np.full(len(new.xyz), -1)
    rank_old, rank_new = _rank(old.anchor), _rank(new.anchor)
    width = int(max(rank_old.max(), rank_new.max(initial=0))) + 1
    size = int(max(old.anchor.max(), anchor.max(initial=-1))) + 1
    row = np.full(size * width, -1)
    row[old.anchor * width + rank_old] = np.arange(len(old.xyz))
    count_old = np.bincount(old.anchor, minlength=size)
    count_new = np.bincount(new.anchor, minlength=len(anchor))
    good = (anchor >= 0) & (count_old[anchor] == count_new)
    mine = np.where(good, anchor, -1)[new.anchor]
    found = np.where(mine >= 0, row[np.maximum(mine, 0) * width + rank_new], -1)
    still = lengths(old.xyz[found] - new.xyz) <= MOVED * edge[new.anchor]
    return np.where((found >= 0) & still, found, -1)


def _rank(anchor: IntArray) -> IntArray:
    """(G,) place of each Gaussian among those of its anchor."""
    order = np.argsort(anchor, kind="stable")
    size = np.bincount(anchor)
    rank = np.empty(len(anchor), np.int64)
    rank[order] = np.arange(len(anchor)) - np.repeat(np.cumsum(size) - size, size)
    return rank


def _any_by_anchor(flag: BoolArray, anchor: IntArray, anchors: int) -> BoolArray:
    return np.asarray(np.bincount(anchor[flag], minlength=anchors) > 0)


def _merged(old: PointSet, new: PointSet, place: IntArray) -> PointSet:
    """`new` with the rows that have a place in `old` taken from there."""
    held = place >= 0

    def pick(a: FloatArray, b: FloatArray) -> FloatArray:
        result: FloatArray = np.where(held.reshape(-1, *(1,) * (b.ndim - 1)), a[place], b).astype(b.dtype)
        return result

    return dataclasses.replace(
        new,
        xyz=pick(old.xyz, new.xyz),
        color=pick(old.color, new.color),
        feature=pick(old.feature, new.feature),
        edge=pick(old.edge, new.edge),
    )


def _kept_views(old: Sequence[LabelledView], new: Sequence[LabelledView]) -> IntArray:
    """(K,) row of the old view that shows the same as each new one, -1 = none."""
    known: dict[bytes, list[int]] = {}
    for j, v in enumerate(old):
        known.setdefault(v.T_world_camera.tobytes(), []).append(j)
    place = np.full(len(new), -1, np.int64)
    for k, v in enumerate(new):
        there = known.get(v.T_world_camera.tobytes(), [])  # several, of a camera that stood still
        same = next((j for j in there if _alike(old[j], v)), None)
        if same is not None:
            there.remove(same)  # stands for one view only
            place[k] = same
    return place


def _alike(a: LabelledView, b: LabelledView) -> bool:
    if a.labels.shape != b.labels.shape or (a.camera.K != b.camera.K).any() or a.tolerance != b.tolerance:
        return False
    if a.labels is not b.labels and not np.array_equal(a.labels, b.labels):
        return False
    return a.depth is b.depth or bool((np.abs(a.depth - b.depth) > DEEPER * np.abs(a.depth)).mean() <= WHERE)

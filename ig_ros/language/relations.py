"""What "left of", "on", "between" mean in metres: each relation scores all objects against an anchor, in [0, 1].

0.5 is undecided, as everywhere in the language stage; the widths of the logistic curves say how fuzzy a word is. Left
is the observer's left when looking at the anchor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ig_ros.language.scene_geometry import SceneGeometry
from ig_ros.language.supports import logistic, supports_of
from ig_ros.language.viewpoint import Viewpoint
from ig_ros.types import FloatArray

# Angle off its axis at which a direction is undecided: from an anchor, and from an observer, whose left is all that is
# not quite ahead; and the width of that limit.
CONE, OBSERVER_CONE, CONE_WIDTH = np.radians([52.0, 75.0, 6.0])
ELSEWHERE = 0.8  # how far a thing beside the anchor that stands on another surface is meant
DIRECTIONS = frozenset({"left of", "right of", "in front of", "behind"})
SIDES = {
    "left side of": "left of",
    "right side of": "right of",
    "front side of": "in front of",
    "back side of": "behind",
}


def related(name: str, scene: SceneGeometry, anchor: int, view: Viewpoint) -> FloatArray:
    """(S,) how far each object stands in a relation of DIRECTIONS, MEANINGS or REGIONS to the anchor; itself gets 0."""
    if name in DIRECTIONS:
        score = direction(name, scene, anchor, view)
    elif name in MEANINGS:
        score = MEANINGS[name](scene, anchor)
    else:
        score = region(name, scene, anchor, view)
        if name in SIDES and score.max(initial=0.0) < 0.5:  # nothing stands on it: "on the left side of the laptop"
            score = direction(SIDES[name], scene, anchor, view)
    score[anchor] = 0.0
    return score


def along_and_across(name: str, right: FloatArray, forward: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The axis (3,) along which a direction points from an anchor, and the axis across it."""
    if name in ("left of", "right of"):
        return (right if name == "right of" else -right), forward
    return (forward if name == "behind" else -forward), right


def direction(name: str, scene: SceneGeometry, anchor: int, view: Viewpoint) -> FloatArray:
    """Beside the anchor in that direction; nearer ones first, and nothing that lies over or under it."""
    center = scene.center[anchor]
    axes = np.stack(along_and_across(name, *view.axes_at(center)))
    along, across = axes @ (scene.center - center).T
    half_along, half_across = np.percentile(np.abs(axes @ (scene.points_of(anchor) - center).T), 95, axis=1)
    aside = np.maximum(np.abs(across) - 0.5 * half_across, 0.0)
    angle = np.arctan2(aside, along)
    beyond = logistic(along - 0.6 * half_along, 0.02)
    near = 0.85 + 0.15 * np.exp(-scene.gaps(anchor) / 0.5)
    near *= np.where(supports_of(scene).common(anchor), 1.0, ELSEWHERE)
    straight = np.cos(np.minimum(angle, CONE))
    return np.asarray(logistic(CONE - angle, CONE_WIDTH) * straight * beyond * near * apart(scene, anchor))


def apart(scene: SceneGeometry, anchor: int) -> FloatArray:
    """(S,) 1 for what stands clear of the anchor's ground plan, 0 for what carries it or lies on it."""
    return apart_from(scene.overlap(anchor))


def apart_from(share: FloatArray) -> FloatArray:
    """(S,) 1 for what has a small share (S,) of its ground plan in common with another thing, 0 for a large one."""
    return logistic(0.5 - share, 0.08)


def next_to(scene: SceneGeometry, anchor: int) -> FloatArray:
    """Within reach of the smaller of the two, at the same height, neither above nor below."""
    width = np.hypot(scene.size[:, 0], scene.size[:, 1])
    limit = 0.15 + 0.5 * np.minimum(width, width[anchor])
    vertical = np.maximum(scene.low, scene.low[anchor]) - np.minimum(scene.high, scene.high[anchor])
    near = logistic(1.0 - scene.gaps(anchor) / limit, 0.25)
    return near * logistic(0.1 - vertical, 0.03) * apart(scene, anchor)


def on(scene: SceneGeometry, anchor: int) -> FloatArray:
    """Its underside touches the anchor's surface over which it stands; or it is fixed to an upright anchor (a wall).

    What stands in the anchor as well, on one of its boards, is meant less than what stands on its top.
    """
    return np.asarray(supports_of(scene).on[:, anchor] * (1 - 0.2 * inside(scene, anchor)))


def above(scene: SceneGeometry, anchor: int) -> FloatArray:
    """The anchor is under it."""
    return np.array([supports_of(scene).beneath(anchor, i) for i in range(len(scene))])


def under(scene: SceneGeometry, anchor: int) -> FloatArray:
    """It carries the anchor, or lies beneath the anchor's surface without standing on it."""
    return np.array([supports_of(scene).beneath(i, anchor) for i in range(len(scene))])


def inside(scene: SceneGeometry, anchor: int) -> FloatArray:
    """The anchor's walls stand around it, or the anchor carries it and is over it (a shelf)."""
    return np.array([supports_of(scene).inside(i, anchor) for i in range(len(scene))])


def holding(scene: SceneGeometry, anchor: int) -> FloatArray:
    """The anchor is in it or on it."""
    supports = supports_of(scene)
    return np.array([max(supports.on[anchor, i], supports.inside(anchor, i)) for i in range(len(scene))])


def region(name: str, scene: SceneGeometry, anchor: int, view: Viewpoint) -> FloatArray:
    """(S,) what stands on (in) that part of the anchor: its middle, rim, a corner, or towards an observer's side."""
    supports = supports_of(scene)
    held = np.maximum(supports.carried[:, anchor], inside(scene, anchor))
    offset = np.abs(scene.in_box(anchor, scene.center)[:, :2]) / (scene.size[anchor, :2] / 2)
    if name in SIDES:
        axis, _ = along_and_across(SIDES[name], *view.axes_at(scene.center[anchor]))
        half = np.percentile(np.abs((scene.points_of(anchor) - scene.center[anchor]) @ axis), 98)
        share = (scene.center - scene.center[anchor]) @ axis / max(float(half), 1e-6)
        return np.asarray(held * logistic(share - 0.25, 0.05))
    if name == "center of":
        return np.asarray(held * logistic(0.4 - offset.max(1), 0.04) * (1 - 0.15 * offset.max(1)))
    return np.asarray(held * logistic((offset.min(1) if name == "corner of" else offset.max(1)) - 0.6, 0.04))


def on_level(level: str, scene: SceneGeometry, anchor: int) -> FloatArray:
    """(S,) in the upper, middle or lower third of the anchor's height."""
    height = (scene.center[:, 2] - scene.low[anchor]) / max(float(scene.size[anchor, 2]), 1e-6)
    return logistic(1 / 6 - np.abs(height - {"top": 5 / 6, "middle": 1 / 2, "bottom": 1 / 6}[level]), 0.03)


def between(scene: SceneGeometry, anchors: Sequence[int], position: FloatArray) -> FloatArray:
    """(S,) near the line between two anchors, or between one and the observer's position (3,) m, seen from above."""
    a, b = [*scene.center[list(anchors), :2], position[:2]][:2]
    length = max(float(np.linalg.norm(b - a)), 1e-6)
    along = (scene.center[:, :2] - a) @ (b - a) / length**2
    aside = np.linalg.norm(scene.center[:, :2] - a - along[:, None] * (b - a), axis=1)
    score = logistic(0.4 - np.abs(along - 0.5), 0.05) * logistic(0.3 - aside / length, 0.05)
    for anchor in anchors:
        score *= apart(scene, anchor)
    score *= 1 - 0.1 * np.minimum(aside / length, 1)
    score[list(anchors)] = 0.0
    return score


MEANINGS: dict[str, Callable[[SceneGeometry, int], FloatArray]] = {
    "next to": next_to, "on": on, "above": above, "under": under, "in": inside, "with": holding,
}  # fmt: skip


def related_to_observer(name: str, scene: SceneGeometry, view: Viewpoint) -> FloatArray:
    """(S,) in [0, 1] how far each object stands in a relation to the observer; 0 for relations that make no sense."""
    if name in DIRECTIONS:
        return direction_of_observer(name, scene, view)
    if name == "next to":  # within a metre over the floor
        gaps = scene.least(np.linalg.norm(scene.sample[0][:, :2] - view.position[:2], axis=1))
        return logistic(1.0 - gaps, 0.25)
    return np.zeros(len(scene))


def direction_of_observer(name: str, scene: SceneGeometry, view: Viewpoint) -> FloatArray:
    """On that side of the observer; in front of it is where it looks, which is behind an anchor it looks at."""
    sideways = name in ("left of", "right of")
    axes = along_and_across(name, view.right, view.forward if sideways else -view.forward)
    along, across = np.stack(axes) @ (scene.center - view.position).T
    angle = np.arctan2(np.abs(across), along)
    near = 0.85 + 0.15 * np.exp(-np.hypot(along, across) / 2.0)
    return np.asarray(logistic((OBSERVER_CONE if sideways else CONE) - angle, CONE_WIDTH) * near)

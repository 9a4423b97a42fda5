"""What "left of", "on", "between" mean in metres: each relation scores all objects against an anchor, in [0, 1].

0.5 is undecided, as everywhere in the language stage; the widths of the logistic curves say how fuzzy a word is. Left
is the observer's left when looking at the anchor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ig_ros.language.scene_geometry import CONTACT, SUPPORT_MARGIN, SceneGeometry
from ig_ros.language.viewpoint import Viewpoint
from ig_ros.types import FloatArray

# Angle off its axis at which a direction is undecided: from an anchor, and from an observer, whose left is all that is
# not quite ahead; and the width of that limit.
CONE, OBSERVER_CONE, CONE_WIDTH = np.radians([52.0, 75.0, 6.0])
DIRECTIONS = frozenset({"left of", "right of", "in front of", "behind"})


def related(name: str, scene: SceneGeometry, anchor: int, view: Viewpoint) -> FloatArray:
    """(S,) how far each object stands in a relation of DIRECTIONS or MEANINGS to the anchor; the anchor gets 0."""
    score = direction(name, scene, anchor, view) if name in DIRECTIONS else MEANINGS[name](scene, anchor)
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
    return np.asarray(logistic(CONE - angle, CONE_WIDTH) * beyond * near * apart(scene, anchor))


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
    """Carried by the anchor, or fixed to it if it stands upright like a wall."""
    gap = scene.low - surface_heights(scene, anchor)
    carried = logistic(CONTACT - np.abs(gap), 0.015) * (1.0 - apart_from(scene.share_over(anchor)))
    score = np.where(np.isfinite(gap), carried, 0.0)
    if scene.size[anchor, :2].min() < 0.3 and scene.size[anchor, 2] > 1.0:
        hangs = scene.low - scene.low[anchor] > 0.15
        score = np.maximum(score, hangs * logistic(CONTACT - scene.gaps(anchor), 0.015))
    return score


def above(scene: SceneGeometry, anchor: int) -> FloatArray:
    """Over the anchor, touching or not; the closer, the better."""
    gap = scene.low - surface_heights(scene, anchor)
    high = logistic(gap + CONTACT, 0.015) * (0.9 + 0.1 * np.exp(-np.maximum(gap, 0) / 0.2))
    return np.where(np.isfinite(gap), high * logistic(scene.overlap(anchor) - 0.3, 0.08), 0.0)


def under(scene: SceneGeometry, anchor: int) -> FloatArray:
    """Below the anchor, carrying it or not; the closer, the better."""
    own = scene.points_of(anchor)
    gap = np.full(len(scene), np.inf)
    for i in range(len(scene)):
        top = _top_under(scene, i, anchor)
        over = own[scene.over(i, own, SUPPORT_MARGIN) & (own[:, 2] >= top - CONTACT), 2]
        if len(over):
            gap[i] = max(0.0, np.percentile(over, 5) - top)
    near = 0.9 + 0.1 * np.exp(-gap / 0.2)
    return np.where(np.isfinite(gap), logistic(scene.overlap(anchor) - 0.3, 0.08) * near, 0.0)


def inside(scene: SceneGeometry, anchor: int) -> FloatArray:
    """In the anchor's box, out of which it may stand half its height, and smaller than it."""
    xyz, owner = scene.sample
    half = scene.size[anchor] / 2
    local = np.abs(scene.in_box(anchor, xyz))
    head = 0.5 * scene.size[owner, 2]
    share = scene.share_of_sample((local[:, :2] <= half[:2] + 0.01).all(1) & (local[:, 2] <= half[2] + 0.01 + head))
    smaller = scene.size[:, :2].prod(1) < scene.size[anchor, :2].prod()
    rises = scene.low > scene.low[anchor] - 0.02  # an apple in a bowl rests above the bowl's foot
    sunk = scene.low < scene.high[anchor] - 0.3 * scene.size[anchor, 2]
    return np.asarray(logistic(share - 0.6, 0.1) * smaller * rises * sunk)


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


def surface_heights(scene: SceneGeometry, anchor: int) -> FloatArray:
    """(S,) height of the anchor's surface where each object stands on or over it; infinite where it has none."""
    own = scene.points_of(anchor)
    height = np.full(len(scene), np.inf)
    for i in range(len(scene)):
        below = own[scene.over(i, own, SUPPORT_MARGIN) & (own[:, 2] <= scene.low[i] + CONTACT), 2]
        if len(below):
            height[i] = np.percentile(below, 95)
    return height


def _top_under(scene: SceneGeometry, i: int, anchor: int) -> float:
    """Height of object i's surface under the anchor: a table's top, even where a lamp rises from its edge."""
    own = scene.points_of(i)
    near = own[scene.over(anchor, own, SUPPORT_MARGIN), 2]
    return float(np.percentile(near, 50)) if len(near) else float(scene.high[i])


def logistic(x: FloatArray, width: float) -> FloatArray:
    """1 / (1 + exp(-x / width))."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x / width, -50.0, 50.0))))


MEANINGS: dict[str, Callable[[SceneGeometry, int], FloatArray]] = {
    "next to": next_to, "on": on, "above": above, "under": under, "in": inside,
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

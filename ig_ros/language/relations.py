"""What "left of", "on", "between" mean in metres: each relation scores all objects against an anchor, in [0, 1].

0.5 is undecided, as everywhere in the language stage; the widths of the logistic curves say how fuzzy a word is. The
meanings are deictic: left is the observer's left when looking at the anchor.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ig_ros.language.grammar import PRONOUNS, Phrase
from ig_ros.language.object_geometry import Surroundings
from ig_ros.language.viewpoint import Viewpoint
from ig_ros.types import FloatArray

CONE = np.radians(52.0)  # a direction is undecided this far off its axis ...
CONE_WIDTH = np.radians(6.0)
CONTACT = 0.05  # m: closer than this is touching, in a map of 2 cm voxels
RING = 0.08  # m around a thing in which its support shows, for under the thing nobody has seen it
OVERLAP = 0.4  # share of a thing's ground plan that lies over what carries it
DIRECTIONS = {"left of": (0, -1.0), "right of": (0, 1.0), "in front of": (1, -1.0), "behind": (1, 1.0)}


def related(name: str, scene: Surroundings, anchor: int, view: Viewpoint) -> FloatArray:
    """(S,) how far each object stands in the relation to the anchor; the anchor itself gets 0.

    Two-anchor and comparing relations are elsewhere (`between`, superlatives).
    """
    score = direction(name, scene, anchor, view) if name in DIRECTIONS else MEANINGS[name](scene, anchor)
    score[anchor] = 0.0
    return score


def direction(name: str, scene: Surroundings, anchor: int, view: Viewpoint) -> FloatArray:
    """Beside the anchor in that direction; nearer ones first, and nothing that lies over or under it."""
    axis, sign = DIRECTIONS[name]
    axes = view.axes_at(scene.center[anchor])
    offset = (scene.center - scene.center[anchor]) @ axes.T
    half = np.abs((scene.points_of(anchor) - scene.center[anchor]) @ axes.T)
    reach = np.percentile(half, 95, axis=0)  # half extents of the anchor along right and forward
    along = sign * offset[:, axis]
    aside = np.maximum(np.abs(offset[:, 1 - axis]) - 0.5 * reach[1 - axis], 0.0)
    angle = np.arctan2(aside, along)
    beyond = logistic(along - 0.6 * reach[axis], 0.02)
    near = 0.85 + 0.15 * np.exp(-scene.gaps(anchor) / 0.5)
    return np.asarray(logistic(CONE - angle, CONE_WIDTH) * beyond * near * apart(scene, anchor))


def apart(scene: Surroundings, anchor: int) -> FloatArray:
    """(S,) 1 for what stands clear of the anchor's ground plan, 0 for what carries it or lies on it."""
    return logistic(0.5 - np.maximum(scene.share_inside(anchor), scene.share_of(anchor)), 0.08)


def next_to(scene: Surroundings, anchor: int) -> FloatArray:
    """Within reach of the smaller of the two, at the same height, neither above nor below."""
    width = np.hypot(scene.size[:, 0], scene.size[:, 1])
    limit = 0.15 + 0.5 * np.minimum(width, width[anchor])
    vertical = np.maximum(scene.low, scene.low[anchor]) - np.minimum(scene.high, scene.high[anchor])
    near = logistic(1.0 - scene.gaps(anchor) / limit, 0.25)
    return near * logistic(0.1 - vertical, 0.03) * apart(scene, anchor)


def on(scene: Surroundings, anchor: int) -> FloatArray:
    """Carried by the anchor, or fixed to it if it stands upright like a wall."""
    surface = support_heights(scene, anchor)
    gap = scene.low - surface
    carried = logistic(CONTACT - np.abs(gap), 0.015) * logistic(scene.share_inside(anchor) - OVERLAP, 0.08)
    score = np.where(np.isfinite(gap), carried, 0.0)
    if scene.size[anchor, :2].min() < 0.3 and scene.size[anchor, 2] > 1.0:
        hangs = scene.low - scene.low[anchor] > 0.15
        score = np.maximum(score, hangs * logistic(CONTACT - scene.gaps(anchor), 0.015))
    return score


def above(scene: Surroundings, anchor: int) -> FloatArray:
    """Over the anchor, touching or not; the closer, the better."""
    gap = scene.low - support_heights(scene, anchor)
    over = np.maximum(scene.share_inside(anchor), scene.share_of(anchor))
    high = logistic(gap + CONTACT, 0.015) * (0.9 + 0.1 * np.exp(-np.maximum(gap, 0) / 0.2))
    return np.where(np.isfinite(gap), high * logistic(over - 0.3, 0.08), 0.0)


def under(scene: Surroundings, anchor: int) -> FloatArray:
    """Below the anchor, carrying it or not; the closer, the better."""
    own = scene.points_of(anchor)
    gap = np.full(len(scene), np.inf)
    for i in range(len(scene)):
        reach = np.abs(scene.in_box(i, own)[:, :2]) * (scene.size[i, :2] / 2) <= scene.size[i, :2] / 2 + RING
        over = own[reach.all(1) & (own[:, 2] >= _top_under(scene, i, anchor) - CONTACT), 2]
        if len(over):
            gap[i] = max(0.0, np.percentile(over, 5) - _top_under(scene, i, anchor))
    share = np.maximum(scene.share_inside(anchor), scene.share_of(anchor))
    return np.where(np.isfinite(gap), logistic(share - 0.3, 0.08) * (0.9 + 0.1 * np.exp(-gap / 0.2)), 0.0)


def inside(scene: Surroundings, anchor: int) -> FloatArray:
    """In the anchor's box, out of which it may stand half its height, and smaller than it."""
    xyz, owner = scene.sample
    half = scene.size[anchor] / 2
    local = scene.in_box(anchor, xyz) * half
    head = 0.5 * scene.size[owner, 2]
    held = (np.abs(local[:, :2]) <= half[:2] + 0.01).all(1) & (np.abs(local[:, 2]) <= half[2] + 0.01 + head)
    share = np.bincount(owner, held, len(scene)) / np.maximum(np.bincount(owner, minlength=len(scene)), 1)
    smaller = scene.size[:, :2].prod(1) < scene.size[anchor, :2].prod()
    rises = scene.low > scene.low[anchor] - 0.02  # an apple in a bowl rests above the bowl's foot
    sunk = scene.low < scene.high[anchor] - 0.3 * scene.size[anchor, 2]
    return np.asarray(logistic(share - 0.6, 0.1) * smaller * rises * sunk)


def between(scene: Surroundings, first: int, second: int, place: FloatArray | None = None) -> FloatArray:
    """(S,) near the line from one anchor to the other, or to a place (3,) m instead of the second, seen from above."""
    a, b = scene.center[first, :2], (scene.center[second] if place is None else place)[:2]
    anchors = [first, second] if place is None else [first]
    length = max(float(np.linalg.norm(b - a)), 1e-6)
    along = (scene.center[:, :2] - a) @ (b - a) / length**2
    aside = np.linalg.norm(scene.center[:, :2] - a - along[:, None] * (b - a), axis=1)
    score = logistic(0.4 - np.abs(along - 0.5), 0.05) * logistic(0.3 - aside / length, 0.05)
    for anchor in anchors:
        score *= apart(scene, anchor)
    score *= 1 - 0.1 * np.minimum(aside / length, 1)
    score[anchors] = 0.0
    return score


def support_heights(scene: Surroundings, anchor: int) -> FloatArray:
    """(S,) height of the anchor's surface where each object stands on or over it; infinite where it has none."""
    own = scene.points_of(anchor)
    height = np.full(len(scene), np.inf)
    for i in range(len(scene)):
        half = scene.size[i, :2] / 2
        reach = (np.abs(scene.in_box(i, own)[:, :2]) * half <= half + RING).all(1)
        below = own[reach & (own[:, 2] <= scene.low[i] + CONTACT), 2]
        if len(below):
            height[i] = np.percentile(below, 95)
    return height


def _top_under(scene: Surroundings, i: int, anchor: int) -> float:
    """Height of object i's surface under the anchor: a table's top, even where a lamp rises from its edge."""
    own = scene.points_of(i)
    half = scene.size[anchor, :2] / 2
    reach = (np.abs(scene.in_box(anchor, own)[:, :2]) * half <= half + RING).all(1)
    return float(np.percentile(own[reach, 2], 50)) if reach.any() else float(scene.high[i])


def logistic(x: FloatArray, width: float) -> FloatArray:
    """1 / (1 + exp(-x / width))."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x / width, -50.0, 50.0))))


MEANINGS: dict[str, Callable[[Surroundings, int], FloatArray]] = {
    "next to": next_to, "on": on, "above": above, "under": under, "in": inside,
}  # fmt: skip


BESIDE = np.radians(75.0)  # left of somebody who looks ahead is all that is not quite ahead
REACH = 1.0  # m over the floor: so near a thing is next to somebody
NAMES = frozenset({"robot"})  # who is asked, unless the map has a thing of that name


def is_observer(phrase: Phrase, relevance: Callable[[str], FloatArray]) -> bool:
    """Whether a phrase means whoever looks; relevance gives (S,) scores of all objects for a text, 1 = its label."""
    bare = not (phrase.colors or phrase.superlative or phrase.relations)
    if phrase.words in PRONOUNS:
        return bare
    return bare and phrase.words in NAMES and relevance(phrase.words).max(initial=0.0) < 1.0


def related_to_observer(name: str, scene: Surroundings, view: Viewpoint) -> FloatArray:
    """(S,) in [0, 1] how far each object stands in a relation to the observer; 0 for relations that make no sense."""
    if name in DIRECTIONS:
        return _direction(name, scene, view)
    if name == "next to":
        xyz, owner = scene.sample
        gaps = np.full(len(scene), np.inf)
        np.minimum.at(gaps, owner, np.linalg.norm(xyz[:, :2] - view.position[:2], axis=1))
        return logistic(1.0 - gaps / REACH, 0.25)
    return np.zeros(len(scene))


def _direction(name: str, scene: Surroundings, view: Viewpoint) -> FloatArray:
    """On that side of the observer, who looks away from itself: in front of it is where it looks."""
    axis, sign = DIRECTIONS[name]
    sign = -sign if axis == 1 else sign
    offset = (scene.center - view.position) @ np.stack([view.right, view.forward]).T
    angle = np.arctan2(np.abs(offset[:, 1 - axis]), sign * offset[:, axis])
    near = 0.85 + 0.15 * np.exp(-np.linalg.norm(offset, axis=1) / 2.0)
    return np.asarray(logistic((BESIDE if axis == 0 else CONE) - angle, CONE_WIDTH) * near)

"""Colours and comparisons: "the red mug", "the nearest chair", "the mug on the left"."""

from __future__ import annotations

import numpy as np

from ig_ros.colors import COLOR_NAMES
from ig_ros.language.scene_geometry import SceneGeometry
from ig_ros.language.viewpoint import Viewpoint
from ig_ros.types import FloatArray

SIMILAR_COLORS = {
    "red": ("pink", "orange", "brown"), "orange": ("brown", "yellow"), "yellow": ("orange",),
    "green": ("cyan",), "cyan": ("green", "blue"), "blue": ("cyan", "purple"), "purple": ("pink", "blue"),
    "pink": ("purple", "red"), "brown": ("orange",), "black": (), "white": ("grey",), "grey": ("white",),
}  # fmt: skip
HALF_SURE = 0.35  # share of an object's surface in a colour at which the colour is undecided


def color_score(name: str, scene: SceneGeometry) -> FloatArray:
    """(S,) in [0, 1]: how far each object is of that colour, NaN where its surface is unknown.

    Similar colours count half, because light shifts hues.
    """
    share = scene.color_shares[COLOR_NAMES.index(name)].copy()
    for similar in SIMILAR_COLORS[name]:
        share += 0.5 * scene.color_shares[COLOR_NAMES.index(similar)]
    scores = np.where(scene.seen, share / (share + HALF_SURE), np.nan)
    return np.where([name in label.split() for label in scene.labels], 1.0, scores)


def extreme(name: str, scene: SceneGeometry, view: Viewpoint) -> FloatArray:
    """(S,) what a superlative compares; the object with the largest value is meant."""
    offset = scene.center - view.position
    if name in ("nearest", "farthest"):
        distance = np.asarray(np.linalg.norm(offset, axis=1))
        return -distance if name == "nearest" else distance
    if name in ("leftmost", "rightmost"):
        ahead = offset @ view.forward
        bearing = np.arctan2(offset @ view.right, ahead) if (ahead > 0.1).all() else offset @ view.right
        return np.asarray(bearing if name == "rightmost" else -bearing)
    height = {"highest": scene.high, "lowest": -scene.low, "tallest": scene.size[:, 2], "shortest": -scene.size[:, 2]}
    if name in height:
        return height[name]
    volume = np.asarray(scene.size.prod(1))
    return volume if name == "largest" else -volume


def prefer(values: FloatArray, scores: FloatArray, threshold: float) -> FloatArray:
    """Scores after a comparison: the best of those that count as present keeps its score, the n-th gets 1/n of it."""
    candidates = np.flatnonzero(scores >= threshold)
    result = np.zeros_like(scores)
    order = candidates[np.argsort(-values[candidates], kind="stable")]
    result[order] = scores[order] / np.arange(1, len(order) + 1)
    return result

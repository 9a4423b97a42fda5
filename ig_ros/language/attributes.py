"""Colours and comparisons: "the red mug", "the nearest chair", "the mug on the left"."""

from __future__ import annotations

import colorsys

import numpy as np

from ig_ros.language.surroundings import Surroundings
from ig_ros.language.viewpoint import Viewpoint
from ig_ros.types import FloatArray, IntArray

HUES = (  # upper end in degrees, name; red again after the last
    (14.0, "red"), (40.0, "orange"), (68.0, "yellow"), (165.0, "green"), (195.0, "cyan"), (258.0, "blue"),
    (295.0, "purple"), (338.0, "pink"), (360.0, "red"),
)  # fmt: skip
DARK, PALE, GREY = 0.2, 0.75, 0.18  # value below which all is black, above which greys are white; saturation of greys
NEIGHBORS = {
    "red": ("pink", "orange", "brown"), "orange": ("brown", "yellow"), "yellow": ("orange",),
    "green": ("cyan",), "cyan": ("green", "blue"), "blue": ("cyan", "purple"), "purple": ("pink", "blue"),
    "pink": ("purple", "red"), "brown": ("orange",), "black": (), "white": ("grey",), "grey": ("white",),
}  # fmt: skip
HALF_SURE = 0.35  # share of an object's surface in a colour at which the colour is undecided


def color_score(name: str, scene: Surroundings) -> FloatArray:
    """(S,) in [0, 1]: how far each object is of that colour, NaN where nobody saw it.

    Neighbouring names count half: light shifts hues.
    """
    scores = np.full(len(scene), np.nan)
    for i, label in enumerate(scene.labels):
        if name in label.split():
            scores[i] = 1.0
            continue
        if not scene.seen[i]:
            continue
        names = color_names(scene.colors_of(i))
        share = np.mean(names == name) + 0.5 * np.mean(np.isin(names, NEIGHBORS[name]))
        scores[i] = share / (share + HALF_SURE)
    return scores


def color_names(rgb: FloatArray) -> IntArray | FloatArray:
    """(n,) array of names of colours rgb (n, 3) in [0, 1]."""
    names = []
    for r, g, b in rgb:
        hue, saturation, value = colorsys.rgb_to_hsv(r, g, b)
        if value < DARK:
            names.append("black")
        elif saturation < GREY:
            names.append("white" if value > PALE else "grey")
        else:
            name = next(n for end, n in HUES if hue * 360 <= end)
            names.append("brown" if name == "orange" and value < 0.65 else name)
    return np.array(names)


def extreme(name: str, scene: Surroundings, view: Viewpoint) -> FloatArray:
    """(S,) the larger, the more: what a superlative compares."""
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

"""Colours and comparisons: "the red mug", "the nearest chair", "the mug on the left"."""

from __future__ import annotations

import cv2
import numpy as np

from ig_ros.colors import COLOR_NAMES
from ig_ros.language.grammar import Phrase
from ig_ros.language.scene_geometry import SceneGeometry
from ig_ros.language.supports import logistic
from ig_ros.language.viewpoint import Viewpoint
from ig_ros.types import FloatArray, IntArray

SIMILAR_COLORS = {
    "red": ("pink", "orange", "brown"), "orange": ("brown", "yellow"), "yellow": ("orange",),
    "green": ("cyan",), "cyan": ("green", "blue"), "blue": ("cyan", "purple"), "purple": ("pink", "blue"),
    "pink": ("purple", "red"), "brown": ("orange",), "black": (), "white": ("grey",), "grey": ("white",),
}  # fmt: skip
HALF_SURE = 0.35  # share of an object's surface in a colour at which the colour is undecided


def color_score(name: str, scene: SceneGeometry) -> FloatArray:
    """(S,) in [0, 1]: how far each object is of that colour, NaN where its surface is unknown.

    Similar colours count a third, because light shifts hues, but a blue mug is no purple one.
    """
    share = scene.color_shares[COLOR_NAMES.index(name)].copy()
    for similar in SIMILAR_COLORS[name]:
        share += 0.3 * scene.color_shares[COLOR_NAMES.index(similar)]
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
    if name == "longest":
        return np.asarray(scene.size.max(1))
    volume = np.asarray(scene.size.prod(1))
    return volume if name == "largest" else -volume


ALIKE = 0.75  # share of the best score from which on a thing is compared: the largest book is no notebook


def candidates_of(scores: FloatArray, threshold: float) -> IntArray:
    """Places of what counts as present and fits nearly as well as the best."""
    return np.flatnonzero(scores >= max(threshold, ALIKE * float(scores.max(initial=0.0))))


def prefer(values: FloatArray, scores: FloatArray, threshold: float) -> FloatArray:
    """Scores after a comparison: the best of the candidates keeps its score, the n-th gets 1/n of it."""
    candidates = candidates_of(scores, threshold)
    result = np.zeros_like(scores)
    order = candidates[np.argsort(-values[candidates], kind="stable")]
    result[order] = scores[order] / np.arange(1, len(order) + 1)
    return result


def compared(phrase: Phrase, scores: FloatArray, threshold: float, scene: SceneGeometry, view: Viewpoint) -> FloatArray:
    """(S,) scores after a phrase's superlative: of its first, its n-th, its first n, or the one in the middle."""
    middle = phrase.superlative == "middle"
    values = extreme("leftmost" if middle else phrase.superlative, scene, view)
    candidates = candidates_of(scores, threshold)
    order = candidates[np.argsort(-values[candidates], kind="stable")]
    kept = order[phrase.place - 1 : phrase.place]
    if middle:
        kept = order[(len(order) - 1) // 2 : len(order) // 2 + 1]
    elif phrase.number:
        kept = order[: phrase.number]
    elif phrase.place == 1:
        return prefer(values, scores, threshold)
    return np.where(np.isin(np.arange(len(scores)), kept), scores, 0.0)


def shape_score(name: str, scene: SceneGeometry) -> FloatArray:
    """(S,) in [0, 1]: round from above, flat, or long, by its points and the sides of its box."""
    if name == "round":
        return np.array([_roundness(scene, i) for i in range(len(scene))])
    short, middle, long = np.sort(scene.size, axis=1).T
    ratio = long / np.maximum(middle, 1e-6) / 3 if name == "long" else middle / np.maximum(short, 1e-6) / 4
    return logistic(np.log(np.maximum(ratio, 1e-6)), 0.1)


def _roundness(scene: SceneGeometry, i: int) -> float:
    """How far the outline from above fills the circle around it, and how near it is to a ball."""
    plan = (scene.points_of(i)[:, :2] - scene.center[i, :2]).astype(np.float32)
    radius = float(cv2.minEnclosingCircle(plan)[1])
    filled = cv2.contourArea(cv2.convexHull(plan)) / max(np.pi * radius**2, 1e-9)  # of a square 0.64
    ball = scene.size[i].min() / max(float(scene.size[i].max()), 1e-6)
    return float(logistic(np.asarray(filled - 0.8), 0.03) * (0.8 + 0.2 * ball))

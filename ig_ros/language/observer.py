"""The one from whose viewpoint a query is meant, as what things stand to: "the chair nearest to me"."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ig_ros.language.grammar import PRONOUNS, Phrase
from ig_ros.language.relations import CONE, CONE_WIDTH, DIRECTIONS, logistic
from ig_ros.language.surroundings import Surroundings
from ig_ros.language.viewpoint import Viewpoint
from ig_ros.types import FloatArray

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

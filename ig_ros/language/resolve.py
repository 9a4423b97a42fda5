"""A parsed phrase and the objects' geometry become one score per object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ig_ros.language.attributes import color_score, extreme, prefer
from ig_ros.language.grammar import Phrase, Relation, alternatives
from ig_ros.language.object_geometry import STRUCTURE, Surroundings
from ig_ros.language.relations import between, is_observer, related, related_to_observer
from ig_ros.language.viewpoint import Viewpoint
from ig_ros.types import BoolArray, FloatArray

OBSERVER = -1  # stands for the number of an object where whoever looks is the anchor
ANCHORS = 5  # most likely meanings of an anchor that are tried
BACKGROUND = frozenset({"floor", "ground", "wall", "ceiling", "room", "house"})  # there, mapped or not


@dataclass(frozen=True, slots=True)
class Context:
    """What a phrase is resolved against."""

    relevance: Callable[[str], FloatArray]  # text -> (S,) score of every object in [0, 1]
    named: Callable[[str], BoolArray]  # text -> (S,) whether it is the object's label
    scene: Surroundings
    view: Viewpoint
    threshold: float  # a score below means: not there


def resolve(phrase: Phrase, context: Context) -> FloatArray:
    """(S,) in [0, 1]: how well each object answers the phrase; the weakest of all demands decides."""
    scores = np.max([_resolve(reading, context) for reading in alternatives(phrase)], axis=0)
    return np.asarray(scores)


def missing_anchor(phrase: Phrase, context: Context) -> str:
    """Words of the first thing that the phrase takes for given and that is not there; "" if all are there."""
    for relation in phrase.relations:
        for anchor in relation.anchors:
            if is_observer(anchor, context.relevance):
                continue
            if resolve(anchor, context).max(initial=0.0) < context.threshold:
                return missing_anchor(anchor, context) or anchor.text
    return ""


def descriptive(phrase: Phrase, context: Context) -> bool:
    """Whether the relation says what kind of thing is meant ("flakes in a carton") and not where it is.

    So it is, too, where the anchor is a wall or floor that nobody has segmented: there is one all the same.
    """
    for relation in phrase.relations:
        things = [anchor for anchor in relation.anchors if not is_observer(anchor, context.relevance)]
        if not things and relation.certain:
            continue
        best = min((resolve(anchor, context).max(initial=0.0) for anchor in things), default=0.0)
        if not relation.certain and best < 1.0:
            return True
        if best < context.threshold and all(anchor.words in BACKGROUND for anchor in things):
            return True
    return False


def _resolve(phrase: Phrase, context: Context) -> FloatArray:
    scores = context.relevance(phrase.words) if phrase.words else anything(context.scene)
    if phrase.colors:
        for color in phrase.colors:
            shown = color_score(color, context.scene)
            unseen = np.isnan(shown)
            scores = both(scores, np.where(unseen, context.relevance(phrase.text), shown) if unseen.any() else shown)
        scores = np.maximum(scores, context.named(phrase.text))  # a label may itself name the colour
    for relation in phrase.relations:
        if relation.name not in ("nearest", "farthest"):
            scores = both(scores, _related(relation, context))
    for relation in phrase.relations:
        if relation.name in ("nearest", "farthest"):
            scores = _compared(relation, scores, context)
    if phrase.superlative:
        scores = prefer(extreme(phrase.superlative, context.scene, context.view), scores, context.threshold)
    return scores


def anything(scene: Surroundings) -> FloatArray:
    """(S,) 1 for every object but floor, walls and ceiling."""
    return np.array([0.0 if STRUCTURE & set(label.split()) else 1.0 for label in scene.labels])


def both(first: FloatArray, second: FloatArray) -> FloatArray:
    """Two demands at once: the weaker decides, the stronger breaks ties."""
    return np.asarray(np.minimum(first, second) * (0.95 + 0.05 * np.maximum(first, second)))


def _related(relation: Relation, context: Context) -> FloatArray:
    """(S,) over all likely anchors, the best of anchor and geometry together."""
    best = np.zeros(len(context.scene))
    if relation.name == "between":
        first, second = (_anchors(anchor, context) for anchor in relation.anchors)
        for i, p in first:
            for j, q in second:
                if i != j:
                    sure = np.full(len(best), min(p, q))
                    place = context.view.position if OBSERVER in (i, j) else None
                    best = np.maximum(best, both(sure, between(context.scene, max(i, j), min(i, j), place)))
        return best
    for i, p in _anchors(relation.anchors[0], context):
        if i == OBSERVER:
            geometry = related_to_observer(relation.name, context.scene, context.view)
        else:
            geometry = related(relation.name, context.scene, i, context.view)
        best = np.maximum(best, both(np.full(len(best), p), geometry))
    return best


def _compared(relation: Relation, scores: FloatArray, context: Context) -> FloatArray:
    """The candidate nearest to (farthest from) the anchor; what carries the anchor or lies on it is no neighbour."""
    anchors = _anchors(relation.anchors[0], context)
    if not anchors:
        return np.zeros_like(scores)
    i, p = anchors[0]
    scene = context.scene
    if i == OBSERVER:
        return prefer(extreme(relation.name, scene, context.view), scores, context.threshold)
    gaps = scene.gaps(i)
    candidates = both(scores, np.full(len(scores), p))
    stacked = np.maximum(scene.share_inside(i), scene.share_of(i)) > 0.5
    candidates = np.where(stacked, 0.0, candidates)
    candidates[i] = 0.0
    values = -gaps if relation.name == "nearest" else gaps
    return prefer(values, candidates, context.threshold)


def _anchors(phrase: Phrase, context: Context) -> list[tuple[int, float]]:
    """The objects that a phrase may mean, with their scores, best first; OBSERVER for whoever looks."""
    if is_observer(phrase, context.relevance):
        return [(OBSERVER, 1.0)]
    scores = resolve(phrase, context)
    order = [int(i) for i in np.argsort(-scores, kind="stable")[:ANCHORS] if scores[i] >= context.threshold]
    return [(i, float(scores[i])) for i in order]

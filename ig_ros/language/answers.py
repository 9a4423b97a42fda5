"""Answers in words: what was found and how the question was understood, how many, which of several, why nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ig_ros.language.grammar import Phrase, is_plain
from ig_ros.language.question import Question
from ig_ros.types import FloatArray, Instances, ObjectInstance, QueryHit, QueryResult, QueryStatus

SIDED = frozenset({"left of", "right of", "in front of", "behind", "left side of", "right side of", "front side of",
                   "back side of"})  # fmt: skip
SIDED_ENDS = frozenset({"leftmost", "rightmost", "nearest", "farthest", "middle"})


def answered(
    text: str, reading: str, scores: FloatArray, instances: Instances, max_results: int, threshold: float
) -> QueryResult:
    """Ranks scored objects: by score, then by confidence, then by age."""
    hits = hits_of(scores, instances, threshold)
    message = f"'{text}' is {name_of(hits[0].object)}, score {hits[0].score:.2f}"
    if len(hits) > 1:
        message += f", and {len(hits) - 1} more fit"
    return QueryResult(QueryStatus.FOUND, hits[: max_results or None], message + note(reading, threshold), threshold)


def counted(
    text: str, reading: str, scores: FloatArray, instances: Instances, max_results: int, threshold: float
) -> QueryResult:
    """How many objects count as present, and which they are."""
    hits = hits_of(scores, instances, threshold)
    message = f"'{text}': {len(hits)}"
    if hits:
        message += f" ({', '.join(name_of(hit.object) for hit in hits)})"
    status = QueryStatus.FOUND if hits else QueryStatus.ABSENT
    return QueryResult(status, hits[: max_results or None], message + note(reading, threshold), threshold)


def which_one(
    text: str, reading: str, scores: FloatArray, likely: Sequence[int], colors: Sequence[str], instances: Instances,
    max_results: int, threshold: float,
) -> QueryResult:  # fmt: skip
    """Asks back: one thing was asked for and several fit equally well. `colors` are those of the likely ones."""
    kept = np.zeros_like(scores)
    kept[list(likely)] = scores[list(likely)]
    hits = hits_of(kept, instances, threshold)
    color = {instances.objects[i].id: c for i, c in zip(likely, colors, strict=True)}
    named = ", ".join(f"{color[h.object.id]} {name_of(h.object)}".strip() for h in hits)
    message = f"'{text}': {len(hits)} fit, which one? {named}"
    return QueryResult(
        QueryStatus.AMBIGUOUS, hits[: max_results or None], message + note(reading, threshold), threshold
    )


def unanswered(
    text: str, reading: str, scores: FloatArray, instances: Instances, threshold: float, missing: str
) -> QueryResult:
    """Nothing fits: the closest object, and the anchor that is not there."""
    closest = max(range(len(scores)), key=lambda i: (scores[i], instances.objects[i].confidence))
    why = f"there is no '{missing}' here; " if missing else ""
    message = (
        f"nothing here fits '{text}': {why}the closest is {name_of(instances.objects[closest])} with a score of "
        f"{scores[closest]:.2f}, below {threshold:.2f}"
    )
    return QueryResult(QueryStatus.ABSENT, (), message + note(reading, 0.0), threshold)


def hits_of(scores: FloatArray, instances: Instances, threshold: float) -> tuple[QueryHit, ...]:
    """Objects that reach the threshold, best first."""
    objects = instances.objects
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], -objects[i].confidence, objects[i].id))
    return tuple(QueryHit(objects[i], float(scores[i])) for i in order if scores[i] >= threshold)


def name_of(thing: ObjectInstance) -> str:
    """Label and number."""
    return f"'{thing.label}' (object {thing.id})" if thing.label else f"object {thing.id}"


def note(reading: str, threshold: float) -> str:
    """How a question was read, and from which score on a thing counts, in brackets."""
    limit = f"; counted from {threshold:.2f}" if threshold and reading else ""
    return f" [read as: {reading}{limit}]" if reading else ""


def read_as(question: Question, viewpoint: str) -> str:
    """A question as it was understood; "" for a plain name. `viewpoint` is where left and right are seen from."""
    if is_plain(question.phrase) and question.phrase.words == question.bare.removeprefix("the ").removeprefix("a "):
        return ""
    quantity = {"one": "", "any": "", "all": "all: ", "count": "number of: "}[question.quantity]
    seen = f"; left, right, front, back as seen from {viewpoint}" if is_sided(question.phrase) else ""
    return f"{quantity}{in_words(question.phrase)}{seen}"


def in_words(phrase: Phrase) -> str:
    """A phrase with brackets around what belongs together."""
    place = f"number {phrase.place} " if phrase.place > 1 else f"{phrase.number} " if phrase.number else ""
    chosen = [f"{place}{phrase.superlative}"] if phrase.superlative else []
    words = " ".join([*chosen, *phrase.shapes, *phrase.colors, phrase.words or "thing"])
    for relation in phrase.relations:
        words += f" {relation.name} ({') and ('.join(map(in_words, relation.anchors))})"
    for whole in phrase.whole:
        words = f"{phrase.level} {words} of ({in_words(whole)})".strip()
    return words + "".join(f" except ({in_words(other)})" for other in phrase.excluded)


def is_sided(phrase: Phrase) -> bool:
    """Whether a phrase depends on who looks."""
    inner = [*phrase.excluded, *phrase.whole, *(a for r in phrase.relations for a in r.anchors)]
    sided = phrase.superlative in SIDED_ENDS or any(r.name in SIDED for r in phrase.relations)
    return sided or any(map(is_sided, inner))

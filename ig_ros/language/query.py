"""Text query: which objects does a text mean, and is it there at all?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ig_ros.config import LanguageConfig
from ig_ros.errors import EncoderError, QueryError
from ig_ros.language.encoders import Encoder
from ig_ros.types import FloatArray, Instances, QueryHit, QueryResult, QueryStatus

ARTICLES = {"a", "an", "the", "my", "some"}


def rank(
    text: str,
    encoder: Encoder | None,
    instances: Instances,
    config: LanguageConfig,
    max_results: int = 1,
    min_score: float = 0.0,
) -> QueryResult:
    """Objects that fit the text, best first; at most max_results (0 = all) with a score of min_score or more.

    min_score 0 means the config's. Raises QueryError for an empty text or an impossible limit, EncoderError when the
    objects' embeddings come from another encoder than the text's.
    """
    text = " ".join(text.split())
    if not text:
        raise QueryError("the query text is empty: say what to look for, for example 'a mug'")
    if max_results < 0 or not 0 <= min_score <= 1:
        raise QueryError(f"max_results {max_results} must be >= 0 and min_score {min_score} between 0 and 1")
    known = described(instances)
    if not known.any():
        return QueryResult(QueryStatus.NOT_READY, (), why_not_ready(instances))
    scores = np.where(known, relevancies(text, encoder, instances), 0.0)
    return answer(text, scores, instances, max_results, min_score or config.min_score)


def relevancies(text: str, encoder: Encoder | None, instances: Instances) -> FloatArray:
    """(S,) score in [0, 1] of every object for the text: 1 where the text is its label, else the encoder's relevancy.

    A relation between objects would multiply into these scores before `answer`.
    """
    words = plain(text)
    exact = np.array([plain(o.label) == words and bool(words) for o in instances.objects], dtype=bool)
    if encoder is None or not instances.embeddings.size:
        return exact.astype(np.float64)
    if instances.encoder != encoder.name or instances.embeddings.shape[1] != encoder.dimension:
        raise EncoderError(
            f"the map's objects were described by the encoder '{instances.encoder}' ({instances.embeddings.shape[1]} "
            f"numbers), the query by '{encoder.name}' ({encoder.dimension}): set language.encoder to the map's"
        )
    known = np.linalg.norm(instances.embeddings, axis=1) > 0
    score = np.where(known, encoder.relevancy(text, instances.embeddings), 0.0)
    return np.where(exact, 1.0, score)


def answer(text: str, scores: FloatArray, instances: Instances, max_results: int, min_score: float) -> QueryResult:
    """Rank scored objects: by score, then by confidence, then by age."""
    order = sorted(
        range(len(scores)), key=lambda i: (-scores[i], -instances.objects[i].confidence, instances.objects[i].id)
    )
    hits = [QueryHit(instances.objects[i], float(scores[i])) for i in order if scores[i] >= min_score]
    if not hits:
        best = instances.objects[order[0]]
        return QueryResult(
            QueryStatus.ABSENT,
            (),
            f"nothing here fits '{text}': the closest is {called(best.label, best.id)} with a score of "
            f"{scores[order[0]]:.2f}, below {min_score:.2f}",
        )
    top = hits[0].object
    message = f"'{text}' is {called(top.label, top.id)}, score {hits[0].score:.2f}"
    if len(hits) > 1:
        message += f", and {len(hits) - 1} more fit"
    return QueryResult(QueryStatus.FOUND, tuple(hits[: max_results or None]), message)


def described(instances: Instances) -> npt.NDArray[np.bool_]:
    """(S,) bool: the object has a name or an embedding; one without either is unknown and matches nothing."""
    named = np.array([bool(o.label) for o in instances.objects], dtype=bool)
    if not instances.embeddings.size:
        return named
    return np.asarray(named | (np.linalg.norm(instances.embeddings, axis=1) > 0))


def why_not_ready(instances: Instances) -> str:
    if not instances.objects:
        return "no object has been found yet: wait for more images with masks"
    return (
        f"{len(instances.objects)} objects are mapped but none has a name or an image embedding yet: send masks with "
        "labels, or set language.encoder to open_clip"
    )


def called(label: str, number: int) -> str:
    return f"'{label}' (object {number})" if label else f"object {number}"


def plain(text: str) -> tuple[str, ...]:
    """Words of a name without case, punctuation and articles: 'The Power_Drill' is 'power drill'."""
    letters = "".join(c if c.isalnum() else " " for c in text.lower())
    return tuple(word for word in letters.split() if word not in ARTICLES)

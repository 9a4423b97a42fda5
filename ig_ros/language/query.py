"""Text query: which objects does a text mean, and is it there at all?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ig_ros.config import LanguageConfig
from ig_ros.errors import EncoderError, QueryError
from ig_ros.language.encoders import Encoder
from ig_ros.language.grammar import ARTICLES, Phrase, is_plain, mentioned, parse, texts_of, words_of
from ig_ros.language.object_geometry import Surroundings, surroundings
from ig_ros.language.resolve import Context, descriptive, missing_anchor, resolve
from ig_ros.language.viewpoint import Scope, Viewpoint
from ig_ros.types import BoolArray, FloatArray, Instances, IntArray, QueryHit, QueryResult, QueryStatus

LET_IN = 0.08  # share of canonical phrases that the threshold would let in
RANGE = (0.3, 0.8)  # whatever the phrases say, a threshold stays in here
CANONICAL = (
    "elephant", "giraffe", "horse", "cow", "whale", "airplane", "helicopter", "ship", "train", "truck", "tractor",
    "motorcycle", "bridge", "cathedral", "lighthouse", "windmill", "mountain", "river", "cloud", "moon", "palm tree",
    "waterfall", "volcano", "swimming pool", "football stadium", "roller coaster", "traffic light", "fire hydrant",
    "railway track", "tent", "submarine", "rocket", "parachute", "trumpet", "drum", "harp", "cannon", "sword", "crown",
    "anchor", "skeleton", "statue", "dinosaur", "penguin", "crocodile", "camel", "eagle", "shark", "spider", "snake",
    "tiger", "chainsaw", "ladder", "excavator", "concrete mixer", "surfboard", "sled", "hot air balloon", "a vehicle",
    "a wild animal", "a building", "a musical instrument", "weather", "a galaxy",
)  # fmt: skip


def learn_threshold(encoder: Encoder | None, embeddings: FloatArray) -> float:
    """Score below which a thing is not there, from embeddings (S, E) of the map's objects; 0 = not learnt."""
    known = embeddings[np.linalg.norm(embeddings, axis=1) > 0] if embeddings.size else embeddings
    if encoder is None or not len(known):
        return 0.0
    best = [float(encoder.relevancy(phrase, known).max()) for phrase in CANONICAL]
    return float(np.clip(np.quantile(best, 1 - LET_IN), *RANGE))


# World x to the right and y forward, for maps that know of no camera.
DEFAULT_VIEW = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


@dataclass(frozen=True, slots=True)
class Place:
    """The map's surface, for relations and colours; row n belongs to the object `Instances.point_ids[n]`."""

    xyz: FloatArray  # (N, 3) m, world
    rgb: IntArray  # (N, 3) u8
    T_world_view: FloatArray | None = None  # (4, 4) newest camera pose


def rank(
    text: str,
    encoder: Encoder | None,
    instances: Instances,
    config: LanguageConfig,
    max_results: int = 1,
    min_score: float = 0.0,
    scope: Scope | None = None,
    place: Place | None = None,
) -> QueryResult:
    """Objects that fit the text, best first; at most max_results (0 = all) with a score of min_score or more.

    min_score 0 means what the map has learnt (else the config's). An empty text asks for everything in the scope.
    Relations and attributes are resolved in `place`; without it, from the boxes alone. Raises QueryError for an empty
    text without a scope or an impossible limit, EncoderError when the objects' embeddings come from another encoder.
    """
    text, scope = " ".join(text.split()), scope or Scope()
    if not text and not scope.narrow:
        raise QueryError("the query text is empty: say what to look for, for example 'a mug'")
    if max_results < 0 or not 0 <= min_score <= 1:
        raise QueryError(f"max_results {max_results} must be >= 0 and min_score {min_score} between 0 and 1")
    admitted = scope.admits(instances)
    if not instances.objects:
        return QueryResult(QueryStatus.NOT_READY, (), why_not_ready(instances))
    if not admitted.any():
        where = f"object {scope.id}" if scope.id else "nothing in that box"
        return QueryResult(QueryStatus.ABSENT, (), f"{where} is not in the map" if scope.id else where)
    threshold = min_score or instances.threshold or config.min_score
    if not text:
        return answer("", np.where(admitted, 1.0, 0.0), instances, max_results, threshold)
    phrase = parse(text)
    _demand_same(encoder, instances)
    if phrase.words and not described(instances).any():
        return QueryResult(QueryStatus.NOT_READY, (), why_not_ready(instances))
    scores, why = score(text, phrase, encoder, instances, threshold, scope, place)
    return answer(text, np.where(admitted, scores, 0.0), instances, max_results, threshold, why)


def score(
    text: str, phrase: Phrase, encoder: Encoder | None, instances: Instances, threshold: float, scope: Scope,
    place: Place | None,
) -> tuple[FloatArray, str]:  # fmt: skip
    """(S,) scores of all objects in [0, 1], and, where something that the text takes for given is missing, what."""

    def relevance(words: str) -> FloatArray:
        return np.where(described(instances), relevancies(words, encoder, instances), 0.0)

    def named(words: str) -> BoolArray:
        return bearers(words, instances)

    if is_plain(phrase) or named(text).any():
        encode_together((text,), encoder, instances)
        return relevance(text), ""
    encode_together(texts_of(phrase), encoder, instances)
    place = place or Place(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))
    view = scope.viewpoint or Viewpoint.of_camera(DEFAULT_VIEW if place.T_world_view is None else place.T_world_view)
    context = Context(relevance, named, _SCENES.of(instances, place), view, threshold)
    missing = missing_anchor(phrase, context)
    if descriptive(phrase, context):
        return relevance(text), ""
    return resolve(phrase, context), f"there is no '{missing}' here" if missing else ""


class SceneMemory:
    """The surroundings of the map that was asked about last, for the next question about it. Thread safe."""

    def __init__(self) -> None:
        self._last: tuple[Instances, FloatArray, Surroundings] | None = None

    def of(self, instances: Instances, place: Place) -> Surroundings:
        """Those of a snapshot's objects and surface, which are not written to afterwards."""
        last = self._last
        if last is not None and last[0] is instances and last[1] is place.xyz:
            return last[2]
        point_ids = instances.point_ids[: len(place.xyz)]
        scene = surroundings(replace(instances, point_ids=point_ids), place.xyz, place.rgb)
        self._last = (instances, place.xyz, scene)
        return scene


_SCENES = SceneMemory()


def relevancies(text: str, encoder: Encoder | None, instances: Instances) -> FloatArray:
    """(S,) score in [0, 1] of every object for the text: 1 where it is its label, else the encoder's relevancy."""
    exact = bearers(text, instances)
    if encoder is None or not instances.embeddings.size:
        return exact.astype(np.float64)
    _demand_same(encoder, instances)
    known = np.linalg.norm(instances.embeddings, axis=1) > 0
    score = np.where(known, encoder.relevancy(text, instances.embeddings), 0.0)
    passing, rest = in_passing(text, instances)
    if rest:
        score = np.where(passing, np.minimum(score, encoder.relevancy(rest, instances.embeddings)), score)
    return np.where(exact, 1.0, score)


def encode_together(texts: tuple[str, ...], encoder: Encoder | None, instances: Instances) -> None:
    """Have the encoder know what `relevancies` of these texts will ask it: one batch costs less than one by one."""
    if encoder is not None and texts and instances.embeddings.size:
        rests = (rest for _, rest in (in_passing(text, instances) for text in texts) if rest)
        encoder.encode_text(list(dict.fromkeys((*texts, *rests))))


def bearers(text: str, instances: Instances) -> BoolArray:
    """(S,) bool: the text is the object's label, or its plural."""
    words = plain(text)
    ways = {words, singular(words)} if words else set()
    return np.array([plain(o.label) in ways for o in instances.objects], dtype=bool)


def in_passing(text: str, instances: Instances) -> tuple[BoolArray, str]:
    """(S,) bool: the text only mentions the object's label, and what it says without that; "" where it does not."""
    mention = mentioned(text)
    passing = np.array([bool(mention.words & words_of(o.label)) for o in instances.objects], dtype=bool)
    return passing, mention.rest if passing.any() else ""


def _demand_same(encoder: Encoder | None, instances: Instances) -> None:
    if encoder is None or not instances.embeddings.size:
        return
    if instances.encoder != encoder.name or instances.embeddings.shape[1] != encoder.dimension:
        raise EncoderError(
            f"the map's objects were described by the encoder '{instances.encoder}' ({instances.embeddings.shape[1]} "
            f"numbers), the query by '{encoder.name}' ({encoder.dimension}): set language.encoder to the map's"
        )


def answer(
    text: str, scores: FloatArray, instances: Instances, max_results: int, min_score: float, why: str = ""
) -> QueryResult:
    """Rank scored objects: by score, then by confidence, then by age; `why` explains an empty answer."""
    order = sorted(
        range(len(scores)), key=lambda i: (-scores[i], -instances.objects[i].confidence, instances.objects[i].id)
    )
    hits = [QueryHit(instances.objects[i], float(scores[i])) for i in order if scores[i] >= min_score]
    if not hits:
        best = instances.objects[order[0]]
        return QueryResult(
            QueryStatus.ABSENT,
            (),
            f"nothing here fits '{text}': {why + '; ' if why else ''}the closest is {called(best.label, best.id)} with "
            f"a score of {scores[order[0]]:.2f}, below {min_score:.2f}",
            min_score,
        )
    top = hits[0].object
    message = f"'{text}' is {called(top.label, top.id)}, score {hits[0].score:.2f}"
    if len(hits) > 1:
        message += f", and {len(hits) - 1} more fit"
    return QueryResult(QueryStatus.FOUND, tuple(hits[: max_results or None]), message, min_score)


def described(instances: Instances) -> BoolArray:
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


def singular(words: tuple[str, ...]) -> tuple[str, ...]:
    """The last word without its plural s: "mugs" is asked for by its label "mug"."""
    return (*words[:-1], words[-1][:-1]) if words and words[-1].endswith("s") else words

"""Text query: which objects of a snapshot a text means, and whether they are there at all.

A question goes through three modules: grammar.py parses it, relations.py and attributes.py score the objects' geometry,
and this one combines both with the encoder's relevancy and ranks the objects.
"""

from __future__ import annotations

import numpy as np

from ig_ros.colors import COLOR_NAMES
from ig_ros.config import LanguageConfig
from ig_ros.errors import EncoderError, QueryError
from ig_ros.language.answers import answered, counted, read_as, unanswered, which_one
from ig_ros.language.attributes import ALIKE, color_score, compared, extreme, prefer, shape_score
from ig_ros.language.encoders import Encoder, LabelEncoder
from ig_ros.language.grammar import (
    PRONOUNS,
    Phrase,
    Relation,
    alternatives,
    content_words,
    is_plain,
    modifiers,
    name_of,
    singular,
    texts_of,
)
from ig_ros.language.lexicon import is_another, is_only_last_word, members_of
from ig_ros.language.naming import weighed
from ig_ros.language.question import Question, read_question
from ig_ros.language.relations import between, on_level, related, related_to_observer
from ig_ros.language.scene_geometry import SceneGeometry, geometry_of
from ig_ros.language.supports import supports_of
from ig_ros.language.viewpoint import Scope, Viewpoint
from ig_ros.types import BoolArray, FloatArray, Instances, MapSnapshot, QueryResult, QueryStatus

UNDECIDED = 0.5  # threshold of a map that learnt none
ANCHORS = 5  # most likely meanings of an anchor that are tried
BACKGROUND = frozenset({"floor", "ground", "wall", "ceiling", "room", "house"})  # every room has them, segmented or not
STRUCTURE = frozenset({"floor", "ground", "wall", "ceiling", "room", "window", "door"})  # not meant by "thing"
SAME_HEAD, LAST_WORD = (
    0.9,
    0.7,
)  # score of what a text is the kind of ("bottle": "ketchup bottle"), or only the last word
ALSO = 0.6  # share of the best score from which on a thing is one of all that are asked for
RIVAL_SHARE = 0.2  # of its score remains to what a text names as something else
AS_LIKELY = 0.85  # share of the best score from which on a thing, or an anchor, may be meant as well
OBSERVER_NAMES = frozenset({"robot"})  # the observer, unless the map has an object with this label


def rank(
    snapshot: MapSnapshot | None,
    text: str,
    encoder: Encoder | None,
    config: LanguageConfig,
    max_results: int = 1,
    min_score: float = 0.0,
    scope: Scope | None = None,
) -> QueryResult:
    """Objects that fit the text, best first; at most max_results (0 = all) with a score of min_score or more.

    min_score 0 means the config's, and where that is 0 the threshold that the map learnt. An empty text asks for
    everything in the scope.
    Safe on any thread. Raises QueryError for a text without a word, for an empty one without a scope and for an
    impossible limit, EncoderError when the objects' embeddings come from another encoder.
    """
    if snapshot is None:
        return QueryResult(QueryStatus.NOT_READY, (), "no instantiation yet: wait for the first images to be mapped")
    text, scope, instances = " ".join(text.split()), scope or Scope(), snapshot.instances
    check_request(text, scope, max_results, min_score)
    if not instances.objects:
        return QueryResult(QueryStatus.NOT_READY, (), why_not_ready(instances))
    admitted = scope.admits(instances)
    if not admitted.any():
        where = f"object {scope.id} is not in the map" if scope.id else "nothing in that box"
        return QueryResult(QueryStatus.ABSENT, (), where)
    threshold = min_score or config.min_score or instances.threshold or UNDECIDED
    if not text:
        return answered("", "", np.where(admitted, 1.0, 0.0), instances, max_results, threshold)
    check_encoder(encoder, instances)
    question = read_question(text, [o.label for o in instances.objects])
    if question.refusal:
        return QueryResult(QueryStatus.ABSENT, (), f"'{text}' is not answered: {question.refusal}", threshold)
    if question.id:
        return by_number(text, question.id, admitted, instances, threshold)
    scorer = PhraseScorer(snapshot, encoder, scope.viewpoint, threshold)
    phrase = question.phrase
    if phrase.words and not (scorer.embedded.any() or any(o.label for o in instances.objects)):
        return QueryResult(QueryStatus.NOT_READY, (), why_not_ready(instances))
    scores, missing = scorer.answer(question.bare, phrase)
    scores = np.where(admitted, scores, 0.0)
    if phrase.words and isinstance(encoder, LabelEncoder | None):  # an image encoder asks what things look like
        scores, least = weighed(scores, np.array([o.certainty for o in instances.objects]), threshold)
        scorer.threshold = min_score or least
    return reply(text, question, scores, scorer, max_results, missing)


def reply(
    text: str, question: Question, scores: FloatArray, scorer: PhraseScorer, max_results: int, missing: str
) -> QueryResult:
    """What the question asks for: the best object, all that fit, how many there are, or which of several is meant."""
    instances, threshold = scorer.instances, scorer.threshold
    best = float(scores.max(initial=0.0))
    reading = scorer.reading_of(question)
    if question.quantity == "count":
        scores = np.where(scores >= max(threshold, ALSO * best), scores, 0.0)
        return counted(text, reading, scores, instances, max_results, threshold)
    if best < threshold:
        return unanswered(text, reading, scores, instances, threshold, missing)
    likely = np.flatnonzero(scores >= max(threshold, AS_LIKELY * best))
    if question.quantity == "all":
        scores = np.where(scores >= max(threshold, ALSO * best), scores, 0.0)
    elif question.quantity == "one" and len(likely) > 1 and not scorer.is_description(question.phrase):
        colors = [scorer.color_of(int(i)) for i in likely]
        return which_one(text, reading, scores, [int(i) for i in likely], colors, instances, max_results, threshold)
    return answered(text, reading, scores, instances, max_results, threshold)


def by_number(text: str, number: int, admitted: BoolArray, instances: Instances, threshold: float) -> QueryResult:
    """The object that a text names by its number, or what that has become part of."""
    scores = np.where(admitted & Scope(id=number).admits(instances), 1.0, 0.0)
    if not scores.any():
        return QueryResult(QueryStatus.ABSENT, (), f"object {number} is not in the map", threshold)
    return answered(text, f"object {number}", scores, instances, 1, threshold)


def check_request(text: str, scope: Scope, max_results: int, min_score: float) -> None:
    """Raises QueryError for a request that has no answer."""
    if not text and not scope.narrow:
        raise QueryError("the query text is empty: say what to look for, for example 'a mug'")
    if text and not name_of(text):
        raise QueryError(f"the query text '{text}' has no word in it: say what to look for, for example 'a mug'")
    if max_results < 0 or not 0 <= min_score <= 1:
        raise QueryError(f"max_results {max_results} must be >= 0 and min_score {min_score} between 0 and 1")


def check_encoder(encoder: Encoder | None, instances: Instances) -> None:
    """Raises EncoderError for a map that was described by another encoder."""
    if encoder is None or not instances.embeddings.size:
        return
    if instances.encoder != encoder.name or instances.embeddings.shape[1] != encoder.dimension:
        raise EncoderError(
            f"the map's objects were described by the encoder '{instances.encoder}' ({instances.embeddings.shape[1]} "
            f"numbers), the query by '{encoder.name}' ({encoder.dimension}): set language.encoder to the map's"
        )


class PhraseScorer:
    """Scores the S objects of a snapshot for one question."""

    def __init__(
        self, snapshot: MapSnapshot, encoder: Encoder | None, viewpoint: Viewpoint | None, threshold: float
    ) -> None:
        """A score below the threshold means that a thing is not there; no viewpoint means the newest camera's."""
        self._snapshot, self.threshold = snapshot, threshold
        self.instances = snapshot.instances
        self._labels = [o.label for o in snapshot.instances.objects]
        self._names = [name_of(label) for label in self._labels]
        self._embeddings = snapshot.instances.embeddings
        self._encoder = encoder if self._embeddings.size else None
        self._view = viewpoint or Viewpoint.newest(snapshot)
        self.embedded: BoolArray = np.linalg.norm(self._embeddings, axis=1) > 0  # (S,), or (0,) without embeddings

    @property
    def _scene(self) -> SceneGeometry:
        return geometry_of(self._snapshot)

    def answer(self, text: str, phrase: Phrase) -> tuple[FloatArray, str]:
        """(S,) scores in [0, 1] of a text and its phrase, and the anchor that is missing, "" if none is."""
        if is_plain(phrase) or self.labelled(text).any():
            self._encode_together((text,))
            return self.relevance(text), ""
        self._encode_together(texts_of(phrase))
        missing = self.missing_anchor(phrase)
        if self.is_description(phrase):
            return self.relevance(text), ""
        return self.scores(phrase), missing

    def scores(self, phrase: Phrase) -> FloatArray:
        """(S,) in [0, 1]: how well each object answers the phrase; the weakest of all demands decides.

        Of the readings of "A on B left of C" the first that has an answer counts.
        """
        scores: FloatArray = np.zeros(len(self._labels))
        for reading in alternatives(phrase):
            scores = np.maximum(scores, self._reading(reading))
            if scores.max(initial=0.0) >= self.threshold:
                break
        return scores

    def relevance(self, text: str) -> FloatArray:
        """(S,) in [0, 1]: 1 where the text is the object's label, else the encoder's relevancy.

        An object that the text only names as a modifier must also fit the text without its modifiers.
        """
        exact = self.labelled(text)
        heads = self._head_score(text)
        if self._encoder is None:
            return np.where(exact, 1.0, heads)
        score = np.where(self.embedded, self._encoder.relevancy(text, self._embeddings), 0.0)
        named, rest = self._named_as_modifier(text)
        if rest:
            score = np.where(named, np.minimum(score, self._encoder.relevancy(rest, self._embeddings)), score)
        name = " ".join(map(singular, name_of(text)))
        another = np.array([is_another(name, label) for label in self._labels], bool)
        score = np.where(another, RIVAL_SHARE * score, score)
        if (exact | (heads == SAME_HEAD)).any():
            score *= UNDECIDED  # what bears the name is meant, not what only lies near it
        score = np.maximum(score, heads)
        kind = members_of(" ".join(text.lower().split()), self._labels)
        if kind is not None:
            score = np.where(kind[0], SAME_HEAD, np.where(kind[1], score, 0.0))
        return np.where(exact, 1.0, score)

    def _head_score(self, text: str) -> FloatArray:
        """(S,) SAME_HEAD where the label ends with the text ("ketchup bottle", "bottle"), LAST_WORD for a "hot dog".

        "bottle of water" is "water bottle".
        """
        name = name_of(text)
        name = (*name[:-1], *map(singular, name[-1:]))
        if "of" in name[1:-1]:
            cut = name.index("of")
            name = (*name[cut + 1 :], *name[:cut])
        score = np.zeros(len(self._labels))
        for i, words in enumerate(self._names):
            if name and (*words[-len(name) : -1], *map(singular, words[-1:])) == name:
                score[i] = LAST_WORD if is_only_last_word(" ".join(name), self._labels[i]) else SAME_HEAD
        return score

    def labelled(self, text: str) -> BoolArray:
        """(S,) bool: the text is the object's label, or its plural."""
        name = name_of(text)
        one = (*name[:-1], singular(name[-1])) if name else None
        return np.array([words in (name or None, one) for words in self._names], dtype=bool)

    def missing_anchor(self, phrase: Phrase) -> str:
        """Words of the first thing that the phrase takes for given and that is not there; "" if all are there."""
        for relation in phrase.relations:
            for anchor in relation.anchors:
                if not self._is_observer(anchor) and self._best(anchor) < self.threshold:
                    if anchor.whole and self._best(anchor.whole[0]) >= self.threshold:
                        continue
                    return self.missing_anchor(anchor) or anchor.text
        return ""

    def is_description(self, phrase: Phrase) -> bool:
        """Whether the relation says what kind of thing is meant ("flakes in a carton") and not where it is.

        So it does where the anchor is a wall or floor that nobody has segmented, because there is always one.
        """
        for relation in phrase.relations:
            things = [anchor for anchor in relation.anchors if not self._is_observer(anchor)]
            if not things and relation.certain:
                continue
            best = min((max(map(self._best, (anchor, *anchor.whole))) for anchor in things), default=0.0)
            if not relation.certain and best < 1.0:
                return True
            if best < self.threshold and all(anchor.words in BACKGROUND for anchor in things):
                return True
        return False

    def _encode_together(self, texts: tuple[str, ...]) -> None:
        """Has the encoder encode what `relevance` of these texts will need as one batch, which costs less."""
        if self._encoder is not None and texts:
            rests = (rest for _, rest in map(self._named_as_modifier, texts) if rest)
            self._encoder.encode_text(list(dict.fromkeys((*texts, *rests))))

    def _named_as_modifier(self, text: str) -> tuple[BoolArray, str]:
        """(S,) bool: the text has the object's label as a modifier; and the text without, "" where no label is."""
        words, rest = modifiers(text)
        named = np.array([bool(words & content_words(label)) for label in self._labels], dtype=bool)
        return named, rest if named.any() else ""

    def _best(self, phrase: Phrase) -> float:
        return float(self.scores(phrase).max(initial=0.0))

    def _is_observer(self, phrase: Phrase) -> bool:
        if not is_plain(phrase):
            return False
        if phrase.words in PRONOUNS:
            return True
        return phrase.words in OBSERVER_NAMES and self.relevance(phrase.words).max(initial=0.0) < 1.0

    def _reading(self, phrase: Phrase) -> FloatArray:
        """(S,) scores of one reading of a phrase: words, then colours, relations and comparisons."""
        scores = self.relevance(phrase.words) if phrase.words else self._anything()
        if phrase.colors:
            for color in phrase.colors:
                shown = color_score(color, self._scene)
                unseen = np.isnan(shown)
                known = (
                    np.where(unseen, self.relevance(phrase.text), decided(shown)) if unseen.any() else decided(shown)
                )
                scores = both(scores, known)
            scores = np.maximum(scores, self.labelled(phrase.text))  # a label may itself name the colour
        for shape in phrase.shapes:
            scores = both(scores, decided(shape_score(shape, self._scene)))
        for other in phrase.excluded:
            scores = np.where(self._left_out(other), 0.0, scores)
        for relation in sorted(phrase.relations, key=is_comparison):
            if is_comparison(relation):
                scores = self._compared(relation, scores)
            else:
                scores = both(scores, decided(self._related(relation)))
        if phrase.superlative:
            scores = compared(phrase, scores, self.threshold, self._scene, self._view)
        return scores

    def _left_out(self, phrase: Phrase) -> BoolArray:
        """(S,) bool: what a phrase leaves out ("except the mugs"); without X leaves out X itself too."""
        scores = self.scores(phrase)
        for relation in phrase.relations:
            if relation.name == "with":
                scores = np.maximum(scores, self.scores(relation.anchors[0]))
        return np.asarray(scores >= max(self.threshold, ALIKE * float(scores.max(initial=0.0))))

    def _anything(self) -> FloatArray:
        """(S,) 1 for every object but floor, walls and ceiling."""
        return np.array([0.0 if STRUCTURE & set(label.split()) else 1.0 for label in self._labels])

    def _related(self, relation: Relation) -> FloatArray:
        """(S,) the best of anchor and geometry together, over all likely anchors."""
        best: FloatArray = np.zeros(len(self._labels))
        if relation.name in ("top of", "bottom of"):
            members = self.scores(relation.anchors[0]) >= self.threshold
            return supports_of(self._scene).end_of_stack(relation.name == "top of", members)
        if relation.anchors[0].whole:
            best = self._related_to_part(relation)
        first, *others = [self._anchors(anchor) for anchor in relation.anchors]
        if relation.name == "between":
            for i, p in first:
                for j, q in others[0]:
                    if i != j:
                        anchors = [k for k in (i, j) if k is not None]
                        geometry = between(self._scene, anchors, self._view.position)
                        best = np.maximum(best, both(np.full(len(best), min(p, q)), geometry))
            return best
        for i, p in first:
            if i is None:
                geometry = related_to_observer(relation.name, self._scene, self._view)
            else:
                geometry = related(relation.name, self._scene, i, self._view)
            best = np.maximum(best, p * geometry)
        return best

    def _related_to_part(self, relation: Relation) -> FloatArray:
        """(S,) in (on) a part of a whole that is no object of its own: "in the top drawer of the cabinet"."""
        part = relation.anchors[0]
        best: FloatArray = np.zeros(len(self._labels))
        for i, p in self._anchors(part.whole[0]):
            if i is None or relation.name not in ("in", "on"):
                continue
            geometry = related("in", self._scene, i, self._view)
            if part.level:
                geometry = both(geometry, on_level(part.level, self._scene, i))
            best = np.maximum(best, p * geometry)
        return best

    def _compared(self, relation: Relation, scores: FloatArray) -> FloatArray:
        """The candidate nearest to (farthest from) the anchor; what carries the anchor or lies on it is none."""
        anchors = self._anchors(relation.anchors[0])
        if not anchors:
            return np.zeros_like(scores)
        i, p = anchors[0]
        if i is None:
            return prefer(extreme(relation.name, self._scene, self._view), scores, self.threshold)
        candidates = np.where(self._scene.overlap(i) > 0.5, 0.0, both(scores, np.full(len(scores), p)))
        candidates[i] = 0.0
        gaps = self._scene.gaps(i)
        return prefer(-gaps if relation.name == "nearest" else gaps, candidates, self.threshold)

    def _anchors(self, phrase: Phrase) -> list[tuple[int | None, float]]:
        """The objects that a phrase may mean, with their scores, best first; None for the observer."""
        if self._is_observer(phrase):
            return [(None, 1.0)]
        scores = self.scores(phrase)
        order = np.argsort(-scores, kind="stable")[:ANCHORS]
        least = max(self.threshold, AS_LIKELY * float(scores.max(initial=0.0)))
        return [(int(i), float(scores[i])) for i in order if scores[i] >= least]

    def color_of(self, i: int) -> str:
        """What most of an object's surface is called, "" where it is unknown."""
        return COLOR_NAMES[int(self._scene.color_shares[:, i].argmax())] if self._scene.seen[i] else ""

    def reading_of(self, question: Question) -> str:
        """How a question was understood, in a line; "" where it is a name and no more."""
        x, y, z = self._view.position
        return read_as(question, f"({x:.1f}, {y:.1f}, {z:.1f})")


def is_comparison(relation: Relation) -> bool:
    """Whether a relation chooses among the objects that all else has left."""
    return relation.name in ("nearest", "farthest")


def decided(share: FloatArray) -> FloatArray:
    """What is more false than true (below 0.5) is no answer, whatever threshold the names have."""
    return np.where(share < UNDECIDED, 0.5 * share, share)


def both(first: FloatArray, second: FloatArray) -> FloatArray:
    """Two demands at once: the weaker decides, the stronger breaks ties."""
    return np.asarray(np.minimum(first, second) * (0.95 + 0.05 * np.maximum(first, second)))


def why_not_ready(instances: Instances) -> str:
    """What the map is waiting for."""
    if not instances.objects:
        return "no object has been found yet: wait for more images with masks"
    return (
        f"{len(instances.objects)} objects are mapped but none has a name or an image embedding yet: send masks with "
        "labels, or set language.encoder to open_clip"
    )

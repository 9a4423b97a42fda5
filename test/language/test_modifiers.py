"""What a query names as a modifier is not what it asks for."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import snapshot_of

from ig_ros.config import LanguageConfig
from ig_ros.language import rank
from ig_ros.language.grammar import content_words, modifiers
from ig_ros.language.lexicon import LEXICON, entry_of
from ig_ros.language.sentence_encoder import SentenceEncoder
from ig_ros.types import Instances, ObjectInstance


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder()


def best(labels: list[str], text: str, encoder: SentenceEncoder) -> str:
    objects = tuple(ObjectInstance(i, n, 1.0, 3, np.eye(4), np.ones(3), 50) for i, n in enumerate(labels, start=1))
    ids, none = np.zeros(0, np.int32), np.zeros(0, np.float32)
    things = Instances(ids, none, objects, encoder.encode_labels(labels), encoder.name)
    hits = rank(snapshot_of(things), text, encoder, LanguageConfig()).hits
    return hits[0].object.label if hits else ""


@pytest.mark.parametrize(
    ("text", "words", "rest"),
    [
        ("mug", set(), ""),
        ("the wall decoration", {"wall"}, "decoration"),
        ("a decoration on the wall", set(), ""),
        ("something to open wine bottles with", {"wine", "bottle"}, "something to open with"),
        ("something to eat cereal out of", {"cereal"}, "something to eat out of"),
        ("something to drink from", set(), ""),
        ("", set(), ""),
    ],
)
def test_modifiers(text: str, words: set[str], rest: str) -> None:
    assert modifiers(text) == (words, rest)


def test_content_words_are_singular_and_without_articles() -> None:
    assert content_words("the Wine_Bottles") == {"wine", "bottle"}
    assert content_words("a drinking glass") == {"drinking", "glass"}


@pytest.mark.parametrize(
    ("labels", "text", "wanted"),
    [
        (["wall", "clock"], "a wall clock", "clock"),
        (["window", "door"], "window frame", ""),
        (["laptop", "book"], "a laptop computer", "laptop"),  # a compound that is what its modifier says
        (["paper", "scissors"], "something to cut paper with", "scissors"),
        (["bread", "knife", "table"], "something to slice bread with", "knife"),
    ],
)
def test_answers(labels: list[str], text: str, wanted: str, encoder: SentenceEncoder) -> None:
    assert best(labels, text, encoder) == wanted


def test_other_names_are_understood(encoder: SentenceEncoder) -> None:
    """Each of some entries is found by all its names among the others."""
    labels = ["backpack", "wrench", "sofa", "trash can", "television", "umbrella"]
    for label in labels:
        for name in LEXICON[label].other_names:
            assert best(labels, name, encoder) == label, name


def test_labels_that_are_other_names_share_what_is_known_of_their_entry(encoder: SentenceEncoder) -> None:
    labels = ["couch", "tv", "cell phone", "mobile", "spanner", "fridge"]
    known = encoder.encode_labels(["sofa", "television", "phone", "phone", "wrench", "refrigerator"])
    assert entry_of("Couch") == "sofa"
    assert entry_of("sofa") == entry_of("gizmo") == ""
    cosine = (encoder.encode_labels(labels) * known).sum(axis=1)
    assert (cosine[[0, 1, 3, 4, 5]] > 0.85).all(), cosine
    assert best(labels, "something to tighten nuts and bolts with", encoder) == "spanner"
    assert best(labels, "it keeps food cold", encoder) == "fridge"


def test_a_wall_that_nobody_segmented_is_there_all_the_same(encoder: SentenceEncoder) -> None:
    assert best(["picture", "table", "book"], "a painting on the wall", encoder) == "picture"
    assert best(["picture", "table", "book"], "the picture on the fireplace", encoder) == ""


def test_an_unknown_object_is_compared_by_its_embedding_alone(encoder: SentenceEncoder) -> None:
    """Rows that are no entry of the lexicon, and zero rows, do not gain from its descriptions."""
    random = np.random.default_rng(0).normal(size=(3, encoder.dimension)).astype(np.float32)
    rows = np.vstack([random / np.linalg.norm(random, axis=1, keepdims=True), np.zeros((1, encoder.dimension))])
    assert (encoder.relevancy("something to drink from", rows.astype(np.float32)) < 0.01).all()

"""The lexicon's file, and its match with the objects of a map: once per map, the same as looked up name by name."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence

import numpy as np
import pytest

from ig_ros.language.encoders import normalized
from ig_ros.language.lexicon import ENTRY_OF, LEXICON, NAMES, LexiconIndex, definition_of, descriptions, entry_of
from ig_ros.types import FloatArray

SIZE = 16


class Words:
    """Each text has a direction of its own; counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        self.asked += texts
        rows = [np.random.default_rng(sum(map(ord, t)) * 7919 + len(t)).normal(size=SIZE) for t in texts]
        return normalized(np.array(rows).reshape(-1, SIZE))


@pytest.fixture
def words() -> Words:
    return Words()


def objects(words: Words) -> FloatArray:
    """A mug, a thing without an entry, a lamp."""
    return np.stack([words(["mug"])[0], -words(["mug"])[0], words(["lamp"])[0]])


def test_what_is_an_entry_is_compared_with_its_best_description_and_nothing_else_is(words: Words) -> None:
    entries, query = LexiconIndex(words, words), words(["to drink"])[0]
    best = entries.match(objects(words)).best_description(query)
    assert best[0] == pytest.approx((words(descriptions("mug")) @ query).max())
    assert np.isnan(best[1])
    assert best[2] == pytest.approx((words(descriptions("lamp")) @ query).max())


def test_rivals_are_all_names_that_are_far_from_the_object(words: Words) -> None:
    rows, query = objects(words), words(["candle"])[0]
    other = LexiconIndex(words, words).match(rows).best_rival(query, ["candle"])
    names = words(NAMES)
    slow = [max(float(n @ query) for n in names if float(n @ row) < 0.5) for row in rows]
    assert other == pytest.approx(slow, abs=1e-6)
    assert other[0] == pytest.approx(1.0)  # the candle itself


def test_a_modifier_names_no_rival(words: Words) -> None:
    rows, query = objects(words), words(["candle"])[0]
    assert LexiconIndex(words, words).match(rows).best_rival(query, ["candle", "holder"])[0] < 0.99


def test_a_map_is_compared_once_and_forgotten_with_its_embeddings(words: Words) -> None:
    index, rows = LexiconIndex(words, words), objects(words)
    asked = len(words.asked)
    first = index.match(rows)
    compared = len(words.asked)
    assert compared > asked
    assert index.match(rows) is first
    assert len(words.asked) == compared
    assert index.match(objects(words)) is not first
    kept = weakref.finalize(rows, lambda: None)
    del rows
    gc.collect()
    assert not kept.alive, "the index must not keep the embeddings of a map"


def test_a_map_without_any_entry_has_no_descriptions(words: Words) -> None:
    match = LexiconIndex(words, words).match(-words(["mug"]))
    assert np.isnan(match.best_description(words(["mug"])[0])).all()


def test_every_entry_of_the_lexicon_is_complete() -> None:
    for name, entry in LEXICON.items():
        texts = [name, entry.definition, entry.use, *entry.other_names]
        assert len(texts) >= 4, name
        assert all(isinstance(text, str) and text and text == text.strip() for text in texts), name
        assert len(descriptions(name)) == len(texts)


def test_a_label_is_looked_up_by_its_words_its_last_word_or_another_name() -> None:
    assert definition_of("Desk_Lamp") == LEXICON["desk lamp"].definition
    assert definition_of("blue mug") == LEXICON["mug"].definition
    assert definition_of("gizmo") == definition_of("") == ""
    assert entry_of("couch") == "sofa"
    assert entry_of("coffee cup") == "mug"  # of a cup, too: the first entry has it
    assert ENTRY_OF.keys() >= {other.lower() for entry in LEXICON.values() for other in entry.other_names}

"""The lexicon beside the objects of a map: kept per map, and the same as looked up name by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ig_ros.language.lexicon_matching import MAPS, NAMES, Entries
from ig_ros.language.synonyms import facets

from ig_ros.language.encoders import normalized
from ig_ros.language.lexicon import GLOSSES
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


def test_what_is_an_entry_is_compared_with_its_best_facet_and_nothing_else_is(words: Words) -> None:
    entries, query = Entries(words, words), words(["to drink"])[0]
    best = entries.beside(objects(words)).best_facet(query)
    assert best[0] == pytest.approx((words(facets("mug", GLOSSES["mug"])) @ query).max())
    assert np.isnan(best[1])
    assert best[2] == pytest.approx((words(facets("lamp", GLOSSES["lamp"])) @ query).max())


def test_rivals_are_all_names_that_are_far_from_the_object(words: Words) -> None:
    rows, query = objects(words), words(["candle"])[0]
    other = Entries(words, words).beside(rows).best_rival(query, ["candle"])
    names = words(NAMES)
    slow = [max(float(n @ query) for n in names if float(n @ row) < 0.5) for row in rows]
    assert other == pytest.approx(slow, abs=1e-6)
    assert other[0] == pytest.approx(1.0)  # the candle itself


def test_a_word_in_passing_names_no_rival(words: Words) -> None:
    rows, query = objects(words), words(["candle"])[0]
    assert Entries(words, words).beside(rows).best_rival(query, ["candle", "holder"])[0] < 0.99


def test_a_map_is_compared_once_and_maps_are_forgotten_in_turn(words: Words) -> None:
    entries = Entries(words, words)
    maps = [objects(words) for _ in range(MAPS + 1)]
    first = entries.beside(maps[0])
    asked = len(words.asked)
    assert entries.beside(maps[0]) is first
    assert len(words.asked) == asked
    for one in maps[1:]:
        entries.beside(one)
    assert entries.beside(maps[0]) is not first


def test_a_map_without_any_entry_has_no_facets(words: Words) -> None:
    beside = Entries(words, words).beside(-words(["mug"]))
    assert np.isnan(beside.best_facet(words(["mug"])[0])).all()

"""Ranking and its border, with a tiny encoder whose geometry is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from helpers import snapshot_of

from ig_ros.config import LanguageConfig
from ig_ros.errors import EncoderError, QueryError
from ig_ros.language import Scope, rank
from ig_ros.types import FloatArray, Instances, MapSnapshot, ObjectInstance, QueryStatus


class Axes:
    """Each known text is an axis; relevancy is the cosine."""

    name = "axes"
    dimension = 3
    texts = ("red thing", "green thing", "blue thing")

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        rows = [np.eye(3)[self.texts.index(t)] if t in self.texts else np.full(3, 3**-0.5) for t in texts]
        return np.array(rows, np.float32)

    def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:
        return np.clip(embeddings @ self.encode_text([text])[0], 0, 1)


def thing(number: int, label: str = "", confidence: float = 1.0) -> ObjectInstance:
    return ObjectInstance(number, label, confidence, 3, np.eye(4), np.ones(3), 20)


def map_of(objects: list[ObjectInstance], rows: list[list[float]], encoder: str = "axes") -> MapSnapshot:
    ids, none = np.zeros(0, np.int32), np.zeros(0, np.float32)
    return snapshot_of(Instances(ids, none, tuple(objects), np.array(rows, np.float32), encoder))


def test_best_first_and_all_that_fit() -> None:
    world = map_of([thing(1), thing(2), thing(3)], [[0.8, 0.6, 0], [1, 0, 0], [0, 0, 1]])
    result = rank(world, "red thing", Axes(), LanguageConfig(), max_results=0)
    assert result.status is QueryStatus.FOUND
    assert [h.object.id for h in result.hits] == [2, 1]
    assert [h.object.id for h in rank(world, "red thing", Axes(), LanguageConfig(), max_results=1).hits] == [2]


def test_equal_scores_go_by_confidence() -> None:
    world = map_of([thing(1, confidence=0.3), thing(2, confidence=0.9)], [[1, 0, 0], [1, 0, 0]])
    assert rank(world, "red thing", Axes(), LanguageConfig()).hits[0].object.id == 2


def test_absent_names_the_closest() -> None:
    result = rank(map_of([thing(1, "cup")], [[0.9, 0.3, 0.3]]), "blue thing", Axes(), LanguageConfig())
    assert result.status is QueryStatus.ABSENT
    assert not result.hits
    assert "cup" in result.message
    assert "\n" not in result.message


def test_min_score_overrides_the_config() -> None:
    world = map_of([thing(1)], [[0.8, 0.6, 0]])
    assert rank(world, "red thing", Axes(), LanguageConfig(), min_score=0.9).status is QueryStatus.ABSENT
    assert rank(world, "green thing", Axes(), LanguageConfig(min_score=0.7)).status is QueryStatus.ABSENT
    assert rank(world, "green thing", Axes(), LanguageConfig(min_score=0.7), min_score=0.5).status is QueryStatus.FOUND


def test_unknown_objects_never_match() -> None:
    world = map_of([thing(1), thing(2)], [[0, 0, 0], [1, 0, 0]])
    hits = rank(world, "red thing", Axes(), LanguageConfig(), max_results=0, min_score=1e-9).hits
    assert [h.object.id for h in hits] == [2]


@pytest.mark.parametrize("text", ["The Power Drill", "power_drill", "my power-drill"])
def test_the_label_itself_is_always_found(text: str) -> None:
    world = map_of([thing(1, "power drill"), thing(2, "cup")], [[0, 1, 0], [1, 0, 0]])
    hit = rank(world, text, Axes(), LanguageConfig()).hits[0]
    assert (hit.object.id, hit.score) == (1, 1.0)
    without = snapshot_of(dataclasses.replace(world.instances, embeddings=np.zeros((0, 0), np.float32)))
    assert rank(without, text, None, LanguageConfig()).hits[0].object.id == 1


def test_not_ready() -> None:
    empty = map_of([], [])
    assert rank(empty, "cup", Axes(), LanguageConfig()).status is QueryStatus.NOT_READY
    unknown = rank(map_of([thing(1)], [[0, 0, 0]]), "cup", Axes(), LanguageConfig())
    assert unknown.status is QueryStatus.NOT_READY
    assert "embedding" in unknown.message


@pytest.mark.parametrize("text", ["", "  \n"])
def test_empty_text(text: str) -> None:
    with pytest.raises(QueryError, match="empty"):
        rank(map_of([thing(1)], [[1, 0, 0]]), text, Axes(), LanguageConfig())


def test_another_encoders_map() -> None:
    with pytest.raises(EncoderError, match="'clip'"):
        rank(map_of([thing(1)], [[1, 0, 0]], "clip"), "red thing", Axes(), LanguageConfig())


@pytest.mark.parametrize("text", ["☕", "?", "...!", "the", "a the", "- '", "_"])
@pytest.mark.field("wrong", "a query without a word: ?, the, emoji", "refused: no word in it")
def test_a_text_without_a_word_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="no word in it"):
        rank(map_of([thing(1, "mug")], [[1, 0, 0]]), text, Axes(), LanguageConfig())
    with pytest.raises(QueryError, match="no word in it"):
        rank(map_of([thing(1, "mug")], [[1, 0, 0]]), text, Axes(), LanguageConfig(), scope=Scope(id=1))


@pytest.mark.parametrize("text", ["x", "7", "杯", "the mug?", "чашка"])
def test_a_word_of_any_script_is_a_word(text: str) -> None:
    status = rank(map_of([thing(1, "mug")], [[1, 0, 0]]), text, Axes(), LanguageConfig()).status
    assert status in (QueryStatus.FOUND, QueryStatus.ABSENT)

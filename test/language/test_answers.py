"""Answers in words: asking back, counting, leaving out, and how a question was read."""

from __future__ import annotations

import numpy as np
import pytest
from language.test_relations import WORLD, ask, found

from ig_ros.config import LanguageConfig
from ig_ros.language import rank
from ig_ros.types import Instances, MapSnapshot, ObjectInstance, QueryStatus


def test_several_that_fit_are_asked_back() -> None:
    """Which is no answer to act upon: the hits are those that may be meant."""
    result = ask("the mug")
    assert result.status is QueryStatus.AMBIGUOUS
    assert {h.object.id for h in result.hits} == {3, 4}
    assert "2 fit, which one? red 'mug' (object 3), blue 'mug' (object 4)" in result.message
    for text in ("a mug", "mug", "the red mug", "the mugs", "the mug left of the laptop", "the leftmost mug"):
        assert ask(text).status is QueryStatus.FOUND, text


@pytest.mark.parametrize(
    ("text", "count"), [("how many mugs", 2), ("how many mugs are there?", 2), ("how many elephants are there", 0),
                        ("number of mugs left of the laptop", 1)],
)  # fmt: skip
def test_counts(text: str, count: int) -> None:
    result = ask(text)
    assert f"'{text}': {count}" in result.message
    assert len(result.hits) == count
    assert result.status is (QueryStatus.FOUND if count else QueryStatus.ABSENT)


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("the mug that is not red", {4}),
        ("everything on the table except the mugs", {2, 5, 7}),
        ("anything but the table", {2, 3, 4, 5, 6, 7, 8}),
        ("everything except the floor", {1, 2, 3, 4, 5, 6, 7, 8}),
        ("what is under the table", {8}),
        ("the mug under the table", set()),
        ("the second mug from the left", {4}),
        ("the third mug from the left", set()),
        ("object 7", {7}),
        ("#77", set()),
        ("the book with the apple", {5}),
        ("the mug at the center of the table", set()),
        ("the thing in the middle of the table", {2}),
        ("the apple on the book behind the laptop", {6}),
    ],
)
def test_what_is_meant_and_nothing_else(text: str, things: set[int]) -> None:
    assert set(found(text)) == things, ask(text).message


def test_how_it_was_read_is_said() -> None:
    message = ask("the mug left of the laptop").message
    assert "[read as: mug left of (laptop); left, right, front, back as seen from (0.0, -2.0, 1.0)" in message
    assert "counted from 0.50]" in message
    assert "read as" not in ask("the laptop").message


def test_other_languages_and_unknown_relations_are_refused_with_the_remedy() -> None:
    assert "English only" in ask("wo ist die Tasse").message
    assert "say left of" in ask("the mug facing the laptop").message
    assert not ask("wo ist die Tasse").hits


def test_the_map_s_threshold_gives_way_to_the_config_s_and_that_to_the_request_s() -> None:
    assert rank(WORLD, "the laptop", None, LanguageConfig(min_score=0.8)).threshold == 0.8
    assert rank(WORLD, "the laptop", None, LanguageConfig(min_score=0.8), min_score=0.6).threshold == 0.6
    assert rank(WORLD, "the laptop", None, LanguageConfig()).threshold == 0.5


def labelled(*labels: str) -> MapSnapshot:
    objects = tuple(ObjectInstance(i, n, 1.0, 3, np.eye(4), np.ones(3), 0) for i, n in enumerate(labels, start=1))
    ids, none = np.zeros(0, np.int32), np.zeros(0, np.float32)
    xyz, rgb = np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    return MapSnapshot(1, 0, 0, xyz, rgb, none, Instances(ids, none, objects))


@pytest.mark.parametrize(
    ("labels", "text", "wanted"),
    [
        (("ketchup bottle", "mug"), "bottle", 1),
        (("cereal box", "mug"), "the box", 1),
        (("water bottle", "mug"), "a bottle of water", 1),
        (("ketchup bottle", "bottle"), "a bottle", 2),
        (("mug", "toolbox"), "a box", 0),
    ],
)
def test_head_nouns_carry(labels: tuple[str, ...], text: str, wanted: int) -> None:
    hits = rank(labelled(*labels), text, None, LanguageConfig()).hits
    assert (hits[0].object.id if hits else 0) == wanted


def test_a_hot_dog_is_hardly_a_dog() -> None:
    [hit] = rank(labelled("hot dog"), "a dog", None, LanguageConfig()).hits
    assert hit.score <= 0.7

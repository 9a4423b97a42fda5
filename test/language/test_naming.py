"""How probable a name is: views counted, silent views, synonyms, sizes; and a query that knows it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ig_ros.config import LanguageConfig
from ig_ros.language.lexicon import NAMES
from ig_ros.language.naming import kind_of, name_probabilities, size_fit, size_ranges, weighed
from ig_ros.language.ranking import rank
from ig_ros.types import Instances, MapSnapshot, ObjectInstance, QueryStatus


def test_few_views_are_not_certain_and_more_are_more() -> None:
    """A detector errs in a tenth: one view is right nine times out of ten at most, three equal ones are no proof."""
    one, three, many = (name_probabilities({"butter": n}, 0.0, 20)["butter"] for n in (1.0, 3.0, 24.0))
    assert 0.75 < one < 0.9
    assert one < three < 0.99 < many < 1


def test_views_that_named_nothing_speak_against_a_name() -> None:
    """Three views of twenty are what a detector invents now and then."""
    assert name_probabilities({"butter": 1.0}, 19.0, 20)["butter"] < 0.5
    assert (
        name_probabilities({"butter": 1.0}, 19.0, 20)["butter"] < name_probabilities({"butter": 1.0}, 1.0, 20)["butter"]
    )


def test_two_metres_of_wall_are_no_butter() -> None:
    wall, packet = (name_probabilities({"butter": 3.0}, 0.0, 20, size)["butter"] for size in (2.0, 0.1))
    assert wall < 0.6 < 0.95 < packet
    assert size_fit("butter", 2.0) < 0.05
    assert size_fit("dining table", 1.8) == size_fit("something nobody knows", 40.0) == size_fit("mug", 0.0) == 1.0
    assert size_fit("red mug", 0.6) > size_fit("red mug", 1.0)  # by its last word, and soft


def test_synonyms_are_one_kind_and_others_compete() -> None:
    assert kind_of("Coffee cup") == kind_of("mug") == "mug"
    assert kind_of("desk") == kind_of("table") == "table"
    together = name_probabilities({"desk": 2.0, "table": 2.0, "chair": 1.0}, 0.0, 20)
    assert set(together) == {"table", "chair"}
    apart = name_probabilities({"bowl": 2.0, "plate": 2.0, "chair": 1.0}, 0.0, 20)
    assert together["table"] > 0.8 > 0.5 > apart["bowl"] == apart["plate"]


def test_probabilities_stay_below_one_and_nothing_named_is_nothing() -> None:
    assert name_probabilities({}, 5.0, 20) == {}
    for votes in ({"a": 1e4}, {"a": 1e-4}, {f"n{i}": 1.0 for i in range(50)}):
        values = name_probabilities(votes, 0.0, 3).values()
        assert all(0 <= p <= 1 for p in values)
        assert sum(values) <= 1 + 1e-9


def test_sizes_are_of_things_in_the_lexicon() -> None:
    assert set(size_ranges()) <= set(NAMES)


def snapshot(*things: tuple[str, float]) -> MapSnapshot:
    one = ObjectInstance(1, "", 1.0, 3, np.eye(4), np.full(3, 0.1), 1)
    objects = tuple(dataclasses.replace(one, id=i, label=n, certainty=c) for i, (n, c) in enumerate(things, 1))
    ids = np.arange(1, len(things) + 1, dtype=np.int32)
    instances = Instances(ids, np.ones(len(things), np.float32), objects)
    xyz = np.zeros((len(things), 3))
    return MapSnapshot(1, 1, 1, xyz, np.zeros((len(things), 3), np.uint8), np.ones(len(things), np.float32), instances)


def test_the_certain_one_is_answered_first_with_its_probability() -> None:
    result = rank(snapshot(("butter", 0.55), ("butter", 0.98)), "the butter", None, LanguageConfig(), 0)
    assert [(h.object.id, round(h.score, 2)) for h in result.hits] == [(2, 0.98), (1, 0.55)]


@pytest.mark.field("wrong", "a name that is more likely wrong than right", "refused, with the closest and its score")
def test_what_is_more_likely_wrong_than_right_is_no_answer() -> None:
    result = rank(snapshot(("butter", 0.33)), "butter", None, LanguageConfig())
    assert result.status is QueryStatus.ABSENT
    assert "'butter' (object 1) with a score of 0.33" in result.message


def test_the_threshold_is_of_the_words_and_of_the_answer() -> None:
    scores, least = weighed(np.array([0.9, 0.6, 0.7]), np.array([0.6, 1.0, 0.5]), 0.65)
    np.testing.assert_allclose(scores, [0.54, 0.0, 0.35])
    assert least == 0.5
    scores, least = weighed(np.array([0.2]), np.array([0.5]), 0.3)
    assert (scores.tolist(), least) == ([0.1], 0.3)

"""Figures of `make language`: what counts as right, reliability, and the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.language.asking import Answer, Question, absent_questions, ask, percent
from benchmarks.language.maps import boxed, most
from benchmarks.language.page import missed_goals, write_page, written_parts
from benchmarks.language.reliability import calibration_error, reliability
from benchmarks.language.rooms import ROOMS, ask_rooms, room_map
from benchmarks.language.tabletop import PER_SCENE, on_table, relation_questions, tabletop
from benchmarks.language.written import is_right
from benchmarks.segmenter.kitchen import THINGS, WOOD
from benchmarks.segmenter.single import Single
from benchmarks.segmenter.whole import judge
from ig_ros.config import Config
from ig_ros.language.sentence_encoder import SentenceEncoder
from ig_ros.types import Instances, MapSnapshot, ObjectInstance, QueryHit, QueryResult, QueryStatus


def entry(score: float, right: bool, given: bool = True) -> Answer:
    return Answer("a thing", right, given, score, "")


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder()


def test_scores_that_are_right_as_often_as_they_say_have_no_error() -> None:
    honest = [entry(0.75, i < 3) for i in range(4)] + [entry(0.5, i < 1) for i in range(2)]
    assert calibration_error(reliability(honest)) == 0.0
    boasting = [entry(1.0, i < 1) for i in range(4)]
    assert calibration_error(reliability(boasting)) == 0.75
    assert reliability(boasting)[0].high == 1.0  # a score of one belongs to the last bin


def test_refusals_have_no_score() -> None:
    assert reliability([entry(0.0, True, given=False)]) == []
    assert calibration_error([]) == 0.0


def test_right_is_one_of_the_wanted_or_a_refusal_where_nothing_is_wanted(encoder: SentenceEncoder) -> None:
    world = room_map(["mug", "mug", "book"], encoder)
    asked = [
        Question("mug", (2, 1)),
        Question("book", (1, 2)),
        Question("elephant", ()),
        Question("book", ()),
        Question("elephant", (1,)),
    ]
    answers = ask(asked, world, encoder, Config())
    assert [e.right for e in answers] == [True, False, True, False, False]
    assert percent(answers) == 40.0


def test_held_out_things_are_found_and_absent_ones_refused(encoder: SentenceEncoder) -> None:
    """A floor well below the figures of docs/language.md, for what nobody tuned on."""
    answers = ask_rooms(encoder, Config())
    assert len(answers["explained"]) + len(answers["unexplained"]) == 2 * sum(len(r["things"]) for r in ROOMS.values())
    assert percent([*answers["explained"], *answers["unexplained"]]) >= 80
    assert percent(answers["absent"]) >= 90


def test_no_held_out_thing_is_asked_for_where_it_is_absent() -> None:
    for name, room in ROOMS.items():
        assert not set(room["things"]) & set(room["absent"]), name


def test_every_scene_asks_other_absent_things() -> None:
    assert not {a.text for a in absent_questions(0)} & {a.text for a in absent_questions(1)}


def test_relation_questions_are_answered_by_the_meshes() -> None:
    scene = tabletop(2, 8)
    view = scene.path[-1]
    questions = relation_questions(scene, view, 2)
    assert len(questions) == PER_SCENE
    assert len({q.text for q in questions}) == PER_SCENE
    meshes = on_table(scene, view)
    for question in questions:
        assert set(question.wanted) <= set(meshes.ids)
    assert any(not q.wanted for q in questions)


def test_boxes_and_majorities() -> None:
    points = np.random.default_rng(0).uniform([0, 0, 0], [1, 2, 3], (20_000, 3))
    thing = boxed(4, "mug", points, 7)
    np.testing.assert_allclose(thing.size, [0.98, 1.96, 2.94], atol=0.03)
    np.testing.assert_allclose(thing.T_world_box[:3, 3], [0.5, 1, 1.5], atol=0.03)
    assert most(np.array([0, 0, 0, 2, 2, 1])) == 2
    assert most(np.array([0, 0])) == 0


def test_the_page_holds_every_figure_and_what_went_wrong(tmp_path: Path) -> None:
    bins = [{"low": 0.8, "high": 1.0, "answers": 3, "score": 0.9, "right": 0.66}]
    keys = ("query_accuracy", "absent_refused", "relation_accuracy", "held_out_query_accuracy", "held_out_in_lexicon",
            "held_out_not_in_lexicon", "held_out_absent_refused")  # fmt: skip
    written = {"last": {"kinds": [("name", 1, "100.0", 0)], "figures": {"right": 98.7}, "wrong": []}}
    figures = {key: 10.0 + i for i, key in enumerate(keys)} | {
        "calibration_error": 0.123, "questions": written, "held_out_calibration_error": 0.456, "reliability": bins,
        "held_out_reliability": bins, "asked": {"query": 20}, "wrong": [
            {"kind": "query", "map": "truth", "seed": 1, "text": "a pipe", "message": "a | b"}],
        "maps": [{"seed": 1, "map": "noisy", "objects": 19, "query": 95.0, "absent": 90.0, "relation": 100.0,
                  "seconds": 12.3}],
    }  # fmt: skip
    write_page(figures, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert all(f"{10.0 + i:.1f}" in text for i in range(len(keys)))
    assert all(part in text for part in ("0.123", "0.456", "| 0.8 - 1.0 | 3 | 0.90 | 0.66 |", "a pipe", "a / b"))


def test_a_figure_below_its_goal_is_named() -> None:
    good = dict.fromkeys(("query_accuracy", "relation_accuracy"), 95.0) | {"absent_refused": 90.0}
    assert missed_goals(good) == []
    for name in good:
        assert len(missed_goals(good | {name: good[name] - 0.1})) == 1


def test_the_table_is_whole_where_two_points_of_it_have_one_mask() -> None:
    assert Single(tables=[[3, 3, 3], [2, 4], [0, 0], [3, 0], [5], []]).table == (1, 4)


def test_a_thing_that_shares_its_object_with_another_or_with_the_table_is_not_apart() -> None:
    points = [point for point, _ in THINGS.values()] + list(WOOD)
    ids = np.array([1, 2, 3, 4, 4, 9, 9, 9, 9, 9, 9], np.int32)  # two share object 4, the last is the table's
    ones = np.ones(len(ids), np.float32)
    found = Instances(ids, ones)
    xyz = np.array(points, np.float32)
    whole = judge(MapSnapshot(1, 0, 0, xyz, np.zeros((len(ids), 3), np.uint8), ones, found), 1.0)
    assert list(whole.apart.values()) == [True, True, True, False, False, False]
    assert set(whole.table) == {9}
    assert whole.shares["magazine"] == 2


def test_written_questions_have_a_table() -> None:
    written = {"last": {"kinds": [("name", 1, "100.0", 0)], "figures": {"right": 98.7}, "wrong": []}}
    assert "| name | 1 | 100.0 | 0 |" in "\n".join(written_parts(written))


def result(status: QueryStatus, ids: list[int], message: str = "") -> QueryResult:
    hits = [QueryHit(ObjectInstance(i, "", 1.0, 3, np.eye(4), np.ones(3), 5), 0.9) for i in ids]
    return QueryResult(status, tuple(hits), message)


@pytest.mark.parametrize(
    ("wanted", "answer", "right"),
    [
        ("mug", result(QueryStatus.FOUND, [1, 2]), True),
        ("mug | book", result(QueryStatus.FOUND, [2]), True),
        ("mug", result(QueryStatus.FOUND, [2, 1]), False),
        ("mug", result(QueryStatus.AMBIGUOUS, [1, 2], "2 fit, which one?"), False),
        ("which: book, mug", result(QueryStatus.AMBIGUOUS, [1, 2], "2 fit, which one?"), True),
        ("all: mug", result(QueryStatus.FOUND, [1, 2]), False),
        ("count 2", result(QueryStatus.FOUND, [1, 2], "'how many of the 3': 2"), True),
        ("refused", result(QueryStatus.ABSENT, []), True),
        ("english", result(QueryStatus.ABSENT, [], "nothing here fits"), False),
        ("not: mug", result(QueryStatus.FOUND, [2]), True),
    ],
)
def test_what_counts_as_right(wanted: str, answer: QueryResult, right: bool) -> None:
    assert is_right(wanted, answer, {"mug": 1, "book": 2}) is right

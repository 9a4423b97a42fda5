"""Judging one labelled cloud: structure, sizes, names, pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.quality.naming import classify, spread
from benchmarks.quality.pictures import SPARE, recolored
from benchmarks.quality.plan import RGB, Job
from benchmarks.quality.scoring import class_lists, class_score, picked, precision
from benchmarks.quality.structure import iou_by_size, whole, whole_structure
from benchmarks.quality.views import UnseenView, render_iou
from ig_ros.datasets import SceneTruth
from ig_ros.evaluation.metrics import instance_score
from ig_ros.types import IntArray


def no_image(_: int) -> IntArray:
    return np.zeros((1, 1), np.int32)


def line_truth(ids: IntArray, names: dict[int, str], spacing: float = 0.01) -> SceneTruth:
    """Points on the x axis."""
    points = np.zeros((len(ids), 3), np.float32)
    points[:, 0] = spacing * np.arange(len(ids))
    return SceneTruth(points, ids, names, (), (), no_image)


TRUTH = np.repeat([1, 2], 100)


@pytest.mark.parametrize(
    ("stray", "expected"),
    [(0, True), (10, True), (11, False), (60, False)],
)
def test_a_thing_is_whole_until_another_instance_holds_a_tenth_of_it(stray: int, expected: bool) -> None:
    predicted = TRUTH.copy()
    predicted[:stray] = 7
    assert whole(predicted, TRUTH, instance_score(predicted, TRUTH)) == {1: expected, 2: True}


def test_what_two_things_share_is_not_whole_and_holes_do_not_split() -> None:
    merged = np.ones(200, int)
    assert not any(whole(merged, TRUTH, instance_score(merged, TRUTH)).values())  # IoU 0.5 each
    holes = np.where(np.arange(200) % 10 < 4, -1, TRUTH)
    assert all(whole(holes, TRUTH, instance_score(holes, TRUTH)).values())


def test_structure_is_told_by_name_and_size_by_extent() -> None:
    truth = line_truth(np.repeat([1, 2, 3, 4], [100, 100, 10, 30]), {1: "wall", 2: "wall", 3: "mug", 4: "book"})
    predicted = truth.ids.copy()
    predicted[100:150] = 9
    score = instance_score(predicted, truth.ids)
    assert whole_structure(predicted, truth, score) == {"wall": [True, False]}
    assert iou_by_size(truth, score) == {"small": [100.0], "medium": [100.0], "large": [100.0, 50.0]}


def test_instances_take_the_closest_class_and_the_unknown_none() -> None:
    texts = np.eye(3)
    near = {4: np.array([0.1, 0.9, 0.2]), 7: np.array([0.9, 0.0, 0.1]), 8: np.zeros(3)}
    classes = classify(near, texts)
    assert classes == {4: 1, 7: 0}
    assert spread(np.array([7, 8, -1, 4]), classes).tolist() == [0, -1, -1, 1]
    assert class_score(np.array([1, 1, -1, 0]), np.array([1, 0, 0, -1])) == {"miou": 25.0, "macc": 50.0}


def test_simulated_classes_are_the_names_and_scannets_are_lists() -> None:
    truth = line_truth(np.array([0, 1, 2, 3]), {1: "mug", 2: "book", 3: "mug"})
    (every,) = class_lists(truth)
    assert every.texts == ("book", "mug")
    assert every.truth.tolist() == [-1, 1, 0, 1]
    labelled = replace(truth, classes=np.array([1, 11, 3, 40], np.int32))
    found = {c.name: c for c in class_lists(labelled)}
    assert {n: len(c.texts) for n, c in found.items()} == {"19": 19, "15": 15, "10": 10}
    for name, known in (("19", 3), ("15", 2), ("10", 1)):
        assert int((found[name].truth >= 0).sum()) == known
    assert found["10"].texts[found["10"].truth[0]] == "wall"


def test_ids_are_picked_and_precision_falls_with_fragments() -> None:
    assert picked(np.array([5, 6]), np.array([1, -1, 0])).tolist() == [6, -1, 5]
    truth = np.repeat([1, 2], 300)
    fragments = np.where(np.arange(600) < 120, 9, truth)
    assert precision(truth, truth) == {"ap": 100.0, "ap50": 100.0, "ap25": 100.0}
    assert precision(fragments, truth)["ap"] < 100


def view(top: IntArray, truth: IntArray | None) -> UnseenView:
    blank = np.zeros((*top.shape, 3), np.uint8)
    return UnseenView(blank, blank, top, truth, 20.0, 0.5)


def test_render_iou_is_over_all_held_out_pixels_together() -> None:
    top = np.repeat([[0, 1]], 40, axis=0)
    truth = np.repeat([[1, 2]], 40, axis=0)
    ids = np.array([3, 4])
    assert render_iou([view(top, truth)], ids) == pytest.approx(100)
    half = view(np.full_like(top, -1), truth)
    assert render_iou([view(top, truth), half], ids) == pytest.approx(50)
    assert render_iou([view(top, None)], ids) is None


def test_colours_follow_the_truth_once() -> None:
    predicted, truth = np.array([5, 5, 5, 6, 7, -1]), np.array([2, 2, 2, 2, 3, 1])
    colors = recolored(np.array([[5, 6], [7, -1]]), predicted, truth)
    assert colors[0, 0] == 2
    assert colors[0, 1] >= SPARE  # the second part of the same thing must look different
    assert colors[1].tolist() == [3, 0]


def test_a_job_is_named_by_scene_and_condition() -> None:
    assert Job("room-11", "room", RGB, "", 1, {}).key == "room-11-rgb"

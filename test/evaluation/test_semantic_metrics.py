"""Laws of the semantic and the select-and-render figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ig_ros.evaluation.metrics import semantic_score

seeds = st.integers(0, 100_000)
classes = st.lists(st.integers(-1, 4), min_size=1, max_size=80).map(np.array)
fast = settings(max_examples=60, deadline=None)


@fast
@given(truth=classes, seed=seeds)
def test_it_is_that_of_counted_sets(truth: np.ndarray, seed: int) -> None:
    predicted = np.random.default_rng(seed).integers(-1, 7, len(truth))
    score = semantic_score(predicted, truth)
    places = [i for i in range(len(truth)) if truth[i] != -1]
    iou, accuracy = {}, {}
    for c in {int(truth[i]) for i in places}:
        given, wanted = {i for i in places if predicted[i] == c}, {i for i in places if truth[i] == c}
        iou[c], accuracy[c] = len(given & wanted) / len(given | wanted), len(given & wanted) / len(wanted)
    assert score.iou == pytest.approx(iou)
    assert score.accuracy == pytest.approx(accuracy)
    if iou:
        assert score.miou == pytest.approx(100 * sum(iou.values()) / len(iou))
        assert score.macc == pytest.approx(100 * sum(accuracy.values()) / len(iou))
    assert 0 <= score.miou <= score.macc + 1e-9 <= 100 + 1e-6


@fast
@given(truth=classes, seed=seeds)
def test_perfect_is_100_and_swapping_or_renaming_classes_is_seen(truth: np.ndarray, seed: int) -> None:
    present = np.unique(truth[truth >= 0])
    assume(len(present) >= 2)
    perfect = semantic_score(truth, truth)
    assert (perfect.miou, perfect.macc) == (100, 100)
    random = np.random.default_rng(seed)
    a, b = random.permutation(present)[:2]
    names = np.append(np.arange(5), -1)  # place -1 keeps -1
    names[[a, b]] = b, a
    swapped = semantic_score(names[truth], truth)
    assert swapped.iou[int(a)] == swapped.iou[int(b)] == 0
    assert swapped.miou == pytest.approx(100 * (1 - 2 / len(present)))
    both = semantic_score(names[truth], names[truth])
    assert (both.miou, both.macc) == (100, 100)


@fast
@given(truth=classes, seed=seeds)
def test_renaming_classes_on_both_sides_and_shuffling_points_change_nothing(truth: np.ndarray, seed: int) -> None:
    random = np.random.default_rng(seed)
    predicted = random.integers(-1, 5, len(truth))
    names, order = np.append(random.permutation(40)[:5], -1), random.permutation(len(truth))
    a, b = semantic_score(predicted, truth), semantic_score(names[predicted][order], names[truth][order])
    assert (a.miou, a.macc) == (pytest.approx(b.miou), pytest.approx(b.macc))


def test_unknown_is_wrong_and_points_without_a_true_class_do_not_exist() -> None:
    truth = np.array([3] * 10 + [-1] * 10)
    predicted = np.array([3] * 6 + [-1] * 4 + [3] * 10)
    score = semantic_score(predicted, truth)
    assert (score.miou, score.macc) == (pytest.approx(60), pytest.approx(60))
    assert semantic_score(np.full(20, -1), truth).miou == 0
    assert semantic_score(predicted, np.full(20, -1)).iou == {}


def test_a_class_that_is_not_in_the_scene_costs_its_victims_only() -> None:
    truth = np.repeat([0, 1], 10)
    predicted = np.where(np.arange(20) < 5, 8, truth)
    score = semantic_score(predicted, truth)
    assert set(score.iou) == {0, 1}
    assert (score.miou, score.macc) == (pytest.approx(75), pytest.approx(75))

"""Laws of average precision, against sets of points counted slowly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference.average_precision import slow_average_precision

from ig_ros.evaluation.average_precision import (
    THRESHOLDS,
    class_average_precision,
    instance_average_precision,
)
from ig_ros.evaluation.metrics import instance_score

seeds = st.integers(0, 100_000)
fast = settings(max_examples=60, deadline=None)
sizes = st.lists(st.integers(4, 30), min_size=1, max_size=6)


def figures(predicted: np.ndarray, confidence: dict[int, float], truth: np.ndarray, least: int = 1) -> list[float]:
    score = instance_average_precision(predicted, confidence, truth, least)
    return [score.ap, score.ap50, score.ap25]


def guess(random: np.random.Generator) -> tuple[np.ndarray, dict[int, float], np.ndarray]:
    """A truth in runs, and a prediction made of it by shifting, splitting and spoiling; confidences often tie."""
    truth = np.repeat(random.integers(0, 6, 12), random.integers(1, 12, 12))
    predicted = np.roll(truth + 10, int(random.integers(-4, 5)))
    part = random.random(len(truth)) < random.random() * 0.5
    predicted = np.where(part & (truth % 2 == 0), predicted + 10, predicted)
    predicted = np.where(random.random(len(truth)) < 0.15, random.integers(-1, 20, len(truth)), predicted)
    return predicted, {i: float(random.integers(1, 5)) / 4 for i in range(40)}, truth


@settings(max_examples=200, deadline=None)
@given(seed=seeds, least=st.integers(1, 12))
def test_it_is_that_of_counted_sets(seed: int, least: int) -> None:
    predicted, confidence, truth = guess(np.random.default_rng(seed))
    score = instance_average_precision(predicted, confidence, truth, least)
    for got, thresholds in ((score.ap, THRESHOLDS), (score.ap50, [0.5]), (score.ap25, [0.25])):
        assert got == pytest.approx(slow_average_precision(predicted, confidence, truth, least, thresholds))
        assert 0 <= got <= 100
    assert score.ap <= score.ap50 + 1e-9


@fast
@given(sizes=sizes, seed=seeds)
def test_a_perfect_prediction_scores_100_whatever_its_confidences(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.concatenate([np.zeros(9, int), np.repeat(np.arange(len(sizes)) + 1, sizes)])
    confidence = dict(enumerate(random.random(len(sizes) + 1).tolist()))
    score = instance_average_precision(truth, confidence, truth, 4)
    assert (score.ap, score.ap50, score.ap25) == pytest.approx((100, 100, 100))
    assert score.true == len(sizes)
    assert instance_score(truth, truth).predicted == len(sizes)


@fast
@given(seed=seeds)
def test_names_of_instances_decide_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    predicted, confidence, truth = guess(random)
    names, true_names = random.permutation(40), np.append(0, random.permutation(40) + 1)
    renamed = np.where(predicted >= 0, names[predicted], -1)
    other = {int(names[i]): c for i, c in confidence.items()}
    assert figures(renamed, other, true_names[truth]) == figures(predicted, confidence, truth)
    assert instance_score(renamed, true_names[truth]).miou == pytest.approx(instance_score(predicted, truth).miou)


@fast
@given(seed=seeds)
def test_only_the_order_of_confidences_counts(seed: int) -> None:
    predicted, confidence, truth = guess(np.random.default_rng(seed))
    squeezed = {i: 0.5 + c**3 / 9 for i, c in confidence.items()}
    assert figures(predicted, squeezed, truth) == figures(predicted, confidence, truth)


@fast
@given(sizes=sizes, seed=seeds)
def test_splitting_an_instance_of_a_perfect_prediction_lowers_ap_and_miou(sizes: list[int], seed: int) -> None:
    """AP falls strictly when both parts keep the confidence; a part of lower confidence than all can only tie it."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)) + 1, sizes)
    victim = int(random.integers(len(sizes))) + 1
    part = (truth == victim) & (np.cumsum(truth == victim) <= random.integers(1, sizes[victim - 1]))
    split = np.where(part, 99, truth)
    confidence = dict(enumerate(random.random(len(sizes) + 1).tolist()))
    perfect = figures(truth, confidence, truth)
    equal = figures(split, confidence | {99: confidence[victim]}, truth)
    assert all(a < b for a, b in zip(equal, perfect, strict=True))
    least = figures(split, confidence | {99: -1.0}, truth)
    assert all(a <= b + 1e-9 for a, b in zip(least, perfect, strict=True))
    larger = max(part.sum(), sizes[victim - 1] - part.sum()) / sizes[victim - 1]
    if larger <= THRESHOLDS[-1]:
        assert least[0] < perfect[0]
    assert instance_score(split, truth).miou == pytest.approx(100 * (1 - (1 - larger) / len(sizes)))
    assert instance_score(split, truth).predicted == len(sizes) + 1


@fast
@given(sizes=st.lists(st.integers(4, 30), min_size=2, max_size=6), seed=seeds)
def test_merging_two_instances_of_a_perfect_prediction_lowers_everything(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)) + 1, sizes)
    a, b = (random.permutation(len(sizes))[:2] + 1).tolist()
    merged = np.where(truth == a, b, truth)
    confidence = dict(enumerate(random.random(len(sizes) + 1).tolist()))
    perfect, worse = figures(truth, confidence, truth), figures(merged, confidence, truth)
    assert all(x < y for x, y in zip(worse, perfect, strict=True))
    assert instance_score(merged, truth).miou < 100 - 1e-6
    assert instance_score(merged, truth).predicted == len(sizes) - 1


@fast
@given(seed=seeds, confidence_of_new=st.floats(0, 2))
def test_fragments_beside_the_predictions_never_raise_ap(seed: int, confidence_of_new: float) -> None:
    """A fragment on points nobody claimed, too small a part of any instance to be right (IoU <= 0.25)."""
    random = np.random.default_rng(seed)
    predicted, confidence, truth = guess(random)
    free = (predicted < 0).nonzero()[0]
    assume(len(free) > 0)
    fragment = random.choice(free, int(random.integers(1, len(free) + 1)), replace=False)
    more = predicted.copy()
    more[fragment] = 99
    assume(all((truth[fragment] == t).sum() <= 0.25 * (truth == t).sum() for t in np.unique(truth[truth > 0])))
    before = figures(predicted, confidence, truth)
    after = figures(more, confidence | {99: confidence_of_new}, truth)
    assert all(a <= b + 1e-9 for a, b in zip(after, before, strict=True))
    best, better = instance_score(predicted, truth).best, instance_score(more, truth).best
    assert all(better[t] >= best[t] for t in best), "a fragment costs nothing in best IoU: that is why AP is there"


def test_a_wrong_prediction_costs_by_its_confidence() -> None:
    truth = np.repeat([1, 2, 3, 3], 20)
    predicted = np.repeat([1, 2, 4, 5], 20)  # 4 and 5: half of instance 3 each, IoU 0.5 does not exceed 0.5
    sure = instance_average_precision(predicted, {1: 0.5, 2: 0.5, 4: 0.9, 5: 0.9}, truth, 1)
    unsure = instance_average_precision(predicted, {1: 0.5, 2: 0.5, 4: 0.1, 5: 0.1}, truth, 1)
    # sure: (0, 1), (0, 0), (2/3, 1/2); unsure: (0, 1), (2/3, 1), then two errors without recall
    assert (sure.ap50, unsure.ap50) == pytest.approx((100 * (2 / 3) * 0.25, 100 * 2 / 3))
    # at 0.25 one half is right and the other a second find of the same instance: precision 3/4 at recall 1
    assert unsure.ap25 == pytest.approx(100 * (2 / 3 + 1 / 3 * (1 + 3 / 4) / 2))
    assert (unsure.true, unsure.predicted) == (3, 4)


@pytest.mark.parametrize(
    ("beside", "least", "true", "right"),
    [
        pytest.param(0, 15, 2, True, id="unlabelled"),
        pytest.param(7, 15, 3, True, id="a true instance of the minimum size is found"),
        pytest.param(1, 15, 2, False, id="part of another instance"),
    ],
)
def test_predictions_on_what_is_not_evaluated_are_no_errors(beside: int, least: int, true: int, right: bool) -> None:
    truth = np.array([1] * 40 + [2] * 40 + [beside] * 15)
    predicted = np.array([1] * 40 + [2] * 40 + [9] * 15)
    score = instance_average_precision(predicted, {1: 0.5, 2: 0.5, 9: 0.9}, truth, least)
    assert score.true == true
    assert (score.ap50 == pytest.approx(100)) == right


def test_a_prediction_on_a_true_instance_below_the_minimum_is_no_error() -> None:
    truth = np.array([1] * 40 + [2] * 14 + [0] * 4)
    predicted = np.array([1] * 40 + [9] * 18)  # large enough to count, on an instance that does not
    score = instance_average_precision(predicted, {1: 0.5, 9: 0.9}, truth, 15)
    assert (score.true, score.predicted, score.ap50) == (1, 2, pytest.approx(100))


def test_a_prediction_below_the_minimum_is_not_there() -> None:
    truth = np.array([1] * 40 + [2] * 40)
    predicted = np.array([1] * 40 + [2] * 35 + [9] * 5)
    score = instance_average_precision(predicted, {1: 0.5, 2: 0.5, 9: 0.9}, truth, 6)
    assert (score.predicted, score.ap50) == (2, pytest.approx(100))
    assert instance_average_precision(predicted, {1: 0.5, 2: 0.5, 9: 0.9}, truth, 5).ap50 < 90


def test_no_truth_or_no_prediction_is_no_score() -> None:
    truth = np.repeat([1, 2], 10)
    assert figures(np.full(20, -1), {}, truth) == [0, 0, 0]
    assert figures(truth, {1: 1.0, 2: 1.0}, np.zeros(20, int)) == [0, 0, 0]
    assert figures(np.zeros(0, int), {}, np.zeros(0, int)) == [0, 0, 0]
    with pytest.raises(KeyError):
        instance_average_precision(truth, {1: 1.0}, truth, 1)


def test_the_last_threshold_is_95_percent() -> None:
    truth = np.repeat([1, 2], 100)
    predicted = truth.copy()
    predicted[:6] = -1  # IoU 0.94
    # at 0.95 one of two is right: recall 1/2 at precision 1/2, area 3/8
    score = instance_average_precision(predicted, {1: 1.0, 2: 1.0}, truth, 1)
    assert score.ap == pytest.approx(100 * (9 + 3 / 8) / 10)


def classes_of(ids: np.ndarray, **names: Any) -> dict[int, int]:
    return {int(i): int(i) % 2 for i in np.unique(ids)} | names


@fast
@given(sizes=st.lists(st.integers(4, 30), min_size=2, max_size=6), seed=seeds)
def test_per_class_only_instances_of_one_class_meet(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)) + 1, sizes)
    confidence = dict(enumerate(random.random(len(sizes) + 1).tolist()))
    classes = classes_of(truth)
    perfect = class_average_precision(truth, confidence, classes, truth, classes, 1)
    assert (perfect.ap, perfect.ap50, perfect.ap25) == pytest.approx((100, 100, 100))
    assert set(perfect.by_class) == {0, 1}
    swapped = {i: 1 - c for i, c in classes.items()}
    assert class_average_precision(truth, confidence, swapped, truth, classes, 1).ap == 0
    one = class_average_precision(truth, confidence, classes | {1: 0}, truth, classes, 1)
    assert one.ap < perfect.ap
    nameless = class_average_precision(truth, confidence, {2: 0}, truth, classes, 1)
    assert nameless.by_class[1].ap == 0
    assert nameless.by_class[0].predicted == 1


@fast
@given(seed=seeds)
def test_one_class_for_all_is_class_agnostic(seed: int) -> None:
    predicted, confidence, truth = guess(np.random.default_rng(seed))
    all_of = dict.fromkeys(range(40), 5)
    got = class_average_precision(predicted, confidence, all_of, truth, all_of, 3)
    want = instance_average_precision(predicted, confidence, truth, 3)
    assert got.by_class == ({5: want} if want.true else {})


def test_true_instances_without_a_class_are_unlabelled_and_absent_classes_stay_out_of_the_mean() -> None:
    truth, predicted = np.repeat([1, 2], 20), np.repeat([1, 2], 20)
    score = class_average_precision(predicted, {1: 0.5, 2: 0.9}, {1: 4, 2: 4}, truth, {1: 4}, 1)
    assert set(score.by_class) == {4}
    assert score.ap == pytest.approx(100), "the prediction on the instance without a class is excused"
    few = class_average_precision(predicted, {1: 0.5, 2: 0.9}, {1: 4, 2: 8}, truth, {1: 4, 2: 8}, 30)
    assert (few.ap, few.by_class) == (0, {})

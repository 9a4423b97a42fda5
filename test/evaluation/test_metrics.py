"""Laws of the figures of merit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ig_ros.evaluation.label_transfer import transfer_ids
from ig_ros.evaluation.metrics import instance_score, psnr, ssim

truths = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(lambda ids: np.array(ids))
seeds = st.integers(0, 10_000)


def slow_best(predicted: np.ndarray, truth: np.ndarray) -> dict[int, float]:
    """Best IoU of each true instance by counting sets, with unlabelled points taken out first."""
    best = {}
    points = [i for i in range(len(truth)) if truth[i] > 0]
    for t in sorted({int(truth[i]) for i in points}):
        mine = {i for i in points if truth[i] == t}
        best[t] = 0.0
        for p in {int(predicted[i]) for i in points} - {-1}:
            theirs = {i for i in points if predicted[i] == p}
            best[t] = max(best[t], len(mine & theirs) / len(mine | theirs))
    return best


@settings(max_examples=60, deadline=None)
@given(truth=truths, seed=seeds)
def test_the_score_is_that_of_counted_sets(truth: np.ndarray, seed: int) -> None:
    predicted = np.random.default_rng(seed).integers(-1, 5, len(truth))
    score, best = instance_score(predicted, truth), slow_best(predicted, truth)
    assert score.best == pytest.approx(best)
    assert score.true == len(best)
    if best:
        values = np.array(list(best.values()))
        assert score.miou == pytest.approx(100 * values.mean())
        assert score.ma50 == pytest.approx(100 * (values > 0.5).mean())
        assert score.ma25 == pytest.approx(100 * (values > 0.25).mean())
        assert score.found == (values > 0.5).sum()
    assert score.predicted == len(set(predicted[truth > 0].tolist()) - {-1})


@settings(max_examples=30, deadline=None)
@given(truth=truths, seed=seeds)
def test_a_perfect_prediction_scores_100_whatever_its_ids(truth: np.ndarray, seed: int) -> None:
    assume((truth > 0).any())
    names = np.random.default_rng(seed).permutation(50)
    score = instance_score(names[truth], truth)
    assert score.miou == pytest.approx(100)
    assert score.ma50 == score.ma25 == 100
    assert score.found == score.true == score.predicted == len(set(truth[truth > 0].tolist()))


@settings(max_examples=30, deadline=None)
@given(truth=truths, seed=seeds)
def test_renaming_ids_and_shuffling_points_change_nothing(truth: np.ndarray, seed: int) -> None:
    random = np.random.default_rng(seed)
    predicted = random.integers(-1, 5, len(truth))
    names, order = np.append(random.permutation(60)[:5], -1), random.permutation(len(truth))
    a, b = instance_score(predicted, truth), instance_score(names[predicted][order], truth[order])
    assert (a.miou, a.found, a.predicted) == (pytest.approx(b.miou), b.found, b.predicted)


def test_splits_merges_and_gaps_cost() -> None:
    truth = np.repeat([1, 2, 3], 20)
    perfect = instance_score(truth, truth).miou
    split = truth.copy()
    split[:10] = 9
    merged = np.where(truth == 2, 1, truth)
    gap = np.where(np.arange(60) % 20 < 4, -1, truth)
    values = [instance_score(p, truth).miou for p in (split, merged, gap)]
    assert max(values) < perfect
    assert values == pytest.approx([100 * (0.5 + 1 + 1) / 3, 100 * (0.5 + 0.5 + 1) / 3, 80.0])


def test_unlabelled_points_leave_before_the_unions() -> None:
    truth = np.array([0] * 50 + [1] * 10)
    everywhere = np.full(60, 7)
    assert instance_score(everywhere, truth).miou == 100
    assert instance_score(np.full(60, -1), truth).miou == 0


def test_tiny_true_instances_can_be_left_out() -> None:
    truth = np.array([1] * 30 + [2] * 3)
    score = instance_score(np.full(33, 1), truth, min_points=10)
    assert score.true == 1
    assert set(score.best) == {1}


def test_no_truth_no_score() -> None:
    score = instance_score(np.array([1, 1, 2]), np.zeros(3, int))
    assert (score.true, score.found, score.miou) == (0, 0, 0.0)
    assert instance_score(np.zeros(0, int), np.zeros(0, int)).true == 0


def test_ids_are_transferred_from_the_nearest_point_in_reach() -> None:
    xyz = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    targets = np.array([[0.01, 0, 0], [0.96, 0, 0], [0.5, 0, 0], [1.0, 0.051, 0]])
    assert transfer_ids(xyz, np.array([4, 8]), targets).tolist() == [4, 8, -1, -1]
    assert transfer_ids(np.zeros((0, 3)), np.zeros(0, int), targets).tolist() == [-1] * 4


@pytest.mark.parametrize("offset", [0.5, 0.1, 0.01])
def test_psnr_of_a_constant_offset(offset: float) -> None:
    image = np.full((8, 9, 3), 0.25, np.float32)
    assert psnr(image + offset, image) == pytest.approx(-20 * math.log10(offset), abs=1e-3)
    assert psnr(image, image) >= 99


def test_ssim_is_one_for_equal_images_and_falls_with_noise() -> None:
    random = np.random.default_rng(0)
    image = random.random((40, 50, 3))
    noisy = [ssim(np.clip(image + s * random.standard_normal(image.shape), 0, 1), image) for s in (0.0, 0.05, 0.3)]
    assert noisy[0] == pytest.approx(1.0)
    assert noisy[0] > noisy[1] > noisy[2] > 0

"""Counting kernels against plain loops, at odd sizes and for any number of threads."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from ig_ros.raster import counting

FULL, LEAST, DOMINANCE = 30.0, 2.0, 0.6


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> int:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def sight(seed: int, points: int = 700, groups: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mask (K, N), masks (K,) with a view that has none, owner (N,) with points of no group."""
    random = np.random.default_rng(seed)
    masks = np.array([4, 0, 1, 7])
    before = np.cumsum(masks) - masks
    mask = np.stack([random.integers(-1, m + 1, points) for m in masks])
    mask = np.where(mask > 0, mask + before[:, None], mask).astype(np.int32)
    return mask, masks, random.integers(-1, groups, points)


@pytest.mark.parametrize("seed", [0, 1])
def test_counts_are_those_of_a_loop(seed: int, threads: int) -> None:
    mask, masks, owner = sight(seed)
    count = counting.mask_counts(mask, masks, owner, 9)
    want = np.zeros((9, masks.sum() + len(masks)))
    before = np.cumsum(masks) - masks
    for k, row in enumerate(mask):
        for m, s in zip(row.tolist(), owner.tolist(), strict=True):
            if m >= 0 and s >= 0:
                want[s, before[k] + k + (m - before[k] if m else 0)] += 1
    np.testing.assert_array_equal(count, want)


@pytest.mark.parametrize("seed", [2, 3])
def test_impurity_counts_what_lies_outside_the_most_frequent_mask(seed: int, threads: int) -> None:
    mask, masks, owner = sight(seed)
    own = np.flatnonzero(owner >= 0)
    lost, seen = counting.impurity(mask, masks, own, owner[own], 9)
    for s in range(9):
        found = [Counter(row[(owner == s) & (row > 0)].tolist()) for row in mask]
        assert seen[s] == sum(sum(c.values()) for c in found)
        assert lost[s] == seen[s] - sum(max(c.values(), default=0) for c in found)


@pytest.mark.parametrize("seed", [4, 5])
def test_the_dominant_mask_has_enough_points_and_the_first_of_equals_wins(seed: int, threads: int) -> None:
    mask, masks, owner = sight(seed, points=120)
    count = counting.mask_counts(mask, masks, owner, 9)
    count[3] = 0
    count[4, :5] = [2, 3, 3, 0, 0]  # a tie without a majority in the first view
    count[5, :5] = [0, 0, 0, 40, 0]
    count[6, :5] = [9, 1, 0, 0, 0]  # mostly on no mask
    dominant, weight = counting.dominant_masks(count, masks, LEAST, DOMINANCE, FULL)
    first = np.cumsum(masks) - masks + np.arange(len(masks))
    for s, row in enumerate(count):
        for k, start in enumerate(first.tolist()):
            part = row[start : start + masks[k] + 1]
            best, total = int(part.argmax()), part.sum()
            decided = best > 0 and total >= LEAST and part[best] >= np.float32(DOMINANCE) * total
            assert dominant[s, k] == (start + best if decided else -1)
            assert weight[s, k] == (np.float32(min(1.0, total / FULL)) if decided else 0.0)
    assert dominant[5, 0] == 3
    assert weight[5, 0] == 1.0
    assert (dominant[[3, 4, 6], 0] == -1).all()


@pytest.mark.parametrize("points", [1, 700, 2500])
def test_every_view_is_a_vote(points: int, threads: int) -> None:
    mask, masks, _ = sight(6, points)
    random = np.random.default_rng(7)
    instance_of = random.integers(0, 4, masks.sum() + 1)  # 3 = none
    say = random.integers(0, 5, masks.sum() + 1) / 4  # exact sums
    rows = np.sort(random.choice(points, max(points // 2, 1), replace=False))
    votes = counting.tally(mask, rows, instance_of, say, 3, 0.5)
    want = np.zeros((len(rows), 4), np.float32)
    for i, n in enumerate(rows.tolist()):
        for m in mask[:, n].tolist():
            if m > 0:
                want[i, instance_of[m]] += say[m]
            elif m == 0:
                want[i, 3] += 0.5
    np.testing.assert_array_equal(votes, want)


def test_nothing_counts_to_nothing() -> None:
    none, no_masks = np.zeros((0, 5), np.int32), np.zeros(0, np.int64)
    owner = np.zeros(5, np.int64)
    assert counting.mask_counts(none, no_masks, owner, 2).shape == (2, 0)
    assert counting.impurity(none, no_masks, np.arange(5), owner, 2)[1].tolist() == [0, 0]
    dominant, weight = counting.dominant_masks(np.zeros((2, 0), np.float32), no_masks, LEAST, DOMINANCE, FULL)
    assert dominant.shape == weight.shape == (2, 0)
    assert counting.tally(none, np.arange(5), np.zeros(1, np.int64), np.ones(1), 3, 0.5).sum() == 0

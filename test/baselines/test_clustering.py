"""Density and codebook clustering of features."""

from __future__ import annotations

import numpy as np
import pytest
from baselines.worlds import best_iou, world

from benchmarks.baselines.clustering import FeatureHdbscan, completed
from benchmarks.baselines.codebook import TwoLevelCodebook

ALIKE = {0: 0, 1: 1, 2: 1}


@pytest.mark.parametrize("max_points", [10_000, 800])
def test_hdbscan_finds_features_of_their_own_also_from_a_sample(max_points: int) -> None:
    material, card = world()
    found = FeatureHdbscan("h", max_points=max_points)(material, np.random.default_rng(0)).ids
    assert found.max() == 2
    assert all(best_iou(found, card == c) > 0.98 for c in range(3))


def test_position_tells_two_of_a_kind() -> None:
    material, card = world(ALIKE)
    blind = FeatureHdbscan("h")(material, np.random.default_rng(0)).ids
    assert best_iou(blind, card > 0) > 0.98
    seeing = FeatureHdbscan("h", position_weight=1.0)(material, np.random.default_rng(0)).ids
    assert min(best_iou(seeing, card == c) for c in (1, 2)) > 0.95


def test_noise_joins_its_nearest_cluster() -> None:
    space = np.array([[0.0], [1.0], [0.2], [0.9]])
    assert completed(space, np.array([4, 7, -1, -1])).tolist() == [4, 7, 4, 7]
    assert completed(space, np.full(4, -1)).tolist() == [-1] * 4


def test_the_codebook_splits_by_place_then_by_feature() -> None:
    material, card = world(ALIKE)
    found = TwoLevelCodebook(coarse=16)(material, np.random.default_rng(0)).ids
    assert found.max() < 16 * 5
    purity = [np.bincount(card[found == i]).max() / (found == i).sum() for i in range(found.max() + 1)]
    assert np.average(purity, weights=np.bincount(found)) > 0.98  # the codes never mix cards ...
    assert not ((found[card == 1][:, None] == np.unique(found[card == 2])[None]).any())  # ... of equal features either


def test_as_many_codes_as_things_are_those_things() -> None:
    material, card = world()
    found = TwoLevelCodebook(coarse=1, fine=3)(material, np.random.default_rng(0)).ids
    assert all(best_iou(found, card == c) > 0.98 for c in range(3))

"""What each condition of the paper's graph is for, on the ground with two cards."""

from __future__ import annotations

import numpy as np
import pytest
from baselines.worlds import best_iou, world

from benchmarks.baselines import Material
from benchmarks.baselines.aggregation import Aggregation
from ig_ros.types import IntArray

ALIKE = {0: 0, 1: 1, 2: 1}  # both cards carry the same feature
PLAIN = {0: 0, 1: 0, 2: 0}  # the features know nothing


def ids(method: Aggregation, material: Material) -> IntArray:
    return method(material, np.random.default_rng(0)).ids


def count(found: IntArray) -> int:
    return len(np.unique(found[found >= 0]))


def test_features_and_voxels_find_ground_and_cards() -> None:
    material, card = world(ALIKE)
    found = ids(Aggregation("both"), material)
    assert count(found) == 3
    assert all(best_iou(found, card == c) > 0.98 for c in range(3))


def test_features_alone_cannot_tell_two_of_a_kind() -> None:
    material, card = world(ALIKE)
    found = ids(Aggregation("feature", use_voxel_edge=False), material)
    assert count(found) == 2
    assert best_iou(found, card == 0) > 0.98
    assert best_iou(found, card > 0) > 0.98


def test_voxels_alone_join_what_touches() -> None:
    material, _ = world()
    assert count(ids(Aggregation("voxel", use_feature_edge=False), material)) == 1


def test_colour_and_space_need_no_features() -> None:
    material, card = world(PLAIN)
    colored = Aggregation("colour", joint=False, use_feature_edge=False, use_color_edge=True)
    found = ids(colored, material)
    assert all(best_iou(found, card == c) > 0.95 for c in range(3))
    assert count(ids(Aggregation("both"), material)) == 1


@pytest.mark.parametrize("joint", [True, False])
def test_a_wider_gamma_only_joins(joint: bool) -> None:
    material, _ = world()
    counts = [
        count(ids(Aggregation("g", gamma=g, joint=joint, min_anchors=1), material)) for g in (0.0, 0.02, 0.1, 0.4, 1.0)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] == 1


def test_a_doubled_voxel_only_joins() -> None:
    material, _ = world(ALIKE)
    counts = [count(ids(Aggregation("v", voxel=v, min_anchors=1), material)) for v in (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 2  # now the cards stand in neighbouring voxels


def test_small_pieces_are_noise() -> None:
    material, card = world(ALIKE)
    anchors_on_a_card = int((card == 1).sum()) // 2
    found = ids(Aggregation("large", min_anchors=2 * anchors_on_a_card), material)
    assert count(found) == 1
    assert (found[card > 0] == -1).mean() > 0.95

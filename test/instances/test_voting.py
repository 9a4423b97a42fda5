"""Masks go to the instance they show; every point then believes the majority of its views."""

from __future__ import annotations

import numpy as np
import pytest

from ig_ros.config import InstanceConfig
from ig_ros.instances import voting
from ig_ros.instances.mask_histograms import MaskHistograms
from ig_ros.instances.region_graph import nearest_points
from ig_ros.instances.visibility import HIDDEN, Observations
from ig_ros.instances.voting import NONE, MaskMatch, assign_masks
from ig_ros.types import FloatArray, IntArray

CONFIG = InstanceConfig()


def observations(mask: list[list[int]], columns: int) -> Observations:
    view_of = np.zeros(columns + 1, np.int32)
    for k, row in enumerate(mask):
        for column in row:
            if column > 0:
                view_of[column] = k
    return Observations(np.array(mask, np.int32), view_of, np.arange(columns + 1), np.ones(columns + 1, np.int64))


def assigned(group: IntArray, observed: Observations) -> list[MaskMatch]:
    return assign_masks(MaskHistograms(group, int(group.max()) + 1, observed, CONFIG))


def vote(
    xyz: FloatArray,
    prior: IntArray,
    instances: int,
    observed: Observations,
    matches: list[MaskMatch],
    smooth: bool = False,
) -> tuple[IntArray, FloatArray]:
    """The vote with each point's nearest points."""
    n = len(prior)
    near = nearest_points(xyz, min(CONFIG.vote_neighbors, n))
    return voting.vote(near, prior, instances, observed, matches, smooth)


def test_a_mask_goes_to_the_group_with_most_of_its_points() -> None:
    group = np.array([0, 0, 0, 1, 1, NONE])
    observed = observations([[1, 1, 1, 1, 2, 2], [HIDDEN, HIDDEN, 3, 3, 3, 0]], 3)
    matches = {m.column: m for m in assigned(group, observed)}
    assert {c: (m.instance, m.view) for c, m in matches.items()} == {1: (0, 0), 2: (1, 0), 3: (1, 1)}
    assert matches[1].iou == pytest.approx(3 / 4)  # 3 shared; mask 4 points, group 3
    assert matches[2].iou == pytest.approx(1 / 2)  # points of no group do not count
    assert matches[3].iou == pytest.approx(2 / 3)  # only what is visible of group 0 and 1 counts


def test_no_groups_or_no_masks_match_nothing() -> None:
    assert assigned(np.full(3, NONE), observations([[1, 1, 1]], 1)) == []
    assert assigned(np.zeros(3, int), observations([[0, 0, HIDDEN]], 0)) == []


def test_masks_correct_the_group_of_a_point() -> None:
    group = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1])  # point 4 belongs to 1, as every view says
    observed = observations([[1, 1, 1, 1, 2, 2, 2, 2, 2], [3, 3, 3, 3, 4, 4, 4, 4, 4]], 4)
    owner, share = vote(np.random.default_rng(0).random((9, 3)), group, 2, observed, assigned(group, observed))
    assert owner.tolist() == [0] * 4 + [1] * 5
    assert share[0] == pytest.approx(1.0)
    say = (4 / 5) ** 2  # of both masks: four fifths of their points are of group 1
    assert share[4] == pytest.approx(2 * say / (2 * say + 0.5))  # against half a view: none backs its group


def test_points_on_no_mask_become_none_only_against_weak_belief() -> None:
    group = np.array([0, 0, 0, 0])
    unlabelled = observations([[1, 1, 1, 0], [2, 2, 2, 0], [3, 3, 3, 0]], 3)
    owner, _ = vote(np.eye(4)[:, :3], group, 1, unlabelled, assigned(group, unlabelled))
    assert owner.tolist() == [0, 0, 0, NONE]
    missed_once = observations([[1, 1, 1, 0], [2, 2, 2, 2], [3, 3, 3, 3]], 3)
    owner, _ = vote(np.eye(4)[:, :3], group, 1, missed_once, assigned(group, missed_once))
    assert owner.tolist() == [0, 0, 0, 0]


def test_unseen_points_keep_their_group() -> None:
    group = np.array([0, 1, NONE])
    hidden = observations([[HIDDEN] * 3], 0)
    owner, share = vote(np.eye(3), group, 2, hidden, [])
    assert owner.tolist() == [0, 1, NONE]
    assert share.tolist() == [1.0] * 3


def test_smoothing_takes_a_stray_point_along_with_its_neighbours() -> None:
    xyz = np.zeros((40, 3))
    xyz[:, 0] = np.arange(40) * 0.01
    group = np.zeros(40, int)
    group[20] = 1
    group[35:] = 1
    hidden = observations([[HIDDEN] * 40], 0)
    rough, _ = vote(xyz, group, 2, hidden, [])
    smooth, _ = vote(xyz, group, 2, hidden, [], smooth=True)
    assert rough[20] == 1
    assert smooth[20] == 0
    assert (smooth[37:] == 1).all()
    assert (smooth[:33] == 0).all()


def test_a_mask_that_shows_much_else_has_less_say() -> None:
    group = np.array([0] * 6 + [1] * 6)
    # View 0 merges both things into one mask, the other two views tell them apart and see only point 6 of thing 1.
    observed = observations([[1] * 12, [2] * 6 + [3] + [HIDDEN] * 5], 3)
    say = {m.column: m.say for m in assigned(group, observed)}
    assert say == {1: 0.25, 2: 1.0, 3: 1.0}  # half of it, squared
    owner, share = vote(np.random.default_rng(0).random((12, 3)), group, 2, observed, assigned(group, observed))
    assert owner.tolist() == [0] * 6 + [1] * 6
    assert share[6] == pytest.approx((1 + 0.5 + 0.5 * 1.25) / (1.25 + 0.5 + 0.5 * 1.25))
    assert share[7] == pytest.approx(0.5 / 0.75)  # one contradicted mask does not overrule the merge

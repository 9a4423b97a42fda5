"""What is on no mask: missed by a segmenter of everything, background to a detector of some things."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ig_ros.config import InstanceConfig
from ig_ros.instances.background import BACKGROUND, seldom_masked, with_background
from ig_ros.instances.mask_histograms import MaskHistograms
from ig_ros.instances.visibility import HIDDEN, UNLABELLED, Observations
from ig_ros.instances.voting import assign_masks
from ig_ros.types import IntArray

VIEWS, THING, GROUND = 6, 10, 30  # a thing of 10 points on a ground of 30


def observed(ground_masked: bool, missed: int = 1) -> Observations:
    """The thing on one mask per view, but in the first `missed`; the ground on another, or on none."""
    mask = np.full((VIEWS, THING + GROUND), UNLABELLED, np.int32)
    view_of, label_of = [0], [0]
    for k in range(VIEWS):
        for label, points in ((1, slice(0, THING)), (2, slice(THING, None))):
            if (label == 1 and k < missed) or (label == 2 and not ground_masked):
                continue
            mask[k, points] = len(view_of)
            view_of.append(k)
            label_of.append(label)
    mask[2, :3] = HIDDEN
    view, label = np.array(view_of, np.int32), np.array(label_of, np.int32)
    return Observations(mask, view, label, np.ones(len(view), np.int64))


def on_background(found: Observations) -> IntArray:
    return (found.label_of_column[np.maximum(found.mask, 0)] == BACKGROUND) & (found.mask > 0)


def test_a_ground_that_no_view_masks_is_seldom_masked() -> None:
    seldom, share = seldom_masked(observed(ground_masked=False).mask)
    assert seldom.tolist() == [False] * THING + [True] * GROUND
    assert share == GROUND / (THING + GROUND)


@pytest.mark.parametrize("exhaustive", ["true", "auto"])
def test_masks_of_everything_are_left_as_they_are(exhaustive: str) -> None:
    seen = observed(ground_masked=True)
    assert with_background(seen, exhaustive) is seen


def test_masks_of_targets_only_make_the_ground_background_and_not_the_missed_thing() -> None:
    seen = observed(ground_masked=False)
    found = on_background(with_background(seen, "auto"))
    assert found[:, THING:].all()
    assert not found[:, :THING].any()
    every = on_background(with_background(seen, "false"))
    assert every[0, :THING].all(), "false: what is missed is background too"


def test_every_mask_keeps_its_view_and_label() -> None:
    seen = observed(ground_masked=False)
    found = with_background(seen, "false")
    masked = seen.mask > 0
    assert np.array_equal(found.view_of_column[found.mask[masked]], seen.view_of_column[seen.mask[masked]])
    assert np.array_equal(found.label_of_column[found.mask[masked]], seen.label_of_column[seen.mask[masked]])
    rows, _ = np.nonzero(found.mask > 0)
    assert np.array_equal(found.view_of_column[found.mask[found.mask > 0]], rows)
    assert np.array_equal(found.mask[seen.mask < 0], seen.mask[seen.mask < 0])
    assert not (found.mask == UNLABELLED).any()


def test_background_separates_groups_and_is_no_object() -> None:
    config = dataclasses.replace(InstanceConfig(), min_points=2)
    group = np.repeat([0, 1], [THING, GROUND])
    plain = MaskHistograms(group, 2, observed(ground_masked=False), config)
    split = MaskHistograms(group, 2, with_background(observed(ground_masked=False), "auto"), config)
    pair = np.array([0]), np.array([1])
    assert plain.agreement(*pair)[1] == 0, "nobody speaks against the two being one thing"
    same, both = split.agreement(*pair)
    assert same == 0
    assert both > 0
    assert {m.instance for m in assign_masks(split)} == {0}
    assert len(assign_masks(split)) == VIEWS - 1

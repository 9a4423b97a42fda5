"""Which groups are things: recognised in enough of the views that see them."""

from __future__ import annotations

import numpy as np
import pytest

from ig_ros.config import InstanceConfig
from ig_ros.instances.mask_histograms import MaskHistograms
from ig_ros.instances.visibility import Observations
from ig_ros.instances.voting import assign_masks, recognitions, seldom_recognised

POINTS = 10  # of the thing and of the patch upon it


def histograms_of(own: int, views: int) -> MaskHistograms:
    """Of a thing (0) and a patch on it (1): the first `own` views give the patch a mask of its own."""
    masks = np.where(np.arange(views) < own, 2, 1)
    first = np.cumsum(masks) - masks + 1
    mask = np.repeat(first, 2 * POINTS).reshape(views, -1)
    mask[:own, POINTS:] += 1
    columns = np.append(0, np.repeat(np.arange(views), masks))
    observed = Observations(
        mask.astype(np.int32), columns.astype(np.int32), np.ones(len(columns), np.int32), np.ones(len(columns), int)
    )
    return MaskHistograms(np.repeat([0, 1], POINTS), 2, observed, InstanceConfig())


@pytest.mark.parametrize(
    ("own", "views", "patch"),
    [(3, 10, True), (4, 10, False), (4, 20, True), (5, 20, False), (2, 4, False), (1, 9, False)],
)
def test_what_most_views_take_for_a_part_is_a_patch_unless_many_see_a_thing(own: int, views: int, patch: bool) -> None:
    histograms = histograms_of(own, views)
    matches = assign_masks(histograms)
    assert recognitions(matches, 2).tolist() == [views, own]
    assert seldom_recognised(matches, histograms, InstanceConfig()).tolist() == [False, patch]


def test_a_view_counts_once_and_a_weak_match_not_at_all() -> None:
    histograms = histograms_of(2, 2)
    matches = assign_masks(histograms)
    twice = [*matches, *(m for m in matches if m.instance == 1)]
    assert recognitions(twice, 3).tolist() == [2, 2, 0]
    weak = [m.__class__(m.instance, m.column, m.view, 0.1) for m in matches]
    assert recognitions(weak, 2).tolist() == [0, 0]

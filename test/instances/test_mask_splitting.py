"""Sub-objects that straddle a border which only the masks know."""

from __future__ import annotations

import dataclasses

import numpy as np

from ig_ros.instances.sub_object_splitting import impurity, purify
from ig_ros.instances.visibility import HIDDEN, UNLABELLED, Observations

POINTS, VIEWS = 60, 12
ALL = np.arange(POINTS)


def observed(border: int, split: float = 0.0, hidden: float = 0.3, seed: int = 0) -> Observations:
    """One sub-object of POINTS points; those from `border` on carry another mask. In a share of views (`split`) a mask
    border runs elsewhere, and a share of points is hidden."""
    random = np.random.default_rng(seed)
    mask = np.zeros((VIEWS, POINTS), np.int32)
    for k in range(VIEWS):
        at = int(random.integers(5, POINTS - 5)) if random.random() < split else border
        mask[k] = np.where(np.arange(POINTS) < at, 2 * k + 1, 2 * k + 2)
    mask[random.random(mask.shape) < hidden] = HIDDEN
    view = np.repeat(np.arange(VIEWS), 2)
    ones = np.ones(2 * VIEWS + 1, np.int64)
    return Observations(mask, np.append(0, view), ones, ones)


def test_a_pen_on_a_table_becomes_its_own_sub_object() -> None:
    labels = purify(np.zeros(POINTS, np.int32), ALL, observed(45), 6)
    assert len(np.unique(labels)) == 2
    assert len(np.unique(labels[:45])) == len(np.unique(labels[45:])) == 1


def test_random_borders_split_nothing() -> None:
    """Masks cut in a quarter of the views, always elsewhere, are errors of the views and not of the sub-object."""
    whole = observed(POINTS, split=0.25, seed=1)
    assert (purify(np.zeros(POINTS, np.int32), ALL, whole, 6) == 0).all()


def test_other_sub_objects_keep_their_points_and_impurity_falls() -> None:
    seen = observed(30, split=0.1)
    labels = np.where(np.arange(POINTS) % 2, 0, 1).astype(np.int32)
    after = purify(labels, ALL, seen, 6)
    for s in np.unique(after):  # a split refines: no part takes points from another sub-object
        assert len(np.unique(labels[after == s])) == 1
    assert impurity(after, ALL, seen, np.unique(after)).max() < impurity(labels, ALL, seen, np.arange(2)).min()


def test_the_rest_of_the_points_has_no_say() -> None:
    seen = observed(30, split=0.1)
    some = np.arange(0, POINTS, 3)
    part = dataclasses.replace(seen, mask=np.ascontiguousarray(seen.mask[:, some]))
    labels = np.zeros(len(some), np.int64)
    alone = np.arange(len(some))
    assert purify(labels, some, seen, 6).max() == 1
    np.testing.assert_array_equal(purify(labels, some, seen, 6), purify(labels, alone, part, 6))


def test_without_masks_nothing_is_impure() -> None:
    nothing = Observations(np.full((3, POINTS), UNLABELLED, np.int32), *(np.zeros(1, np.int64),) * 3)
    labels = np.arange(POINTS, dtype=np.int32) // 10
    assert (impurity(labels, ALL, nothing, np.unique(labels)) == 0).all()
    assert (purify(labels, ALL, nothing, 6) == labels).all()

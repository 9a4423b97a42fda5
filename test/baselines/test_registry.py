"""What every row owes, whatever its idea."""

from __future__ import annotations

import numpy as np
import pytest
from baselines.worlds import check, world

from benchmarks.baselines import Method
from benchmarks.baselines.registry import METHODS, applicable, method
from ig_ros.errors import ConfigError

CLASSES = ("ground", "red card", "blue card")
rows = pytest.mark.parametrize("row", METHODS, ids=lambda m: m.name)
from_images = pytest.mark.parametrize("row", [m for m in METHODS if not m.needs_depth], ids=lambda m: m.name)


@rows
def test_the_answer_is_well_formed_and_repeats(row: Method) -> None:
    material, _ = world(classes=CLASSES)
    first, second = (row(material, np.random.default_rng(3)) for _ in range(2))
    check(first, material)
    np.testing.assert_array_equal(first.ids, second.ids)
    np.testing.assert_array_equal(first.xyz, second.xyz)
    assert (first.ids >= 0).mean() > 0.5


@from_images
def test_no_depth_is_no_obstacle_unless_it_says_so(row: Method) -> None:
    material, _ = world(depth=False, classes=CLASSES)
    found = row(material, np.random.default_rng(0))
    check(found, material)
    assert (found.ids >= 0).any()


@rows
def test_without_masks_nothing_breaks(row: Method) -> None:
    material, _ = world(views=0, classes=CLASSES)
    check(row(material, np.random.default_rng(0)), material)


@from_images
def test_an_empty_map_has_no_instances(row: Method) -> None:
    material, _ = world(views=2, empty=True, classes=CLASSES)
    found = row(material, np.random.default_rng(0))
    check(found, material)
    assert len(found.ids) == 0


def test_rows_are_found_by_their_names() -> None:
    assert len({m.name for m in METHODS}) == len(METHODS)
    assert all(method(m.name) is m for m in METHODS)
    with pytest.raises(ConfigError, match="HDBSCAN"):
        method("magic")


def test_rows_that_need_depth_are_left_out_without_it() -> None:
    with_depth, _ = world(views=2)
    without, _ = world(views=2, depth=False)
    assert applicable(with_depth) == METHODS
    assert set(applicable(without)) == {m for m in METHODS if not m.needs_depth} != set(METHODS)

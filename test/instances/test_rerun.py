"""A rerun takes over what its views show, and never shows it: it equals a first run on the same map."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from instances.test_instantiation import CONFIG, ground, views

from ig_ros.instances import Children, Instantiation, Instantiator, LabelledView, ObjectTracker, PointSet
from ig_ros.instances.observation import prepare_views


def run(memory: Instantiator, points: PointSet, seen: list[LabelledView]) -> Instantiation:
    return memory.run(points, Children(points.xyz, np.arange(len(points.xyz))), seen, ObjectTracker(), CONFIG)


def moved(points: PointSet, by: float) -> PointSet:
    """Every anchor a little elsewhere, as after some training."""
    step = np.random.default_rng(1).normal(0, by, points.xyz.shape) * [1, 1, 0]
    return dataclasses.replace(points, xyz=points.xyz + step)


@pytest.mark.parametrize("change", ["nothing", "moved", "a view more", "a view less", "another order"])
def test_a_rerun_equals_a_first_run(change: str) -> None:
    points, seen, memory = ground(), views(6), Instantiator()
    run(memory, points, seen[:5])
    later = moved(points, 0.003) if change == "moved" else points
    shown = {"a view more": seen, "a view less": seen[1:5], "another order": seen[4::-1]}.get(change, seen[:5])
    again, first = run(memory, later, shown), run(Instantiator(), later, shown)
    np.testing.assert_array_equal(again.child_ids, first.child_ids)
    np.testing.assert_array_equal(again.child_confidence, first.child_confidence)
    assert again.matches == first.matches


def test_a_result_is_not_overwritten_by_later_runs() -> None:
    memory = Instantiator()
    first = run(memory, ground(), views())
    kept = first.observed.mask.copy()
    for by in (0.002, 0.004, 0.006):
        run(memory, moved(ground(), by), views())
    np.testing.assert_array_equal(first.observed.mask, kept)


def test_views_are_prepared_once_and_again_where_they_show_something_else() -> None:
    seen = views(4)
    before = prepare_views(seen, [], 0.03)
    assert [a is b for a, b in zip(prepare_views(seen, before, 0.03), before, strict=True)] == [True] * 4
    assert seen[1].labels.any()
    seen[1] = dataclasses.replace(seen[1], labels=np.zeros_like(seen[1].labels))
    seen[2] = dataclasses.replace(seen[2], depth=seen[2].depth * 1.05)
    seen[3] = dataclasses.replace(seen[3], depth=seen[3].depth.copy())
    assert [a is b for a, b in zip(prepare_views(seen, before, 0.03), before, strict=True)] == [
        True,
        False,
        False,
        True,
    ]

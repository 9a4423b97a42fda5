"""A click means what is seen there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from viewer.shelf import CUBES, FLOOR, shelf

from ig_ros.viewer.scene import pick

EYE = np.array([0.0, -1.5, 0.6])


@pytest.mark.parametrize("number", CUBES)
def test_a_ray_to_an_objects_middle_picks_it(number: int) -> None:
    middle = np.array([CUBES[number][1], 0.0, 0.12])
    assert pick(shelf(), EYE, middle - EYE) == number
    assert pick(shelf(), EYE, 30 * (middle - EYE)) == number, "a direction has no length"


def test_the_foremost_object_hides_the_others() -> None:
    from_the_left, from_the_right = np.array([-2.0, 0, 0.12]), np.array([2.0, 0, 0.12])
    assert pick(shelf(), from_the_left, np.array([1.0, 0, 0])) == 1
    assert pick(shelf(), from_the_right, np.array([-1.0, 0, 0])) == 3


def test_what_is_behind_the_camera_or_beside_the_map_is_nothing() -> None:
    assert pick(shelf(), EYE, np.array([0.0, -1.0, 0.0])) == 0
    assert pick(shelf(), EYE, np.array([0.0, 0.0, 1.0])) == 0


def test_what_can_hardly_be_seen_does_not_stop_the_ray() -> None:
    snapshot = shelf()
    glass = np.where(snapshot.instances.point_ids == 2, np.float32(0.05), snapshot.opacity)
    seen = dataclasses.replace(snapshot, opacity=glass)
    assert pick(seen, EYE, np.array([0.0, 0.0, 0.12]) - EYE) == FLOOR


def test_a_surface_of_no_object_picks_nothing() -> None:
    snapshot = shelf()
    nobody = dataclasses.replace(snapshot.instances, point_ids=np.full(len(snapshot.xyz), -1, np.int32))
    assert pick(dataclasses.replace(snapshot, instances=nobody), EYE, np.array([0.0, 0.0, 0.12]) - EYE) == 0

"""Sub-objects that lie across a concave crease become two."""

from __future__ import annotations

import numpy as np
import pytest

from ig_ros.instances.sub_object_splitting import crease_parts
from ig_ros.types import FloatArray

RANDOM = np.random.default_rng(0)


def corner(sign: float, n: int = 100) -> tuple[FloatArray, FloatArray]:
    """Points and normals of a floor (z = 0) that meets a wall (x = 0): sign 1 in a room, -1 over a box's edge."""
    floor, wall = RANDOM.random((n, 3)) * (1, 1, 0), RANDOM.random((n, 3)) * (0, 1, sign)
    return np.concatenate([floor, wall]), np.repeat([[0.0, 0.0, 1.0], [sign, 0.0, 0.0]], n, axis=0)


def parts(xyz: FloatArray, normal: FloatArray) -> list[set[int]]:
    """Labels of the first and of the second half."""
    found = crease_parts(np.zeros(len(xyz), np.int64), xyz, normal, 6)
    return [set(half.tolist()) for half in np.split(found, 2)]


def test_half_on_the_floor_and_half_on_the_wall_is_two() -> None:
    first, second = parts(*corner(1.0))
    assert len(first) == len(second) == 1
    assert first != second


def test_the_edge_of_a_box_is_one() -> None:
    assert parts(*corner(-1.0)) == [{0}, {0}]


@pytest.mark.parametrize("inside", [True, False])
def test_what_is_round_is_one(inside: bool) -> None:
    angle, height = RANDOM.random(200) * 2 * np.pi, RANDOM.random(200)
    around = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    assert parts(around + height[:, None] * (0, 0, 1), -around if inside else around) == [{0}, {0}]


def test_points_without_a_normal_go_to_the_nearer_part() -> None:
    xyz, normal = corner(1.0)
    clear = np.flatnonzero(np.abs(xyz[:, 0] - xyz[:, 2]) > 0.5)
    normal[clear[::3]] = 0
    found = crease_parts(np.zeros(len(xyz), np.int64), xyz, normal, 6)
    assert set(found[clear[clear < 100]].tolist()) == {found[0]}
    assert set(found[clear[clear >= 100]].tolist()) == {1 - found[0]}
    assert (crease_parts(np.zeros(len(xyz), np.int64), xyz, 0 * normal, 6) == 0).all(), "no normal, no crease"


def test_few_points_across_the_crease_are_no_part() -> None:
    xyz, normal = corner(1.0)
    some = np.arange(105)
    assert (crease_parts(np.zeros(105, np.int64), xyz[some], normal[some], 6) == 0).all()


def test_others_keep_their_points_and_each_is_looked_at_alone() -> None:
    xyz, normal = corner(1.0)
    both_xyz, both = np.concatenate([xyz, xyz + 5.0]), np.concatenate([normal, normal])
    labels = np.repeat([0, 1], len(xyz))
    found = crease_parts(labels, both_xyz, both, 6)
    alone = crease_parts(np.zeros(len(xyz), np.int64), xyz, normal, 6)
    assert len(set(found.tolist())) == 4
    for half in np.split(found, 2):
        assert len(set(zip(half.tolist(), alone.tolist(), strict=True))) == 2

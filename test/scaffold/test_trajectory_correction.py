"""Corrections of past poses: exact at the corrected stamps, blended between, nothing where nothing changed."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import planar_pose as pose

from ig_ros.geometry import inverse, rotation_angle
from ig_ros.scaffold.pose_correction import Correction, Trajectory
from ig_ros.types import FloatArray

SECOND = 1_000_000_000


def straight(seconds: int, rate: int = 10) -> tuple[Trajectory, dict[int, FloatArray]]:
    """1 m/s along x, far from the origin, where rotations reach furthest."""
    poses = {i * SECOND // rate: pose(20 + i / rate) for i in range(seconds * rate + 1)}
    trajectory = Trajectory(max_gap=0.5)
    for stamp, T in poses.items():
        trajectory.add(stamp, T)
    return trajectory, poses


def corrected(trajectory: Trajectory, path: dict[int, FloatArray]) -> Correction:
    """The correction by a path, believed."""
    correction = trajectory.compare(path)
    trajectory.take(correction)
    return correction


def test_a_path_moves_its_own_stamps_exactly_and_blends_between() -> None:
    trajectory, poses = straight(4)
    path = {0: poses[0], 4 * SECOND: pose(24, 0.4, 0.2)}
    moved = corrected(trajectory, path).apply(poses)
    np.testing.assert_allclose(moved[4 * SECOND], path[4 * SECOND], atol=1e-9)
    assert 0 not in moved
    middle = moved[2 * SECOND]
    assert rotation_angle(middle, np.eye(4)) == pytest.approx(0.1)
    assert 0 < middle[1, 3] < 0.4
    steps = np.diff([moved.get(s, T)[:3, 3] for s, T in poses.items()], axis=0)
    assert np.linalg.norm(steps, axis=1).max() < 0.3, "no tear in the trajectory"


def test_the_same_path_again_moves_nothing() -> None:
    trajectory, poses = straight(3)
    path = {s: pose(0.1, 0.3, 0.1) @ T for s, T in list(poses.items())[::7]}
    moved = corrected(trajectory, path).apply(poses)
    assert len(moved) == len(poses), "before the first and after the last stamp the nearest motion holds"
    correction = trajectory.compare(path)
    assert correction.apply(poses | moved) == {}
    assert not trajectory.take(correction)
    assert trajectory.take(trajectory.compare({s: pose(1.0) @ T for s, T in path.items()}))


def test_stamps_between_frames_are_interpolated_and_unknown_ones_left_out() -> None:
    trajectory, _ = straight(2)
    shift = pose(0.0, 0.5)
    path = {SECOND + SECOND // 20: shift @ pose(21.05), 99 * SECOND: pose(0), -SECOND: pose(0)}
    correction = corrected(trajectory, path)
    assert list(correction.stamps) == [SECOND + SECOND // 20]
    np.testing.assert_allclose(correction.motions[0], shift, atol=1e-9)
    assert len(Trajectory(0.5).compare(path).stamps) == 0


def test_what_matters_later_is_the_end_of_a_correction() -> None:
    trajectory, poses = straight(4)
    correction = trajectory.compare({0: poses[0], 2 * SECOND: pose(22, 0.4), 4 * SECOND: pose(24, 0.8)})
    late = {s: T for s, T in poses.items() if s >= 3 * SECOND}
    rest = correction.after(3 * SECOND)
    assert list(rest.stamps) == [2 * SECOND, 4 * SECOND]
    for stamp, T in correction.apply(late).items():
        np.testing.assert_allclose(rest.apply(late)[stamp], T, atol=1e-12)
    assert list(correction.after(-SECOND).stamps) == list(correction.stamps)
    assert list(correction.after(9 * SECOND).stamps) == [4 * SECOND]


def test_the_memory_is_bounded_and_keeps_the_newest_dense() -> None:
    trajectory = Trajectory(max_gap=0.5, capacity=100)
    for i in range(1000):
        trajectory.add(i * SECOND // 10, pose(i / 10))
    assert len(trajectory) <= 101
    motion = corrected(trajectory, {90 * SECOND: pose(90, 1)}).motions[0]
    np.testing.assert_allclose(motion, pose(90, 1) @ inverse(pose(90)), atol=1e-9)

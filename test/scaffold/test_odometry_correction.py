"""A jump of the odometry frame in the map moves what came before it to where it belongs, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import planar_pose as pose

from ig_ros.scaffold.pose_correction import Odometry
from ig_ros.types import FloatArray

SECOND = 1_000_000_000


def drive(odometry: Odometry, begin: float, end: float, T_map_odom: FloatArray) -> dict[int, FloatArray]:
    """1 m/s along x, far from the origin, at 10 Hz from `begin` to before `end` (s); the poses in the map by stamp."""
    poses = {}
    for i in range(round(begin * 10), round(end * 10)):
        poses[i * SECOND // 10] = T_map_odom @ pose(20 + i / 10)
        odometry.add(i * SECOND // 10, poses[i * SECOND // 10], T_map_odom, T_map_odom)
    return poses


def test_a_jump_is_spread_over_the_time_since_the_last_one() -> None:
    odometry = Odometry()
    poses = drive(odometry, 0, 2.1, pose(0))
    assert odometry.jump(pose(0, 0.5)).apply(poses)
    later = drive(odometry, 2.1, 4.1, pose(0, 0.5))
    moved = odometry.jump(pose(0, 1.5)).apply(poses | later)
    assert min(moved) > 2 * SECOND
    assert moved[3 * SECOND][1, 3] == pytest.approx(0.5 + 0.5)
    assert moved[4 * SECOND][1, 3] == pytest.approx(1.5)
    assert not len(odometry.jump(pose(0, 1.5)).stamps)


def test_frames_of_after_the_jump_stay_and_the_last_one_before_it_moves_in_full() -> None:
    odometry = Odometry()
    new = pose(0.3, 1.0, 0.1)
    before, after = drive(odometry, 0, 2, pose(0)), drive(odometry, 2, 2.4, new)
    moved = odometry.jump(new).apply(before | after)
    assert not set(moved) & set(after)
    last = max(before)
    np.testing.assert_allclose(moved[last], new @ before[last], atol=1e-9)
    np.testing.assert_allclose(moved[SECOND][:3, 3], 0.5 * _sum(before[SECOND], new @ before[SECOND], last), atol=0.1)


def _sum(old: FloatArray, new: FloatArray, last: int) -> FloatArray:
    """Twice the place between two poses (4, 4) that the middle of the way to `last` (ns) takes."""
    share = SECOND / last
    both: FloatArray = 2 * ((1 - share) * old[:3, 3] + share * new[:3, 3])
    return both


def test_two_jumps_between_two_looks() -> None:
    odometry = Odometry()
    poses = drive(odometry, 0, 2, pose(0)) | drive(odometry, 2, 2.2, pose(0, 0.3))
    poses |= drive(odometry, 2.2, 2.4, pose(0, 1.0))
    after = poses | odometry.jump(pose(0, 1.0)).apply(poses)
    assert after[21 * SECOND // 10][1, 3] == pytest.approx(1.0)
    assert after[19 * SECOND // 10][1, 3] == pytest.approx(1.0, abs=0.1)
    assert after[23 * SECOND // 10][1, 3] == pytest.approx(1.0)


def test_a_frame_that_waited_through_the_jump_is_brought_up_to_date_once() -> None:
    odometry = Odometry()
    drive(odometry, 0, 2, pose(0))
    new = pose(0, 1.0)
    np.testing.assert_allclose(odometry.add(2 * SECOND, pose(22), pose(0), new), pose(22, 1.0), atol=1e-12)
    assert 2 * SECOND not in odometry.jump(new).apply({2 * SECOND: pose(22, 1.0)})


def test_a_correction_that_creeps_moves_nothing() -> None:
    """The odometry drifts and the map makes it good at once: each frame was right when it came."""
    odometry = Odometry()
    poses: dict[int, FloatArray] = {}
    for i in range(100):
        poses |= drive(odometry, i / 10, (i + 1) / 10, pose(0, 0.002 * i))
        assert not odometry.jump(pose(0, 0.002 * i)).apply(poses)


def test_the_memory_is_bounded_and_can_be_emptied() -> None:
    odometry = Odometry(capacity=50)
    drive(odometry, 0, 100, pose(0))
    assert len(odometry) <= 51
    odometry.clear()
    assert not len(odometry)
    assert not len(odometry.jump(pose(0, 1.0)).stamps)

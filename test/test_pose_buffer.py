"""Poses at image stamps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ig_ros.geometry import T_BODY_OPTICAL
from ig_ros.pose_buffer import PoseBuffer

SECOND = 1_000_000_000


def at(x: float) -> np.ndarray:
    T = np.eye(4)
    T[0, 3] = x
    return T


@given(st.permutations(range(8)), st.floats(0, 6.99))
def test_order_of_arrival_does_not_matter(order: list[int], seconds: float) -> None:
    buffer = PoseBuffer(max_gap=1.0)
    for k in order:
        buffer.add(k * SECOND, at(k))
    answer = buffer.at(int(seconds * SECOND))
    assert answer.T_world_camera[0, 3] == pytest.approx(seconds, abs=2e-3)


def test_gaps_early_and_late_images() -> None:
    buffer = PoseBuffer(max_gap=0.5)
    assert buffer.at(0).may_come
    buffer.add(10 * SECOND, at(0))
    buffer.add(11 * SECOND, at(1))
    late, early, gap = buffer.at(12 * SECOND), buffer.at(9 * SECOND), buffer.at(10 * SECOND + SECOND // 2)
    assert late.may_come
    assert late.cause == "no_pose"
    assert "1.00 s older" in late.message
    assert not early.may_come
    assert (gap.cause, gap.may_come) == ("pose_gap", False)
    assert buffer.at(11 * SECOND + 500_000).T_world_camera[0, 3] == 1


def test_after_a_leap_of_the_clock_the_pose_of_an_image_is_waited_for() -> None:
    buffer = PoseBuffer(max_gap=0.5)
    for seconds in (10, 1010, 11):
        buffer.add(seconds * SECOND, at(seconds))
    assert buffer.at(11 * SECOND + SECOND // 10).may_come
    assert not buffer.at(10 * SECOND + SECOND // 2).may_come
    buffer.add(11 * SECOND + SECOND // 5, at(11.2))
    assert buffer.at(11 * SECOND + SECOND // 10).T_world_camera[0, 3] == pytest.approx(11.1)


def test_capacity_drops_the_first_received_even_after_a_clock_restart() -> None:
    buffer = PoseBuffer(max_gap=1.0, capacity=3)
    for stamp in (100, 101, 102, 0, 1):
        buffer.add(stamp * SECOND, at(stamp))
    assert len(buffer) == 3
    assert buffer.at(SECOND // 2).T_world_camera[0, 3] == pytest.approx(0.5)


def test_a_body_looking_forward_sees_forward() -> None:
    np.testing.assert_array_equal(T_BODY_OPTICAL @ [0, 0, 1, 1], [1, 0, 0, 1])  # the optical z axis is the body's x
    np.testing.assert_array_equal(T_BODY_OPTICAL @ [0, 1, 0, 1], [0, 0, -1, 1])  # image down is the body's -z


def test_after_a_restart_only_the_poses_of_the_new_pass_are_left() -> None:
    buffer = PoseBuffer(max_gap=0.5)
    for tenth in range(100):
        buffer.add(tenth * SECOND // 10, at(0.0))
    for tenth in range(6):  # out of order, as bursts of an odometry come
        buffer.add((tenth ^ 1) * SECOND // 10 + 1, at(5.0))
    buffer.restart(5 * SECOND)
    assert len(buffer) == 6
    assert buffer.at(SECOND // 4).T_world_camera[0, 3] == 5.0
    assert buffer.at(3 * SECOND).T_world_camera is None
    buffer.restart(5 * SECOND)
    assert len(buffer) == 6, "once is enough"

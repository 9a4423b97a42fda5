"""Corrections reach the keyframes of a real mapper once and in full: tf that jumps, and paths behind a busy trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from helpers import orbit, small_config
from nav_msgs.msg import Path
from nodes.running import until

from ig_ros.config import NodeConfig
from ig_ros.errors import FrameError
from ig_ros.live import LiveMapper
from ig_ros.nodes.conversions import header, pose_message
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.pose_corrections import PoseCorrections
from ig_ros.types import FloatArray, Frame

TENTH = 100_000_000  # ns


def shift(y: float) -> FloatArray:
    T = np.eye(4)
    T[1, 3] = y
    return T


class Tf:
    """tf of a SLAM system whose odometry frame jumps: T_map_odom from some stamps (ns) on."""

    def __init__(self) -> None:
        self.history: list[tuple[int, FloatArray]] = [(-1, shift(0.0))]

    def matrix(self, target: str, source: str, stamp: int | None) -> FloatArray:
        """T_map_odom at a stamp, or the newest."""
        if (target, source) != ("map", "odom"):
            raise FrameError("no_transform", "nobody knows")
        return next(T for begin, T in reversed(self.history) if stamp is None or begin <= stamp)


class Slam:
    """A node's corrections in front of a real mapper, and a camera whose frames carry the poses of the moment."""

    def __init__(self, node: Any, tf: Tf | None) -> None:
        config = small_config(keyframes__min_translation=0.0, keyframes__new_area=0.0)
        self.live, self.tf = LiveMapper(config), tf
        self.problems = Problems(print)
        self.corrections = PoseCorrections(
            node, NodeConfig(pose_source="tf" if tf else "pose"), self.live, self.problems, tf, [lambda _: np.eye(4)]
        )
        self.node = node
        self.frames = orbit(20)
        self.sent: dict[int, FloatArray] = {}  # stamp -> T_odom_camera

    def frame(self, i: int) -> Frame:
        """The i-th frame, with the pose that tf gives it now."""
        frame = self.frames[i]
        T = frame.T_world_camera if self.tf is None else self.tf.matrix("map", "odom", None) @ frame.T_world_camera
        return dataclasses.replace(frame, T_world_camera=T)

    def send(self, *frames: Frame) -> None:
        """Hand over frames one by one, as fast as a running mapper takes them."""
        for frame in frames:
            known = len(self.live.keyframe_poses())
            self.corrections.submit(frame)
            assert until(lambda known=known: len(self.live.keyframe_poses()) > known), self.live.stats()

    def shifts(self) -> dict[int, float]:
        """How far each keyframe stands from its place in the odometry, m along y, by the number of its frame."""
        poses = self.live.keyframe_poses()
        return {stamp // TENTH: float((T - self.frames[stamp // TENTH].T_world_camera)[1, 3]) for stamp, T in
                poses.items()}  # fmt: skip

    def look(self) -> None:
        """The node looks at tf, and the trainer obeys."""
        self.corrections._look_soon()
        assert until(lambda: not len(self.corrections._worker))
        self.settle()

    def settle(self) -> None:
        """Wait until whatever the trainer has been told is done."""
        self.live.instantiate().result(30)


@pytest.fixture
def slam(context: object) -> Iterator[Any]:
    made: list[Slam] = []

    def make(tf: Tf | None) -> Slam:
        node = rclpy.create_node("corrections", context=context)
        made.append(Slam(node, tf))
        return made[-1]

    yield make
    for each in made:
        each.live.stop()
        each.corrections.stop()
        each.node.destroy_node()


def test_a_jump_of_tf_moves_the_past_and_not_what_came_after_it(slam: Any) -> None:
    tf = Tf()
    s = slam(tf)
    s.live.start()
    s.send(*(s.frame(i) for i in range(11)))
    tf.history.append((11 * TENTH, shift(1.0)))
    s.send(*(s.frame(i) for i in range(11, 15)))  # before the next look
    s.look()
    assert until(lambda: s.shifts()[10] > 0.5), s.shifts()
    shifts = s.shifts()
    for after in range(11, 15):
        assert shifts[after] == pytest.approx(1.0, abs=1e-6)
    assert shifts[10] == pytest.approx(1.0, abs=1e-6)
    assert shifts[0] == pytest.approx(0.0, abs=1e-6)
    assert list(shifts.values()) == sorted(shifts.values())
    s.look()
    assert s.shifts() == shifts, "once"


def test_a_jump_while_frames_wait_for_the_trainer(slam: Any) -> None:
    tf = Tf()
    s = slam(tf)
    for i in range(3):
        s.corrections.submit(s.frame(i))
    decoding = s.frame(3)  # its pose is of before the jump, its turn comes after it
    tf.history.append((4 * TENTH, shift(1.0)))
    s.corrections.submit(s.frame(4))
    s.corrections._look_at_tf()
    s.corrections.submit(decoding)
    s.corrections.submit(s.frame(5))
    s.live.start()
    assert until(lambda: len(s.live.keyframe_poses()) == 6), s.live.stats()
    assert s.shifts() == pytest.approx({0: 0.0, 1: 0.5, 2: 1.0, 3: 1.0, 4: 1.0, 5: 1.0}, abs=1e-6)


def test_paths_behind_a_busy_trainer_add_up(slam: Any) -> None:
    s = slam(None)
    s.live.start()
    s.send(*(s.frame(i) for i in range(8)))
    s.live.pause()
    gate: list[float] = []
    busy = s.live._on_trainer(lambda: until(lambda: gate, seconds=30.0))
    for y in (0.5, 0.6):
        poses = [PoseStamped(header=header(i * TENTH, "map"), pose=pose_message(shift(y) @ s.frame(i).T_world_camera))
                 for i in range(8)]  # fmt: skip
        s.corrections._on_path(Path(header=header(0, "map"), poses=poses))
        assert until(lambda: not len(s.corrections._worker))
    s.corrections.stop()  # both have been read
    gate.append(1.0)
    assert busy.result(30)
    s.settle()
    assert s.shifts() == pytest.approx(dict.fromkeys(range(8), 0.6), abs=1e-6)
    assert s.problems.counts() == {}


def test_a_path_that_waits_does_not_give_way_to_a_look(slam: Any) -> None:
    s = slam(Tf())
    hold: list[int] = []
    s.corrections._worker.put(lambda: until(lambda: hold))
    assert until(lambda: not len(s.corrections._worker))
    s.corrections._on_path(Path(header=header(0, "map"), poses=[PoseStamped(header=header(5, "map"))]))
    s.corrections._look_soon()
    hold.append(1)
    assert until(lambda: "pose_graph_stamps" in s.problems.counts() or "bad_pose" in s.problems.counts())
    assert "pose_graph_replaced" not in s.problems.counts()

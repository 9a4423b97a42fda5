"""Corrections reach the keyframes of a real mapper once and in full: tf that jumps, and paths behind a busy trainer."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from helpers import orbit, small_config
from nav_msgs.msg import Path
from nodes.running import until
from rclpy.executors import SingleThreadedExecutor

from ig_ros.config import NodeConfig
from ig_ros.errors import FrameError
from ig_ros.live import LiveMapper
from ig_ros.mapper import Mapper
from ig_ros.nodes.conversions import header, pose_message
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.pose_corrections import PERIOD, PoseCorrections
from ig_ros.scaffold.pose_correction import Correction
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
        self.asked, self.answers = 0, threading.Event()
        self.answers.set()

    def matrix(self, target: str, source: str, stamp: int | None) -> FloatArray:
        """T_map_odom at a stamp, or the newest."""
        self.asked += 1
        assert self.answers.wait(30.0)
        if (target, source) != ("map", "odom"):
            raise FrameError("no_pose", "nobody knows")
        return next(T for begin, T in reversed(self.history) if stamp is None or begin <= stamp)


class BusyMapper(Mapper):
    """Its steps last until it is let go."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.free = threading.Event()
        self.free.set()
        self.held = False

    def train_step(self) -> Any:
        self.held = not self.free.is_set()
        assert self.free.wait(30.0)
        return super().train_step()


class Slam:
    """A node's corrections in front of a real mapper, and a camera whose frames carry the poses of the moment."""

    def __init__(self, context: object, tf: Tf | None) -> None:
        config = small_config(keyframes__min_translation=0.0, keyframes__new_area=0.0)
        self.mapper = BusyMapper(config)
        self.live, self.tf, self.problems = LiveMapper(config, self.mapper), tf, Problems(print)
        self.node = rclpy.create_node("corrections", context=context)
        self.paths = self.node.create_publisher(Path, "pose_graph", 1)
        self.corrections = PoseCorrections(
            self.node, NodeConfig(pose_source="tf" if tf else "pose"), self.live, self.problems, tf,
            [lambda _: np.eye(4)],
        )  # fmt: skip
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self._thread = threading.Thread(target=self.executor.spin, daemon=True)
        self._thread.start()
        self.frames = orbit(20)

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

    def publish(self, y: float, frames: int) -> None:
        """A path that has shifted the first frames by so much."""
        T = {i * TENTH: shift(y) @ self.frame(i).T_world_camera for i in range(frames)}
        poses = [PoseStamped(header=header(stamp, "map"), pose=pose_message(T[stamp])) for stamp in T]
        self.paths.publish(Path(header=header(0, "map"), poses=poses))

    def follows(self, y: float, i: int) -> Callable[[], bool]:
        """Whether the i-th frame is known to stand so far from its place by now."""
        history, T = self.corrections.history, self.frames[i].T_world_camera
        return lambda: abs((history.at("", i * TENTH) - T)[1, 3] - y) < 1e-6

    def looks(self) -> None:
        """Wait until the node has looked at tf twice more, and the trainer has obeyed."""
        asked = self.tf.asked
        assert until(lambda: self.tf.asked >= asked + 2)
        self.settle()

    def settle(self) -> None:
        """Wait until the trainer has done what it has been told."""
        self.live.correct_poses(Correction(np.zeros(0, np.int64), np.zeros((0, 4, 4)))).result(30)

    def close(self) -> None:
        self.mapper.free.set()
        self.live.stop()
        self.executor.shutdown(2.0)
        self._thread.join(5.0)
        self.corrections.stop()
        self.node.destroy_node()


@pytest.fixture
def slam(context: object) -> Iterator[Any]:
    made: list[Slam] = []

    def make(tf: Tf | None) -> Slam:
        made.append(Slam(context, tf))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_jump_of_tf_moves_the_past_and_not_what_came_after_it(slam: Any) -> None:
    tf = Tf()
    s = slam(tf)
    s.live.start()
    s.send(*(s.frame(i) for i in range(11)))
    tf.history.append((11 * TENTH, shift(1.0)))
    s.send(*(s.frame(i) for i in range(11, 15)))
    assert until(lambda: s.shifts()[10] > 0.5), s.shifts()
    shifts = s.shifts()
    for after in range(11, 15):
        assert shifts[after] == pytest.approx(1.0, abs=1e-6)
    assert shifts[10] == pytest.approx(1.0, abs=1e-6)
    assert shifts[0] == pytest.approx(0.0, abs=1e-6)
    assert list(shifts.values()) == sorted(shifts.values())
    s.looks()
    assert s.shifts() == shifts, "once"


def test_a_jump_while_frames_wait_for_the_trainer(slam: Any) -> None:
    tf = Tf()
    s = slam(tf)
    for i in range(3):
        s.corrections.submit(s.frame(i))
    decoding = s.frame(3)  # its pose is of before the jump, its turn comes after it
    tf.history.append((4 * TENTH, shift(1.0)))
    s.corrections.submit(s.frame(4))
    assert until(s.follows(1.0, 2)), "the node has looked at tf"
    s.corrections.submit(decoding)
    s.corrections.submit(s.frame(5))
    s.live.start()
    assert until(lambda: len(s.live.keyframe_poses()) == 6), s.live.stats()
    assert s.shifts() == pytest.approx({0: 0.0, 1: 0.5, 2: 1.0, 3: 1.0, 4: 1.0, 5: 1.0}, abs=1e-6)


def test_paths_behind_a_busy_trainer_add_up(slam: Any) -> None:
    s = slam(None)
    s.live.start()
    s.send(*(s.frame(i) for i in range(8)))
    s.mapper.free.clear()
    assert until(lambda: s.mapper.held)
    for y in (0.5, 0.6):
        s.publish(y, 8)
        assert until(s.follows(y, 7))
    assert set(s.shifts().values()) == {0.0}, "the trainer is in the middle of a step"
    s.mapper.free.set()
    s.settle()
    assert s.shifts() == pytest.approx(dict.fromkeys(range(8), 0.6), abs=1e-6)
    assert s.problems.counts() == {}


def test_a_path_that_waits_does_not_give_way_to_a_look(slam: Any) -> None:
    tf = Tf()
    s = slam(tf)
    s.corrections.submit(s.frame(0))
    tf.answers.clear()
    asked = tf.asked
    assert until(lambda: tf.asked > asked), "a look is held up, so the path must wait"
    stranger = PoseStamped(header=header(3 * TENTH, "map"), pose=pose_message(np.eye(4)))
    s.paths.publish(Path(header=header(0, "map"), poses=[stranger]))
    threading.Event().wait(3 * PERIOD)  # time for other looks
    tf.answers.set()
    assert until(lambda: s.problems.counts() == {"pose_graph_stamps": 1}), s.problems.counts()

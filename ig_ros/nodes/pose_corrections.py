"""Corrections of past poses: `pose_graph` (nav_msgs/Path), or with tf a jump of the odometry frame in the map."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from nav_msgs.msg import Path
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from ig_ros.config import NodeConfig
from ig_ros.errors import FrameError
from ig_ros.message_decoding import matrix_from_pose, nanoseconds
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.executor import Worker, steady_clock
from ig_ros.nodes.message_checks import MessageLimits
from ig_ros.nodes.topics import KINDS
from ig_ros.nodes.transforms import TfLookup
from ig_ros.scaffold.pose_correction import Correction, Odometry, Trajectory
from ig_ros.types import FloatArray, Frame

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper

FULL = ("pose_graph_replaced", "a newer pose_graph came before the older one was read: publish it less often")
QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)  # only the newest path counts
PERIOD = 0.5  # s between looks at tf


class PoseCorrections:
    """Compares corrected poses with those that frames came with, and tells the mapper how they moved.

    All frames pass here on their way to the mapper, so that each is known to come before or after a correction.
    """

    def __init__(
        self, node: Node, config: NodeConfig, mapper: LiveMapper, problems: Problems, tf: TfLookup,
        mountings: Sequence[Callable[[int], FloatArray]],
    ) -> None:  # fmt: skip
        """`mountings` give for each camera T_pose_camera (4, 4) at a stamp (ns) of the poses in its pose_graph."""
        self._mountings = dict(zip(config.cameras, mountings, strict=True))
        self._config, self._mapper, self._problems, self._tf = config, mapper, problems, tf
        self._guard = MessageLimits(config.limits)
        self._trajectories = {name: Trajectory(config.pose_max_gap) for name in config.cameras}
        self._odometry = Odometry()
        self._lock = threading.Lock()  # around both, and around what the mapper is told
        named = [camera for camera in config.cameras if camera]
        self._worker = Worker("pose_graph", 1, problems, FULL)
        self._own_workers = {name: Worker(f"pose_graph_{name}", 1, problems, FULL) for name in named}
        group = MutuallyExclusiveCallbackGroup()
        node.create_subscription(KINDS["pose_graph"], "pose_graph", self._on_path, QOS, callback_group=group)
        for name in named:  # of a robot of its own
            own = functools.partial(self._on_path, camera=name)
            node.create_subscription(KINDS["pose_graph"], f"{name}/pose_graph", own, QOS, callback_group=group)
        on_tf = [n for place, n in enumerate(config.cameras) if config.each.source(place, config.pose_source) == "tf"]
        self._on_tf = frozenset(on_tf if config.odom_frame else ())
        if self._on_tf:
            node.create_timer(PERIOD, self._look_soon, group, clock=steady_clock())

    def stop(self) -> None:
        """End the threads."""
        for worker in (self._worker, *self._own_workers.values()):
            worker.stop()

    def submit(self, frame: Frame) -> Frame:
        """Hand a frame to the mapper, with the pose it has by now: returned."""
        place = self._config.cameras.index(frame.source)
        with self._lock:
            stamp = frame.stamp - place  # the builder has shifted it by so much
            pair = self._odom_at(stamp) if frame.source in self._on_tf else None
            if pair is not None:
                T = self._odometry.add(frame.stamp, frame.T_world_camera, *pair)
                frame = dataclasses.replace(frame, T_world_camera=T)
            self._trajectories[frame.source].add(frame.stamp, frame.T_world_camera)
            self._mapper.submit(frame)
        return frame

    def pose_at(self, camera: str, stamp: int | None) -> FloatArray | None:
        """The pose (4, 4) by now of a camera at a stamp (ns), None = of its newest image; None = it is not known."""
        with self._lock:
            return self._trajectories[camera].at(stamp)

    def forget(self) -> None:
        """The map was emptied or replaced."""
        with self._lock:
            for trajectory in self._trajectories.values():
                trajectory.clear()
            self._odometry.clear()

    def _odom_at(self, stamp: int) -> tuple[FloatArray, FloatArray] | None:
        """T_map_odom at a stamp (ns) and now, both (4, 4); None where tf does not know."""
        map_frame, odom_frame = self._config.map_frame, self._config.odom_frame
        try:
            return self._tf.matrix(map_frame, odom_frame, stamp), self._tf.matrix(map_frame, odom_frame, None)
        except FrameError:
            return None  # a SLAM system may do without an odometry frame: then there is none to jump

    def _on_path(self, message: Path, camera: str | None = None) -> None:
        frame, map_frame = message.header.frame_id, self._config.map_frame
        try:
            if frame not in ("", map_frame):
                raise FrameError("pose_graph_frame", f"pose_graph is in '{frame[:60]}': publish it in '{map_frame}'")
            self._guard.path(message)
        except FrameError as error:
            self._problems.add_error(error)
            return
        worker = self._worker if camera is None else self._own_workers[camera]
        worker.put(lambda: self._correct(message, camera))

    def _correct(self, message: Path, camera: str | None = None) -> None:
        """A path corrects its camera, or that of the first camera all, which are then of one robot."""
        name = self._config.cameras[0] if camera is None else camera
        path = {nanoseconds(p.header.stamp): matrix_from_pose(p) for p in message.poses}
        path = {stamp: T @ self._mountings[name](stamp) for stamp, T in path.items()}
        with self._lock:
            correction = self._trajectories[name].compare(path)
            if camera is not None:
                correction = dataclasses.replace(correction, sources=frozenset({camera}))
            if self._take(correction):
                self._tell(correction)
        if path and not len(correction.stamps):
            raise FrameError(
                "pose_graph_stamps",
                "no pose of the pose_graph has the stamp of an image: publish its keyframes' stamps",
            )

    def _look_soon(self) -> None:
        if not len(self._worker):  # a path that waits must not give way to a look
            self._worker.put(self._look_at_tf)

    def _look_at_tf(self) -> None:
        with self._lock:
            try:
                T = self._tf.matrix(self._config.map_frame, self._config.odom_frame, None)
            except FrameError:
                return  # as in _odom_at
            correction = dataclasses.replace(self._odometry.jump(T), sources=self._on_tf)
            self._take(correction)
            if len(correction.stamps):
                self._tell(correction)

    def _take(self, correction: Correction) -> bool:
        moved = [path.take(correction) for name, path in self._trajectories.items() if correction.concerns(name)]
        return any(moved)

    def _tell(self, correction: Correction) -> None:
        self._mapper.correct_poses(correction).add_done_callback(self._report)

    def _report(self, moved: Future[int]) -> None:
        error = moved.exception()
        if error is not None:
            self._problems.add(error.cause if isinstance(error, FrameError) else "internal", str(error))

"""Corrections of past poses: `pose_graph` (nav_msgs/Path), or with tf a jump of the odometry frame in the map."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np
from nav_msgs.msg import Path
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from ig_ros.config import NodeConfig
from ig_ros.errors import FrameError
from ig_ros.geometry import inverse, rotation_angle
from ig_ros.nodes.conversions import matrix_from_pose, nanoseconds
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.guards import Guard
from ig_ros.nodes.pose_buffer import T_BODY_OPTICAL, TfLookup
from ig_ros.nodes.worker import Worker
from ig_ros.trajectory import Correction, Trajectory
from ig_ros.types import FloatArray, Frame

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper

FULL = ("pose_graph_replaced", "a newer pose_graph came before the older one was read: publish it less often")
QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)  # only the newest path counts
PERIOD = 0.5  # s between looks at tf
JUMP = 0.02  # m, or ...
TURN = np.radians(0.5)  # ... of the odometry frame in the map: less is noise


class PoseCorrections:
    """Compares corrected poses with those that frames came with, and tells the mapper which keyframes moved."""

    def __init__(
        self, node: Node, config: NodeConfig, mapper: LiveMapper, problems: Problems, tf: TfLookup | None
    ) -> None:
        self._config, self._mapper, self._problems, self._tf = config, mapper, problems, tf
        self._guard = Guard(config.limits)
        self._trajectory = Trajectory(config.pose_max_gap)
        self._lock = threading.Lock()  # around the trajectory
        self._worker = Worker("pose_graph", 1, problems, FULL)
        self._odom: FloatArray | None = None  # T_map_odom at the last correction ...
        self._corrected = 0  # ... and the newest frame's stamp then
        self._newest = 0
        self.stop = self._worker.stop
        group = MutuallyExclusiveCallbackGroup()
        node.create_subscription(Path, "pose_graph", self._on_path, QOS, callback_group=group)
        if tf is not None and config.odom_frame:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            node.create_timer(PERIOD, lambda: self._worker.put(self._look_at_tf), group, clock=steady)

    def note(self, frame: Frame) -> None:
        """A frame goes to the mapper with this pose; the first camera's are those a pose_graph is compared with."""
        if frame.source == self._config.cameras[0]:
            with self._lock:
                self._trajectory.note(frame.stamp, frame.T_world_camera)
                self._newest = frame.stamp

    def forget(self) -> None:
        """The map was emptied or replaced."""
        with self._lock:
            self._trajectory.clear()
            self._odom = None

    def _on_path(self, message: Path) -> None:
        frame, map_frame = message.header.frame_id, self._config.map_frame
        try:
            if frame not in ("", map_frame):
                raise FrameError("pose_graph_frame", f"pose_graph is in '{frame[:60]}': publish it in '{map_frame}'")
            self._guard.path(message)
        except FrameError as error:
            self._problems.add_error(error)
            return
        self._worker.put(lambda: self._correct(message))

    def _correct(self, message: Path) -> None:
        path = {nanoseconds(p.header.stamp): matrix_from_pose(p.pose) for p in message.poses}
        if not self._config.pose_is_optical:
            path = {stamp: T @ T_BODY_OPTICAL for stamp, T in path.items()}
        with self._lock:
            correction = self._trajectory.correct(path)
        if path and not len(correction.stamps):
            raise FrameError(
                "pose_graph_stamps",
                "no pose of the pose_graph has the stamp of an image: publish its keyframes' stamps",
            )
        self._tell(correction)

    def _look_at_tf(self) -> None:
        assert self._tf is not None
        try:
            T = self._tf.matrix(self._config.map_frame, self._config.odom_frame, None)
        except FrameError:
            return  # a SLAM system may do without an odometry frame: then there is none to jump
        with self._lock:
            if self._odom is None:
                self._odom, self._corrected = T, self._newest
                return
            motion = T @ inverse(self._odom)
            if np.linalg.norm(motion[:3, 3]) < JUMP and rotation_angle(T, self._odom) < TURN:
                return
            correction = self._trajectory.jump(motion, self._corrected)
            self._odom, self._corrected = T, self._newest
        self._tell(correction)

    def _tell(self, correction: Correction) -> None:
        poses = correction.apply(self._mapper.keyframe_poses())
        if poses:
            self._mapper.correct_poses(poses).add_done_callback(self._report)

    def _report(self, moved: Future[int]) -> None:
        error = moved.exception()
        if error is not None:
            self._problems.add(error.cause if isinstance(error, FrameError) else "internal", str(error))

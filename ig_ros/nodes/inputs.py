"""Subscriptions of the mapping node: every callback converts what is small, queues what is large, and returns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from ig_ros.config import NodeConfig
from ig_ros.errors import FrameError
from ig_ros.msg import SegmentedImage
from ig_ros.nodes.clouds import sparse_points
from ig_ros.nodes.conversions import matrix_from_pose, nanoseconds
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.ingest import Calibration, FrameBuilder
from ig_ros.nodes.pose_buffer import T_BODY_OPTICAL, PoseBuffer, TfPoses
from ig_ros.nodes.synchronizer import Synchronizer, Waits
from ig_ros.types import Frame

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper

TICK = 0.05  # s between looks at images that wait
# Best effort, so that it matches every publisher; deep, because poses of an IMU rate come in bursts.
POSE_QOS = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)


class Inputs:
    """Everything the node listens to. One exclusive callback group: nothing in here needs a lock."""

    def __init__(
        self, node: Node, config: NodeConfig, mapper: LiveMapper, problems: Problems, used: Callable[[Frame], None]
    ) -> None:
        """`used` is told of every frame that goes to the mapper."""
        self._node, self._config, self._mapper, self._problems = node, config, mapper, problems
        self._calibration = Calibration()
        self._builder = FrameBuilder(self._calibration, self._submit, problems)
        self._used = used
        self._forget = threading.Event()
        self._buffer = PoseBuffer(config.pose_max_gap)
        self._tf = TfPoses(node, config.map_frame) if config.pose_source == "tf" else None
        waits = Waits(
            config.sync_tolerance, config.pose_timeout, config.depth_timeout, config.mask_timeout, config.queue_size
        )
        self.line = Synchronizer(waits, self._tf or self._buffer)
        self._group = MutuallyExclusiveCallbackGroup()
        self._subscribe()
        # A steady clock: with use_sim_time and a paused clock the line still moves when something arrives.
        node.create_timer(TICK, self._advance, self._group, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _subscribe(self) -> None:
        def listen(
            kind: type, topic: str, callback: Callable[..., None], qos: QoSProfile = qos_profile_sensor_data
        ) -> None:
            self._node.create_subscription(kind, topic, callback, qos, callback_group=self._group)

        listen(Image, "image", self._on_image)
        listen(CompressedImage, "image/compressed", self._on_image)
        listen(CameraInfo, "camera_info", self._on_camera_info)
        listen(Image, "depth", self._on_depth)
        listen(SegmentedImage, "segmented_image", self._on_masks)
        listen(PointCloud2, "map_points", self._on_map_points)
        if self._config.pose_source == "pose":
            listen(PoseStamped, "pose", self._on_pose, POSE_QOS)
        elif self._config.pose_source == "odometry":
            listen(Odometry, "odometry", self._on_pose, POSE_QOS)

    def stop(self) -> None:
        """End the decoding thread."""
        self._builder.stop()

    def forget(self) -> None:
        """Nothing that waits now belongs to the map after a reset. May be called from any thread."""
        self._forget.set()

    def _now(self) -> float:
        return float(self._node.get_clock().now().nanoseconds) / 1e9

    def _on_image(self, message: Image | CompressedImage) -> None:
        if self._tf is not None:
            self._tf.camera_frame = self._config.camera_frame or message.header.frame_id
        problem = self.line.add_image(nanoseconds(message.header.stamp), message, self._now())
        if problem is not None:
            self._problems.add(problem.cause, problem.message)
        self._advance()

    def _on_camera_info(self, message: CameraInfo) -> None:
        try:
            self._calibration.update(message)
        except FrameError as error:
            self._problems.add_error(error)
        self.line.calibrated = self._calibration.rectifier is not None

    def _on_pose(self, message: PoseStamped | Odometry) -> None:
        pose = message.pose.pose if isinstance(message, Odometry) else message.pose
        frame = message.header.frame_id
        if frame not in ("", self._config.map_frame):
            text = f"poses are in '{frame}', outputs in '{self._config.map_frame}': set map_frame to '{frame}'"
            self._problems.add("pose_frame", text)
        try:
            T = matrix_from_pose(pose)
        except FrameError as error:
            self._problems.add_error(error)
            return
        self._buffer.add(nanoseconds(message.header.stamp), T if self._config.pose_is_optical else T @ T_BODY_OPTICAL)

    def _on_depth(self, message: Image) -> None:
        self.line.add_depth(nanoseconds(message.header.stamp), message, self._now())

    def _on_masks(self, message: SegmentedImage) -> None:
        self.line.add_masks(nanoseconds(message.header.stamp), message, self._now())

    def _on_map_points(self, message: PointCloud2) -> None:
        frame, map_frame = message.header.frame_id, self._config.map_frame
        if frame not in ("", map_frame):
            self._problems.add(
                "map_points_frame", f"map_points are in '{frame}': publish them in the map frame '{map_frame}'"
            )
            return
        try:
            xyz, rgb = sparse_points(message)
        except FrameError as error:
            self._problems.add_error(error)
            return
        self._mapper.submit_points(xyz, rgb).add_done_callback(self._report_points)

    def _report_points(self, planted: Future[int]) -> None:
        error = planted.exception()
        if error is not None:
            self._problems.add(error.cause if isinstance(error, FrameError) else "internal", str(error))

    def _advance(self) -> None:
        if self._forget.is_set():
            self._forget.clear()
            self.line.clear()
        bundles, problems = self.line.advance(self._now())
        for problem in problems:
            self._problems.add(problem.cause, problem.message)
        for bundle in bundles:
            self._builder.put(bundle)

    def _submit(self, frame: Frame) -> None:
        self._mapper.submit(frame)
        self._used(frame)

"""Everything the mapping node listens to: its cameras, sparse points, and corrections of past poses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2

from ig_ros.config import NodeConfig
from ig_ros.errors import ConfigError, FrameError
from ig_ros.nodes.camera_input import CameraInput
from ig_ros.nodes.clouds import sparse_points
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.guards import Guard
from ig_ros.nodes.pose_buffer import TfLookup
from ig_ros.nodes.pose_corrections import PoseCorrections
from ig_ros.nodes.timing import Delays
from ig_ros.nodes.topics import KINDS
from ig_ros.nodes.worker import Worker
from ig_ros.rectification import Rectifier
from ig_ros.types import FloatArray, Frame, Masks

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper

CLOUDS = 4  # clouds of sparse points that wait to be converted
FULL = ("map_points_full", "map_points come faster than they are converted: publish them less often")


class Inputs:
    """Hands frames, points and corrections to the mapper while it is open."""

    def __init__(
        self, node: Node, config: NodeConfig, mapper: LiveMapper, problems: Problems, used: Callable[[Frame], None]
    ) -> None:
        """`used` is told of every frame that goes to the mapper. Raises ConfigError for equal camera names."""
        if len(set(config.cameras)) < len(config.cameras) or not config.cameras:
            raise ConfigError(f"parameter 'cameras' = {list(config.cameras)}: give every camera a name of its own")
        self._config, self._mapper, self._problems, self._used = config, mapper, problems, used
        self.open = False
        self.delays = Delays()
        self._guard = Guard(config.limits)
        config.each.check(len(config.cameras))
        sources = {config.each.source(place, config.pose_source) for place in range(len(config.cameras))}
        tf = TfLookup(node) if "tf" in sources else None
        self._cameras = [
            CameraInput(node, config, place, problems, self.delays, self._submit, self._submit_masks, tf)
            for place in range(len(config.cameras))
        ]
        self._points = Worker("map_points", CLOUDS, problems, FULL)
        self._corrections = PoseCorrections(node, config, mapper, problems, tf)
        group = MutuallyExclusiveCallbackGroup()
        listen: Any = node.create_subscription
        timed = self.delays.timed(self._on_map_points)
        listen(KINDS["map_points"], "map_points", timed, qos_profile_sensor_data, callback_group=group)

    def pose_at(self, camera: str, stamp: int | None) -> FloatArray | None:
        """T_map_camera (4, 4) of a camera at a stamp (ns) by its name, corrections included; None = not known.

        No stamp means the newest image.
        """
        return self._corrections.pose_at(camera, stamp)

    def rectifier(self, camera: str) -> Rectifier:
        """The calibration of a camera by its name. Raises FrameError while there is none to trust."""
        return self._cameras[self._config.cameras.index(camera)].rectifier

    def alone(self) -> Counter[str]:
        """Depth images and masks dropped so far because no image of their stamp came, by kind."""
        return sum((camera.alone for camera in self._cameras), Counter())

    def waiting(self) -> int:
        """Images that wait, for their companions or for a decoder."""
        return sum(len(camera) for camera in self._cameras)

    def stop(self) -> None:
        """End the threads."""
        self.open = False
        self._points.stop()
        self._corrections.stop()
        for camera in self._cameras:
            camera.stop()

    def forget(self) -> None:
        """Nothing that waits now belongs to the map after a reset. May be called from any thread."""
        for camera in self._cameras:
            camera.forget()
        self._corrections.forget()

    def _on_map_points(self, message: PointCloud2) -> None:
        frame, map_frame = message.header.frame_id, self._config.map_frame
        if frame not in ("", map_frame):
            self._problems.add(
                "map_points_frame", f"map_points are in '{frame[:60]}': publish them in the map frame '{map_frame}'"
            )
            return
        try:
            self._guard.cloud(message)
        except FrameError as error:
            self._problems.add_error(error)
            return
        self._points.put(lambda: self._plant(message))

    def _plant(self, message: PointCloud2) -> None:
        xyz, rgb = sparse_points(message)
        if self.open:
            self._mapper.submit_points(xyz, rgb).add_done_callback(self._report_points)

    def _report_points(self, planted: Future[int]) -> None:
        error = planted.exception()
        if error is not None:
            self._problems.add(error.cause if isinstance(error, FrameError) else "internal", str(error))

    def _submit(self, frame: Frame) -> None:
        if not self.open:
            return
        self._used(self._corrections.submit(frame))

    def _submit_masks(self, stamp: int, masks: Masks) -> None:
        if self.open:
            self._mapper.submit_masks(stamp, masks)

"""Corrections of past poses: `pose_graph` (nav_msgs/Path), or with tf a jump of the odometry frame in the map."""

from __future__ import annotations

import functools
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
from ig_ros.nodes.pose_sources import TfLookup
from ig_ros.nodes.topics import KINDS, topic_of
from ig_ros.scaffold.pose_correction import PoseHistory
from ig_ros.types import FloatArray, Frame

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper

FULL = ("pose_graph_replaced", "a newer pose_graph came before the older one was read: publish it less often")
QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)  # only the newest path counts
PERIOD = 0.5  # s between looks at tf


class PoseCorrections:
    """Converts what messages and tf say of past poses; frames pass here on their way to the mapper."""

    def __init__(
        self, node: Node, config: NodeConfig, mapper: LiveMapper, problems: Problems, tf: TfLookup,
        mountings: Sequence[Callable[[int], FloatArray]],
    ) -> None:  # fmt: skip
        """`mountings` give for each camera T_pose_camera (4, 4) at a stamp (ns) of the poses in its pose_graph."""
        self._mountings = dict(zip(config.cameras, mountings, strict=True))
        self._config, self._problems, self._tf = config, problems, tf
        self._guard = MessageLimits(config.limits)
        self.history = PoseHistory(config.cameras, config.pose_max_gap, mapper, self._odometry)
        self._workers: list[Worker] = []
        group = MutuallyExclusiveCallbackGroup()
        for camera in (None, *filter(None, config.cameras)):  # None: of all, as of one robot
            self._workers.append(Worker(f"pose_graph_{camera or ''}", 1, problems, FULL))
            heard = functools.partial(self._on_path, camera, self._workers[-1])
            topic = topic_of(camera or "", "pose_graph")
            node.create_subscription(KINDS["pose_graph"], topic, heard, QOS, callback_group=group)
        on_tf = [n for place, n in enumerate(config.cameras) if config.each.source(place, config.pose_source) == "tf"]
        self._on_tf = frozenset(on_tf if config.odom_frame else ())
        if self._on_tf:
            node.create_timer(PERIOD, self._look_soon, group, clock=steady_clock())

    def stop(self) -> None:
        """End the threads."""
        for worker in self._workers:
            worker.stop()

    def submit(self, frame: Frame) -> Frame:
        """Hand a frame to the mapper, with the pose it has by now: returned."""
        return self.history.submit(frame, frame.source in self._on_tf)

    def _odometry(self, stamp: int | None) -> FloatArray | None:
        """T_map_odom (4, 4) at a stamp (ns), None = now; None where tf does not know."""
        try:
            return self._tf.matrix(self._config.map_frame, self._config.odom_frame, stamp)
        except FrameError:
            return None  # a SLAM system may do without an odometry frame: then there is none to jump

    def _on_path(self, camera: str | None, worker: Worker, message: Path) -> None:
        frame, map_frame = message.header.frame_id, self._config.map_frame
        try:
            if frame not in ("", map_frame):
                raise FrameError("pose_graph_frame", f"pose_graph is in '{frame[:60]}': publish it in '{map_frame}'")
            self._guard.path(message)
        except FrameError as error:
            self._problems.add_error(error)
            return
        worker.put(lambda: self._follow(camera, message))

    def _follow(self, camera: str | None, message: Path) -> None:
        mounting = self._mountings[self._config.cameras[0] if camera is None else camera]
        path = {nanoseconds(p.header.stamp): matrix_from_pose(p) for p in message.poses}
        path = {stamp: T @ mounting(stamp) for stamp, T in path.items()}
        self._report(self.history.follow_path(path, camera))

    def _look_soon(self) -> None:
        worker = self._workers[0]
        if not len(worker):  # a path that waits must not give way to a look
            worker.put(lambda: self._report(self.history.follow_odometry(self._on_tf)))

    def _report(self, told: Future[int] | None) -> None:
        if told is not None:
            self._problems.watch(told)

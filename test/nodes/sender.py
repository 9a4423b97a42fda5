"""A camera's driver and a robot's tf as a test has them in hand, message by message."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest
from geometry_msgs.msg import TransformStamped, Vector3
from nodes import tf2_double
from nodes.running import until
from nodes.scene import small_frame
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo

from ig_ros.nodes.conversions import header, pose_message
from ig_ros.nodes.player import Player, PlayOptions
from ig_ros.types import FloatArray, Frame

SECOND = 1_000_000_000  # ns
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def with_tf2(monkeypatch: pytest.MonkeyPatch) -> None:
    """tf2_ros imports from now on."""
    monkeypatch.setitem(sys.modules, "tf2_ros", tf2_double)
    tf2_double.made.clear()


def transform_message(parent: str, child: str, T: FloatArray, stamp: int = 0) -> TransformStamped:
    """T_parent_child (4, 4) at a stamp (ns)."""
    message = TransformStamped(header=header(stamp, parent), child_frame_id=child)
    message.transform.translation = Vector3(x=float(T[0, 3]), y=float(T[1, 3]), z=float(T[2, 3]))
    message.transform.rotation = pose_message(T).orientation
    return message


class Sender:
    """Publishes parts of a small frame; stamps are the test's own, from `begin` on."""

    def __init__(
        self, context: object, frame_id: str = "camera", masks: bool = False, arguments: list[str] | None = None
    ) -> None:
        self.player = Player(PlayOptions(frame_id=frame_id, masks=masks), context=context, cli_args=arguments)
        self.tf = self.player.create_publisher(TransformStamped, "/tf", 100)
        self.tf_static = self.player.create_publisher(TransformStamped, "/tf_static", LATCHED)
        self.depth_info = self.player.create_publisher(CameraInfo, "depth/camera_info", 10)
        self.begin = 1000 * SECOND
        assert self.player.wait_for_subscribers()

    def send(self, seconds: float, edit: Callable[[dict], object] = lambda _: None, frame: Frame | None = None) -> int:
        """A frame at a time after the beginning; `edit` changes its messages by part. Returns its stamp."""
        stamp = self.begin + round(seconds * 1e9)
        messages = self.player.messages(frame or small_frame(), stamp)
        edit(messages)
        self.player.send(messages)
        time.sleep(0.01)
        return stamp

    def send_until(self, condition: Callable[[], object], edit: Callable[[dict], object] = lambda _: None) -> bool:
        """Frames at 10 Hz of their own clock until something is so."""
        count = iter(range(10_000))
        return until(condition, 10.0, lambda: self.send(next(count) / 10, edit))

    def close(self) -> None:
        """Leave."""
        self.player.destroy_node()

"""`ig play`: a dataset as a robot would publish it: image, camera_info, pose and, where known, depth and masks."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from ig_ros.datasets import Dataset, split
from ig_ros.msg import SegmentedImage
from ig_ros.nodes.bag_writer import BagRecorder
from ig_ros.nodes.conversions import depth_message, header, image_message, info_message, pose_message
from ig_ros.nodes.object_messages import segmented_message
from ig_ros.nodes.process import started_ros
from ig_ros.types import Frame

# A reliable publisher matches both kinds of subscriber; to a best-effort one it still sends best effort.
QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)

PARTS: dict[str, tuple[Any, str]] = {  # in this order: what an image needs leaves before it
    "pose": (PoseStamped, "pose"),
    "info": (CameraInfo, "camera_info"),
    "depth": (Image, "depth"),
    "masks": (SegmentedImage, "segmented_image"),
    "image": (Image, "image"),
}


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """What is published, and how fast."""

    rate: float = 10.0  # frames per second
    loops: int = 1  # times through the dataset; stamps keep growing
    hold_out: bool = False  # leave out every 8th frame, image and masks
    depth: bool = True
    masks: bool = True
    max_frames: int = 0  # stop after so many, 0 = all
    wait: float = 20.0  # s to wait for a subscriber to the images before playing to nobody
    record: str = ""  # OUT.mcap or a folder: written to a bag instead of published, as fast as it goes
    frame_id: str = "camera"  # optical frame of the images
    map_frame: str = "map"


class Player(Node):  # type: ignore[misc]  # rclpy has no types for mypy here
    """Publishes frames on the topics the mapping node listens to."""

    def __init__(self, options: PlayOptions, **node_arguments: Any) -> None:
        super().__init__("player", **node_arguments)
        self._options = options
        self._outlets = {part: self.create_publisher(kind, topic, QOS) for part, (kind, topic) in PARTS.items()}

    def wait_for_subscribers(self) -> bool:
        """Until somebody listens to images and calibration; False when `wait` seconds have passed."""
        deadline = time.monotonic() + self._options.wait
        while not all(self._outlets[part].get_subscription_count() for part in ("image", "info")):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        # The other topics of that node are matched within moments of these; there is no event that says so.
        time.sleep(0.5)
        return True

    def publish(self, frame: Frame, stamp: int) -> None:
        """One frame with all its parts under one stamp (ns)."""
        self.send(self.messages(frame, stamp))

    def messages(self, frame: Frame, stamp: int) -> dict[str, Any]:
        """See `frame_messages`."""
        return frame_messages(frame, stamp, self._options)

    def send(self, messages: dict[str, Any]) -> None:
        """Publish messages by part, the image last."""
        for part, outlet in self._outlets.items():
            if part in messages:
                outlet.publish(messages[part])


def frame_messages(frame: Frame, stamp: int, options: PlayOptions) -> dict[str, Any]:
    """The messages of a frame by part: pose, info, image and, where wanted and known, depth and masks."""
    head = header(stamp, options.frame_id)
    pose = PoseStamped(header=header(stamp, options.map_frame), pose=pose_message(frame.T_world_camera))
    parts = {
        "pose": pose,
        "info": info_message(frame.camera, head),
        "image": image_message(frame.rgb, "rgb8", head),
    }
    if options.depth and frame.depth is not None:
        parts["depth"] = depth_message(frame.depth, head)
    if options.masks and frame.masks is not None:
        parts["masks"] = segmented_message(frame.masks, head)
    return parts


def chosen_places(count: int, options: PlayOptions) -> Iterator[int]:
    """Places of the dataset in the order of playing."""
    kept = split(count)[0] if options.hold_out else range(count)
    places = [place for _ in range(options.loops) for place in kept]
    return iter(places[: options.max_frames] if options.max_frames else places)


def play(
    dataset: Dataset,
    options: PlayOptions,
    args: list[str] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Play a dataset in this process until it ends; returns the number of frames published.

    `args` are ROS arguments (remaps); `progress` is called with the number of frames so far. Raises DatasetError.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # rclpy's handler calls it: ended like by Ctrl-C
    with started_ros(args):
        player = Player(options)
        try:
            return _play_with(player, dataset, options, progress)
        finally:
            player.destroy_node()


def _play_with(player: Player, dataset: Dataset, options: PlayOptions, progress: Callable[[int], None]) -> int:
    published = 0
    if not player.wait_for_subscribers():
        player.get_logger().warning(
            f"nobody has subscribed to images and camera_info for {options.wait:g} s: playing anyway; check topic"
            " names and ROS_DOMAIN_ID"
        )
    start, begin = player.get_clock().now().nanoseconds, time.monotonic()
    for place in chosen_places(len(dataset), options):
        frame = dataset[place]  # loading counts as part of the period
        due = published / options.rate
        time.sleep(max(0.0, begin + due - time.monotonic()))
        player.publish(frame, start + round(due * 1e9))
        published += 1
        progress(published)
    player.get_logger().info(f"played {published} frames")
    time.sleep(0.3)  # the last frame leaves before the publishers do
    return published


def record(dataset: Dataset, options: PlayOptions, progress: Callable[[int], None] = lambda _: None) -> int:
    """Write to a bag what `play` would publish; returns the number of frames. Raises DatasetError, StorageError."""
    count = 0
    with BagRecorder(Path(options.record)) as bag:
        for place in chosen_places(len(dataset), options):
            stamp = round((1 + count / options.rate) * 1e9)  # from 1 s on: 0 means unknown to ROS
            parts = frame_messages(dataset[place], stamp, options)
            for part in (part for part in PARTS if part in parts):
                bag.write(f"/{PARTS[part][1]}", stamp, parts[part])
            count += 1
            progress(count)
    return count

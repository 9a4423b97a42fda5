"""The segmenter as a node of its own: image in, SegmentedImage out, on any machine that DDS reaches.

It always works on the newest image and skips those that came meanwhile, so it never falls behind.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ig_ros.config import Config, NodeConfig
from ig_ros.errors import FrameError, IgError
from ig_ros.language import Encoder, ImageEncoder, embed_masks, make_encoder
from ig_ros.msg import SegmentedImage
from ig_ros.nodes.conversions import camera_from_info, depth_from_image, nanoseconds, rgb_from_message
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.ending import leave
from ig_ros.nodes.guards import Guard
from ig_ros.nodes.objects import segmented_message
from ig_ros.nodes.parameters import read_parameters
from ig_ros.segmentation import Segmenter, make_segmenter
from ig_ros.types import FloatArray

DEPTHS = 8  # newest depth images, of which one may belong to the image
RELIABLE = QoSProfile(depth=4, reliability=ReliabilityPolicy.RELIABLE)


class SegmenterNode(Node):  # type: ignore[misc]  # rclpy has no types for mypy here
    """Takes the mapping node's parameters, of which it reads `segmenter`, `segmentation` and `language`."""

    def __init__(
        self, segmenter: Segmenter | None = None, encoder: Encoder | None = None, **node_arguments: Any
    ) -> None:
        """Raises IgError for parameters, weights or packages that cannot be had."""
        super().__init__("segmenter_node", automatically_declare_parameters_from_overrides=True, **node_arguments)
        self.config: NodeConfig = read_parameters(self)
        self.segmenter = segmenter or chosen_segmenter(self.config.core)
        self.encoder = encoder or image_encoder(self.config.core)
        self.problems = Problems(self.get_logger().warning)
        self._guard = Guard(self.config.limits)
        self.skipped = self.done = 0
        self._info: CameraInfo | None = None
        self._depths: deque[Image] = deque(maxlen=DEPTHS)
        self._newest: Image | CompressedImage | None = None
        self._arrived = threading.Condition()
        self._stopping = False
        self._masks = self.create_publisher(SegmentedImage, "segmented_image", RELIABLE)
        for kind, topic, callback in (
            (Image, "image", self._on_image), (CompressedImage, "image/compressed", self._on_image),
            (Image, "depth", self._on_depth), (CameraInfo, "camera_info", self._on_info),
        ):  # fmt: skip
            self.create_subscription(kind, topic, callback, qos_profile_sensor_data)
        self._thread = threading.Thread(target=self._work, name="segmenter", daemon=True)
        self._thread.start()
        self.get_logger().info(f"segmenting with {self.segmenter.name}")

    def close(self) -> None:
        """End the thread after the image it works on."""
        with self._arrived:
            self._stopping = True
            self._arrived.notify()
        self._thread.join(1.0)

    def _admit(self, check: Callable[[Any], None], message: Any) -> bool:
        try:
            check(message)
        except FrameError as error:
            self.problems.add_error(error)
            return False
        return True

    def _on_info(self, message: CameraInfo) -> None:
        if self._admit(self._guard.info, message):
            self._info = message

    def _on_depth(self, message: Image) -> None:
        if self._admit(self._guard.depth, message):
            self._depths.append(message)

    def _on_image(self, message: Image | CompressedImage) -> None:
        if not self._admit(self._guard.image, message):
            return
        with self._arrived:
            self.skipped += self._newest is not None
            self._newest = message
            self._arrived.notify()

    def _work(self) -> None:
        while True:
            with self._arrived:
                while self._newest is None and not self._stopping:
                    self._arrived.wait()
                if self._stopping:
                    return
                message, self._newest = self._newest, None
            try:
                self._masks.publish(self._segment(message))
                self.done += 1
            except IgError as error:
                self.problems.add("segmenter", str(error))
            except Exception as error:  # the border: one bad image must not end the stream
                self.problems.add("internal", f"image skipped: {type(error).__name__}: {error}")

    def _segment(self, message: Image | CompressedImage) -> SegmentedImage:
        if self._info is None:
            raise IgError("no camera_info yet: publish it beside the image")
        rgb = rgb_from_message(message)
        masks = self.segmenter.segment(rgb, self._depth(message), camera_from_info(self._info))
        masks = embed_masks(self.encoder, rgb, masks)
        return segmented_message(masks, message.header, masks.encoder)

    def _depth(self, message: Image | CompressedImage) -> FloatArray | None:
        """The depth image of the same moment, None where there is none."""
        stamp = nanoseconds(message.header.stamp)
        near = [
            d
            for d in tuple(self._depths)
            if abs(nanoseconds(d.header.stamp) - stamp) < self.config.sync_tolerance * 1e9
        ]
        if not near:
            return None
        return depth_from_image(min(near, key=lambda d: abs(nanoseconds(d.header.stamp) - stamp)))


def chosen_segmenter(config: Config) -> Segmenter:
    """The configured segmenter. Raises ConfigError's root for none at all."""
    segmenter = make_segmenter(config.segmentation)
    if segmenter is None:
        raise IgError("the segmenter node needs the parameter segmenter: geometric, sam or sam2")
    return segmenter


def image_encoder(config: Config) -> Encoder | None:
    """The configured encoder if it looks at images; words are the mapping node's business."""
    if config.language.encoder not in ("open_clip", "fused"):
        return None
    encoder = make_encoder(config.language)
    return encoder if isinstance(encoder, ImageEncoder) else None


def main(args: list[str] | None = None) -> int:
    """Console entry point: spins until interrupted; 1 and one line on stderr when it cannot start."""
    try:
        with rclpy.init(args=args):
            node = SegmenterNode()
            try:
                rclpy.spin(node)
            finally:
                node.close()
    except (KeyboardInterrupt, ExternalShutdownException):
        return leave(0)
    except IgError as error:
        sys.stderr.write(f"segmenter_node: {error}\n")
        return leave(1)
    return leave(0)


if __name__ == "__main__":
    sys.exit(main())

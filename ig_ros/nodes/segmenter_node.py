"""The segmenter as a node of its own: image in, SegmentedImage out, on any machine that DDS reaches.

It always works on the newest image and skips those that came meanwhile, so it never falls behind. Once depth has been
seen, an image waits for its own for `depth_timeout`.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ig_ros.config import Config, NodeConfig
from ig_ros.depth_images import fitted_depth
from ig_ros.errors import FrameError, IgError
from ig_ros.language import ImageEncoder, embed_masks, make_image_encoder
from ig_ros.lens_distortion import Lens, Rectifier
from ig_ros.message_decoding import depth_from_message, nanoseconds, rgb_from_message
from ig_ros.msg import SegmentedImage
from ig_ros.nodes.diagnostics import Diagnosis, Problems
from ig_ros.nodes.frame_builder import INFO_REMEDY, demand_size
from ig_ros.nodes.message_checks import MessageLimits
from ig_ros.nodes.object_messages import segmented_message
from ig_ros.nodes.parameters import read_parameters
from ig_ros.nodes.process import run_node
from ig_ros.nodes.topics import KINDS, LATCHED, SILENT, RawOrCompressed, is_latched
from ig_ros.registries import SEGMENTERS
from ig_ros.segmentation import Segmenter, make_segmenter
from ig_ros.types import FloatArray

DEPTHS = 8  # newest depth images, of which one may belong to the image
RELIABLE = QoSProfile(depth=4, reliability=ReliabilityPolicy.RELIABLE)


class SegmenterNode(Node):  # type: ignore[misc]  # rclpy has no types for mypy here
    """Takes the mapping node's parameters, of which it reads `segmenter`, `segmentation` and `language`."""

    def __init__(
        self, segmenter: Segmenter | None = None, encoder: ImageEncoder | None = None, **node_arguments: Any
    ) -> None:
        """Raises IgError for parameters, weights or packages that cannot be had."""
        super().__init__("segmenter_node", automatically_declare_parameters_from_overrides=True, **node_arguments)
        self.config: NodeConfig = read_parameters(self)
        self.segmenter = segmenter or chosen_segmenter(self.config.core)
        self.encoder = encoder or make_image_encoder(self.config.core.language)
        self.problems = Problems(self.get_logger().warning)
        self._guard = MessageLimits(self.config.limits)
        self.received = self.skipped = self.done = 0  # images
        self._info: CameraInfo | None = None
        self._latched: Any = None  # subscription to a camera_info that was sent once
        self._depths: deque[Image | CompressedImage] = deque(maxlen=DEPTHS)
        self._depth_seen = -math.inf  # s, steady
        self._newest: Image | CompressedImage | None = None
        self._arrived = threading.Condition()
        self._stopping = False
        self._masks = self.create_publisher(SegmentedImage, "segmented_image", RELIABLE)
        self._raw_images = RawOrCompressed(self, "", "image", lambda topic: self._listen(topic, self._on_image))
        self._raw_depths = RawOrCompressed(self, "", "depth", lambda topic: self._listen(topic, self._on_depth))
        self._listen("camera_info", self._on_info)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._diagnosis = Diagnosis(f"{self.get_fully_qualified_name()}: segmenting")
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # a paused simulation is diagnosed too
        self.create_timer(self.config.diagnostics_period, self._publish_diagnostics, clock=steady)
        self._thread = threading.Thread(target=self._work, name="segmenter", daemon=True)

    def start(self) -> None:
        """Works on images from now on."""
        self._thread.start()
        self.get_logger().info(f"segmenting with {self.segmenter.name}")

    def close(self) -> None:
        """Ends the thread after the image it works on."""
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

    def _listen(self, topic: str, callback: Callable[[Any], None]) -> Subscription:
        return self.create_subscription(KINDS[topic], topic, callback, qos_profile_sensor_data)

    def _on_info(self, message: CameraInfo) -> None:
        if self._admit(self._guard.info, message):
            self._info = message

    def _on_depth(self, message: Image | CompressedImage) -> None:
        self._raw_depths.note()
        if self._admit(self._guard.depth, message):
            with self._arrived:
                self._depths.append(message)
                self._depth_seen = time.monotonic()
                self._arrived.notify()

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._raw_images.note()
        if not self._admit(self._guard.image, message):
            return
        with self._arrived:
            self.received += 1
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
            except FrameError as error:
                self.problems.add_error(error)
            except IgError as error:
                self.problems.add("segmenter", str(error))
            except Exception as error:  # the border: one bad image must not end the stream
                self.problems.add("internal", f"image skipped: {type(error).__name__}: {error}")

    def _segment(self, message: Image | CompressedImage) -> SegmentedImage:
        if self._info is None:
            raise IgError("no camera_info yet: publish it beside the image")
        lens = Lens.from_info(self._info, least_width=self.config.core.input.max_width)
        rectifier = Rectifier(lens.camera, lens)  # masks are of the image as it came, whatever its distortion
        rgb = rgb_from_message(message, lens.reduction)
        demand_size("image_size", "image", rgb, rectifier, "camera_info says", INFO_REMEDY)
        masks = self.segmenter.segment(rgb, self._depth(message, rectifier), lens.camera)
        masks = embed_masks(self.encoder, rgb, masks)
        return segmented_message(masks, message.header, masks.encoder)

    def _depth(self, message: Image | CompressedImage, rectifier: Rectifier) -> FloatArray | None:
        """Returns the depth image of the same moment, None where there is none or it cannot be used."""
        found = self._wait_for_depth(nanoseconds(message.header.stamp))
        if found is None:
            return None
        try:
            depth = fitted_depth(depth_from_message(found), rectifier)
            remedy = "publish depth registered to the image"
            demand_size("depth_size", "depth", depth, rectifier, "the image is", remedy)
        except FrameError as error:
            self.problems.add(error.cause, f"{error} (the image is segmented without depth)")
            return None
        return depth

    def _wait_for_depth(self, stamp: int) -> Image | CompressedImage | None:
        """Returns the depth nearest to a stamp (ns) within the tolerance; it may come after its image."""
        deadline, tolerance = time.monotonic() + self.config.depth_timeout, self.config.sync_tolerance * 1e9
        with self._arrived:
            while True:
                ages = [(nanoseconds(d.header.stamp) - stamp, d) for d in self._depths]
                apart, nearest = min(((abs(age), d) for age, d in ages), key=lambda pair: pair[0], default=(0, None))
                if apart <= tolerance and nearest is not None:
                    return nearest
                now = time.monotonic()
                passed = any(age > tolerance for age, _ in ages)  # the stream is beyond: this image has no depth
                if passed or now - self._depth_seen > SILENT or self._stopping:
                    return None
                if now >= deadline:
                    break
                self._arrived.wait(deadline - now)
        self.problems.add(
            "depth_late", "depth of an image did not come within depth_timeout: the image is segmented without"
        )
        return None

    def _publish_diagnostics(self) -> None:
        if self._info is None and not self._latched and is_latched(self, "camera_info"):  # sent once, before the start
            self._latched = self.create_subscription(CameraInfo, "camera_info", self._on_info, LATCHED)
        numbers = {"images in": self.received, "images done": self.done, "images skipped": self.skipped}
        values = {name: str(number) for name, number in numbers.items()}
        now, state = self.get_clock().now().nanoseconds, "segmenting" if self.received else "waiting for images"
        self._diagnostics.publish(self._diagnosis.message(now, values, self.problems.counts(), state))


def chosen_segmenter(config: Config) -> Segmenter:
    """Returns the configured segmenter. Raises IgError for none at all, and for missing weights or packages."""
    segmenter = make_segmenter(config.segmentation)
    if segmenter is None:
        raise IgError(f"the segmenter node needs the parameter segmenter: {', '.join(SEGMENTERS)}")
    return segmenter


def main(args: list[str] | None = None) -> NoReturn:
    """Console entry point, see `run_node`."""
    run_node("segmenter_node", SegmenterNode, args)

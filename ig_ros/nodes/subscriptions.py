"""Everything the mapping node listens to: its cameras, sparse points, and corrections of past poses."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from ig_ros.config import NodeConfig
from ig_ros.errors import ConfigError, FrameError
from ig_ros.lens_distortion import Rectifier, is_rectified_topic
from ig_ros.message_decoding import nanoseconds
from ig_ros.msg import SegmentedImage
from ig_ros.nodes.clouds import sparse_points
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.executor import JOBS, CallbackDelays, Worker, steady_clock
from ig_ros.nodes.frame_builder import FrameBuilder, LateSink
from ig_ros.nodes.message_checks import Calibration, MessageLimits, OneSender
from ig_ros.nodes.pose_corrections import PoseCorrections
from ig_ros.nodes.pose_sources import PoseSourceSetup, TfLookup, make_pose_source
from ig_ros.nodes.synchronizer import Synchronizer
from ig_ros.nodes.topics import KINDS, LATCHED, RawOrCompressed, is_latched, topic_of, vision_boxes
from ig_ros.types import BoolArray, Detections, FloatArray, Frame, Masks

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper


# Topics whose callbacks' delays are measured: the many cheap poses would hide how late images are.
IMAGES = ("image", "image/compressed", "depth", "depth/compressedDepth", "segmented_image", "ignore")
STAMPLESS = ("camera_info", "depth/camera_info")  # topics that are of use without a stamp
LOOK = 0.5  # s between looks for a latched camera_info
TICK = 0.05  # s between looks at images that wait
# Best effort, so that it matches every publisher; deep, because poses of an IMU rate come in bursts.
POSE_QOS = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)


class CameraInput:
    """Listens to `NAME/image`, `NAME/camera_info`, ... One exclusive callback group: nothing in here needs a lock."""

    def __init__(
        self, node: Node, config: NodeConfig, place: int, problems: Problems, delays: CallbackDelays,
        submit: Callable[[Frame], None], late: LateSink, tf: TfLookup,
    ) -> None:  # fmt: skip
        """The camera at `place` in the parameter cameras; every usable frame goes to `submit`, late masks, boxes
        and ignored pixels with the frame's stamp to `late`. Raises ConfigError for an unusable ignore_mask."""
        self._node, self._config, self._problems, self._delays = node, config, problems, delays
        self._name = config.cameras[place]
        self._limits = MessageLimits(config.limits)
        self._builder = FrameBuilder(config, place, submit, late, problems, tf)
        rectified = {
            t: is_rectified_topic(node.resolve_topic_name(topic_of(self._name, t))) for t in ("image", "depth")
        }
        said = {"true": True, "false": False, "auto": rectified["image"]}
        self._builder.calibration.rectified = said[config.image_is_rectified]
        self._builder.depth_calibration.rectified = rectified["depth"]
        self._group = MutuallyExclusiveCallbackGroup()
        self._poses = make_pose_source(PoseSourceSetup(config, place, self._subscribe_poses, problems, tf))
        self._line = Synchronizer(config, self._poses)
        self.frame_id = ""  # optical frame of the newest image
        self._forgotten = False
        self._looked = 0.0  # s, when a latched camera_info was looked for
        self._latched: set[str] = set()  # topics of which what was sent once is heard
        self._subscribe()
        # A steady clock: with use_sim_time and a paused clock the line still moves when something arrives.
        node.create_timer(TICK, self._advance, self._group, clock=steady_clock())

    def __len__(self) -> int:
        """Images that wait, for their companions or for the decoder."""
        return len(self._line) + len(self._builder)

    @property
    def alone(self) -> Counter[str]:
        """Depth images and masks dropped so far because no image of their stamp came, by kind."""
        return self._line.alone

    @property
    def rectifier(self) -> Rectifier:
        """The calibration in force. Raises FrameError while there is none to trust."""
        return self._builder.calibration.rectifier

    def _subscribe(self) -> None:
        images = functools.partial(self._listen, callback=self._on_image, check=self._limits.image)
        depths = functools.partial(self._listen, callback=self._on_depth, check=self._limits.depth)
        self._calibrations = {
            "camera_info": self._builder.calibration, "depth/camera_info": self._builder.depth_calibration,
        }  # fmt: skip
        for topic in self._calibrations:  # first: of what waits together, the executor takes the oldest subscription
            self._listen_to_info(topic, qos_profile_sensor_data)
        self._images = RawOrCompressed(self._node, self._name, "image", images)
        self._depths = RawOrCompressed(self._node, self._name, "depth", depths)
        self._listen("segmented_image", self._on_masks, self._limits.masks)
        self._listen("detections", self._builder.put_detections, self._limits.detections)
        if (kind := vision_boxes()) is not None:
            self._listen("detections_2d", self._builder.put_detections, self._limits.detections, kind)
        self._listen("ignore", self._on_ignore, self._limits.image)

    def _listen_to_info(self, topic: str, qos: QoSProfile) -> None:
        take = functools.partial(self._on_camera_info, self._calibrations[topic])
        self._listen(topic, take, self._limits.info, qos=qos)

    def _subscribe_poses(self, topic: str, kind: type, callback: Callable[[Any], None]) -> None:
        self._listen(topic, callback, None, kind, POSE_QOS)

    def _listen(
        self, topic: str, callback: Callable[[Any], None], check: Callable[[Any], None] | None,
        kind: type | None = None, qos: QoSProfile = qos_profile_sensor_data,
    ) -> Subscription:  # fmt: skip
        name = topic_of(self._name, topic)
        sender = OneSender()

        def receive(message: Any, info: Mapping[str, Any]) -> None:
            try:
                sender.demand(name, message.header.frame_id, time.monotonic())  # whatever becomes of the node's clock
                if topic not in STAMPLESS and not nanoseconds(message.header.stamp):
                    text = f"{name} has the stamp 0, which tells no time: let its sender stamp its messages"
                    raise FrameError("no_stamp", text)
                if check is not None:
                    check(message)
                callback(message)
            except FrameError as error:
                self._problems.add_error(error)
            if topic in IMAGES:
                self._delays.add(int(info["received_timestamp"]))

        return self._node.create_subscription(kind or KINDS[topic], name, receive, qos, callback_group=self._group)

    def stop(self) -> None:
        """End the decoding thread."""
        self._builder.stop()

    def forget(self) -> None:
        """Nothing that waits now belongs to the map after a reset. May be called from any thread."""
        self._forgotten = True

    def _now(self) -> float:
        return float(self._node.get_clock().now().nanoseconds) / 1e9

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._images.note()
        self.frame_id = message.header.frame_id
        self._poses.note_image(message.header.frame_id)
        self._line.add_image(nanoseconds(message.header.stamp), message, self._now())
        self._advance()

    def _on_camera_info(self, calibration: Calibration, message: CameraInfo) -> None:
        calibration.update(message, self._now())

    def _on_depth(self, message: Image | CompressedImage) -> None:
        self._depths.note()
        self._line.add_depth(nanoseconds(message.header.stamp), message, self._now())

    def _on_masks(self, message: SegmentedImage) -> None:
        self._line.add_masks(nanoseconds(message.header.stamp), message, self._now())
        self._advance()

    def _on_ignore(self, message: Image) -> None:
        self._line.add_ignore(nanoseconds(message.header.stamp), message, self._now())
        self._advance()

    def restart(self, boundary: int) -> None:
        """The clock had passed `boundary` (ns) and has been set back before it."""
        self._line.restart(boundary, self._now())

    def mounting(self, stamp: int) -> FloatArray:
        """T_pose_camera (4, 4), from the frame whose poses a pose_graph holds to the camera's. Raises FrameError."""
        return self._poses.mounting(stamp)

    def _look_for_latched_info(self) -> None:
        """Listens to a camera_info that was sent once; asked for of other publishers, it would make them warn."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        for topic in self._calibrations.keys() - self._latched:
            if not self._calibrations[topic].known and is_latched(self._node, topic_of(self._name, topic)):
                self._latched.add(topic)
                self._listen_to_info(topic, LATCHED)

    def _advance(self) -> None:
        self._look_for_latched_info()
        if self._forgotten:
            self._forgotten = False
            self._line.clear()
            self._builder.clear()
        self._line.calibrated = self._builder.calibration.known
        bundles, problems = self._line.advance(self._now())
        for problem in problems:
            self._problems.add(problem.cause, problem.message)
        for bundle in bundles:
            self._builder.put(bundle)
        for late in self._line.take_late():
            self._builder.put_late(late)


FULL = ("map_points_full", "map_points come faster than they are converted: publish them less often")


class Inputs:
    """Hands frames, points and corrections to the mapper while it is open."""

    def __init__(
        self, node: Node, config: NodeConfig, mapper: LiveMapper, problems: Problems, used: Callable[[Frame], None],
        tf: TfLookup,
    ) -> None:  # fmt: skip
        """`used` is told of every frame that goes to the mapper. Raises ConfigError for equal camera names."""
        if len(set(config.cameras)) < len(config.cameras) or not config.cameras:
            raise ConfigError(f"parameter 'cameras' = {list(config.cameras)}: give every camera a name of its own")
        self._config, self._mapper, self._problems, self._used = config, mapper, problems, used
        self.open = False
        self.delays = CallbackDelays()
        self._limits = MessageLimits(config.limits)
        config.each.check(len(config.cameras))
        self._tf = tf
        late = LateSink(self._submit_masks, self._submit_ignored, self._submit_detections)
        self._cameras = [
            CameraInput(node, config, place, problems, self.delays, self._submit, late, tf)
            for place in range(len(config.cameras))
        ]
        back = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
        self._jumps = node.get_clock().create_jump_callback(back, post_callback=self._on_clock_back)
        self._clock = node.get_clock()
        self._points = Worker("map_points", JOBS, problems, FULL)
        self._corrections = PoseCorrections(node, config, mapper, problems, tf, [c.mounting for c in self._cameras])
        group = MutuallyExclusiveCallbackGroup()
        node.create_subscription(
            KINDS["map_points"], "map_points", self._on_map_points, qos_profile_sensor_data, callback_group=group
        )

    def pose_at(self, camera: str, stamp: int | None) -> FloatArray | None:
        """T_map_camera (4, 4) of a camera at a stamp (ns) by its name, corrections included; None = not known.

        No stamp means the newest image.
        """
        return self._corrections.history.at(camera, stamp)

    def rectifier(self, camera: str) -> Rectifier:
        """The calibration of a camera by its name. Raises FrameError while there is none to trust."""
        return self._cameras[self._config.cameras.index(camera)].rectifier

    def frame_id(self, camera: str) -> str:
        """The optical frame of a camera by its name; empty before its first image and for one of a saved map."""
        names = self._config.cameras
        return self._cameras[names.index(camera)].frame_id if camera in names else ""

    def alone(self) -> Counter[str]:
        """Depth images and masks dropped so far because no image of their stamp came, by kind."""
        return sum((camera.alone for camera in self._cameras), Counter())

    def waiting(self) -> int:
        """Images that wait, for their companions or for a decoder."""
        return sum(len(camera) for camera in self._cameras)

    def stop(self) -> None:
        """End the threads."""
        self.open = False
        self._jumps.unregister()
        self._points.stop()
        self._corrections.stop()
        for camera in self._cameras:
            camera.stop()

    def forget(self) -> None:
        """Nothing that waits now belongs to the map after a reset. May be called from any thread."""
        for camera in self._cameras:
            camera.forget()
        self._corrections.history.clear()

    def _on_clock_back(self, jump: TimeJump) -> None:
        """A simulation or a bag has begun again."""
        self._tf.clear()
        for camera in self._cameras:
            camera.restart(self._clock.now().nanoseconds - jump.delta.nanoseconds // 2)

    def _on_map_points(self, message: PointCloud2, info: Mapping[str, Any]) -> None:
        frame, map_frame = message.header.frame_id, self._config.map_frame
        try:
            if frame not in ("", map_frame):
                text = f"map_points are in '{frame[:60]}': publish them in the map frame '{map_frame}'"
                raise FrameError("map_points_frame", text)
            self._limits.cloud(message)
            self._points.put(lambda: self._plant(message))
        except FrameError as error:
            self._problems.add_error(error)
        self.delays.add(int(info["received_timestamp"]))

    def _plant(self, message: PointCloud2) -> None:
        xyz, rgb = sparse_points(message)
        if self.open:
            self._problems.watch(self._mapper.submit_points(xyz, rgb))

    def _submit(self, frame: Frame) -> None:
        if self.open:
            self._used(self._corrections.submit(frame))

    def _submit_masks(self, stamp: int, masks: Masks) -> None:
        if self.open:
            self._mapper.submit_masks(stamp, masks)

    def _submit_ignored(self, stamp: int, ignored: BoolArray) -> None:
        if self.open:
            self._mapper.submit_ignored(stamp, ignored)

    def _submit_detections(self, stamp: int, detections: Detections, width: int) -> None:
        if self.open:
            self._mapper.submit_detections(stamp, detections, width)

"""Where a camera's poses come from: topics, whose poses are interpolated at the image's stamp, or tf.

`registries.POSE_SOURCES` names the classes; the parameter `pose_source` chooses one. A source answers at once, and says
whether a missing pose may still come (poses are usually later than images).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry

from ig_ros.config import NodeConfig
from ig_ros.errors import ConfigError, FrameError
from ig_ros.geometry import T_BODY_OPTICAL, pose_from_quaternion
from ig_ros.message_decoding import matrix_from_pose, nanoseconds
from ig_ros.nodes.diagnostics import Problems
from ig_ros.pose_buffer import PoseAnswer, PoseBuffer
from ig_ros.registries import POSE_SOURCES, load
from ig_ros.types import FloatArray


@dataclass(frozen=True, slots=True)
class PoseSourceSetup:
    """What a pose source is made from."""

    config: NodeConfig
    place: int  # of the camera in the parameter cameras
    subscribe: Callable[[str, type, Callable[[Any], None]], None]  # topic below the camera's namespace, type, callback
    problems: Problems
    tf: Callable[[], TfLookup]  # the node's only one, made when first asked for


class PoseSource(Protocol):
    """Knows where the camera was at a stamp (ns). Its class is called with a PoseSourceSetup."""

    def at(self, stamp: int) -> PoseAnswer:
        """Returns T_world_camera (4, 4) of the optical frame at a stamp, without waiting."""
        ...

    def restart(self, boundary: int) -> None:
        """Drops what came until the clock, which had passed `boundary` (ns), started again before it."""
        ...

    def note_image(self, frame_id: str) -> None:
        """Takes the frame_id of an image that has come."""
        ...


def make_pose_source(setup: PoseSourceSetup) -> PoseSource:
    """Returns the source that the parameters choose for the camera. Raises ConfigError where it cannot be had."""
    name = setup.config.each.source(setup.place, setup.config.pose_source)
    source: PoseSource = load(POSE_SOURCES[name])(setup)
    return source


class PoseTopic(PoseBuffer):
    """Poses of the topic `pose`; a pose of a body frame is turned to the optical frame."""

    topic: ClassVar[str] = "pose"
    kind: ClassVar[type] = PoseStamped

    def __init__(self, setup: PoseSourceSetup) -> None:
        super().__init__(setup.config.pose_max_gap)
        self._map_frame, self._problems = setup.config.map_frame, setup.problems
        self._optical = setup.config.each.optical(setup.place, setup.config.pose_is_optical)
        setup.subscribe(self.topic, self.kind, self._on_message)

    def note_image(self, frame_id: str) -> None:
        """Does nothing: the parameters say whose poses these are."""

    def _on_message(self, message: Any) -> None:
        frame = message.header.frame_id
        if frame not in ("", self._map_frame):
            text = f"poses are in '{frame[:60]}', outputs in '{self._map_frame}': set map_frame to that"
            self._problems.add("pose_frame", text)
        T = matrix_from_pose(self._pose(message))
        self.add(nanoseconds(message.header.stamp), T if self._optical else T @ T_BODY_OPTICAL)

    def _pose(self, message: Any) -> Any:
        return message.pose


class OdometryTopic(PoseTopic):
    """Poses of the topic `odometry`."""

    topic, kind = "odometry", Odometry

    def _pose(self, message: Any) -> Any:
        return message.pose.pose


class TfPoses:
    """Poses from tf, when tf2_ros is installed (a full ROS); tf interpolates by itself."""

    def __init__(self, setup: PoseSourceSetup) -> None:
        """Raises ConfigError when tf2_ros is missing."""
        self._lookup, self._map_frame = setup.tf(), setup.config.map_frame
        self._frame = setup.config.each.frame(setup.place, setup.config.camera_frame)
        self._image_frame = ""

    def restart(self, boundary: int) -> None:
        """Does nothing: tf drops its transforms itself when the clock jumps back."""

    def note_image(self, frame_id: str) -> None:
        """Takes the frame_id of an image: where no camera_frame is set, its poses are asked for."""
        self._image_frame = frame_id

    def at(self, stamp: int) -> PoseAnswer:
        """Returns the pose of the camera frame that tf has for a stamp (ns)."""
        frame = self._frame or self._image_frame
        if not frame:
            return PoseAnswer(
                None, False, "no_pose", "image has no frame_id: set it in the driver, or set camera_frame"
            )
        try:
            return PoseAnswer(self._lookup.matrix(self._map_frame, frame, stamp))
        except FrameError as error:
            return PoseAnswer(None, True, "no_pose", str(error))


class TfLookup:
    """Transforms between frames from tf."""

    def __init__(self, node: Any) -> None:
        """Starts listening to /tf and /tf_static; raises ConfigError when tf2_ros is missing."""
        try:
            import tf2_ros
        except ImportError as error:
            text = "tf needs the package tf2_ros, which is not here: install ROS 2's tf2_ros, or use pose_source: pose"
            raise ConfigError(text) from error
        self._errors = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def matrix(self, target: str, source: str, stamp: int | None) -> FloatArray:
        """T_target_source (4, 4) at a stamp (ns), or the newest for None. Raises FrameError `no_transform`."""
        from rclpy.time import Time

        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp or 0)).transform
        except self._errors as error:
            raise FrameError("no_transform", f"tf has no transform from '{source}' to '{target}': {error}") from error
        t, q = found.translation, found.rotation
        return pose_from_quaternion(np.array([t.x, t.y, t.z]), np.array([q.w, q.x, q.y, q.z]))

"""Where a camera's poses come from: topics, whose poses are interpolated at the image's stamp, or tf.

`registries.POSE_SOURCES` names the classes; the parameter `pose_source` chooses one. A source answers at once, and says
whether a missing pose may still come (poses are usually later than images).
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped, TransformStamped
from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from ig_ros.config import NodeConfig
from ig_ros.errors import ConfigError, FrameError
from ig_ros.geometry import T_BODY_OPTICAL
from ig_ros.message_decoding import matrix_from_pose, nanoseconds
from ig_ros.nodes.diagnostics import Problems
from ig_ros.pose_buffer import SAME_STAMP, PoseAnswer, PoseBuffer
from ig_ros.registries import POSE_SOURCES, load
from ig_ros.types import FloatArray

KEPT = 10_000_000_000  # ns of transforms that tf remembers, tf2's own default
LATE = 1_000_000_000  # ns: a transform older by more than the newest of its frame is a stray, unless ...
RESTART = 5  # ... so many come in a row: then the clock (a looping bag) has started again. Images likewise
MISSING = "tf needs the package tf2_ros, which is not here: install ROS 2's tf2_ros, or use pose_source: pose"


@dataclass(frozen=True, slots=True)
class PoseSourceSetup:
    """What a pose source is made from."""

    config: NodeConfig
    place: int  # of the camera in the parameter cameras
    subscribe: Callable[[str, type, Callable[[Any], None]], None]  # topic below the camera's namespace, type, callback
    problems: Problems
    tf: TfLookup

    @property
    def optical(self) -> bool | None:
        """Whether the user says that poses are of the optical frame, or that they are not; None = neither."""
        return self.config.each.optical(self.place, None if self.config.pose_is_optical else False)


class PoseSource(Protocol):
    """Knows where the camera was at a stamp (ns). Its class is called with a PoseSourceSetup."""

    def at(self, stamp: int) -> PoseAnswer:
        """Returns T_world_camera (4, 4) of the optical frame at a stamp, without waiting."""
        ...

    def mounting(self, stamp: int) -> FloatArray:
        """Returns T_pose_camera (4, 4), from the frame whose poses a pose_graph holds. Raises FrameError."""
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
    """Poses of the topic `pose`. Those of another frame than the camera's are turned to it, by tf where it is named."""

    topic: ClassVar[str] = "pose"
    kind: ClassVar[type] = PoseStamped

    def __init__(self, setup: PoseSourceSetup) -> None:
        super().__init__(setup.config.pose_max_gap)
        self._map_frame, self._problems, self._tf = setup.config.map_frame, setup.problems, setup.tf
        self._optical = setup.optical
        self._camera = self._given = setup.config.each.frame(setup.place, setup.config.camera_frame)
        self._child = ""
        setup.subscribe(self.topic, self.kind, self._on_message)

    def note_image(self, frame_id: str) -> None:
        """Takes the frame_id of an image: the camera's, where no camera_frame is set."""
        self._camera = self._given or frame_id.lstrip("/")

    def at(self, stamp: int) -> PoseAnswer:
        """Returns the camera's pose, or why there is none."""
        answer = super().at(stamp)
        if answer.T_world_camera is None:
            return answer
        try:
            return PoseAnswer(answer.T_world_camera @ self.mounting(stamp))
        except FrameError as error:
            return PoseAnswer(None, True, error.cause, str(error))

    def mounting(self, stamp: int) -> FloatArray:
        """Returns T_pose_camera (4, 4). Raises FrameError `pose_mounting` where it is not known."""
        if self._optical is False:
            return T_BODY_OPTICAL
        if self._optical or self._child in ("", self._camera):
            return np.eye(4)
        try:
            return self._tf.matrix(self._child, self._camera, stamp)
        except FrameError as error:
            text = (
                f"{self.topic} is the pose of '{self._child[:60]}', images are of '{self._camera[:60]}', and {error}: "
                "publish that transform, or say which axes the poses have: each.pose_is_optical: ['true'] or ['false']"
            )
            raise FrameError("pose_mounting", text) from error

    def _on_message(self, message: Any) -> None:
        frame = message.header.frame_id
        if frame not in ("", self._map_frame):
            text = f"poses are in '{frame[:60]}', outputs in '{self._map_frame}': set map_frame to that"
            self._problems.add("pose_frame", text)
        self._child = getattr(message, "child_frame_id", "").lstrip("/")
        self.add(nanoseconds(message.header.stamp), matrix_from_pose(message))


class CovariantPoseTopic(PoseTopic):
    """Poses of the topic `pose_with_covariance`."""

    topic, kind = "pose_with_covariance", PoseWithCovarianceStamped


class OdometryTopic(PoseTopic):
    """Poses of the topic `odometry`."""

    topic, kind = "odometry", Odometry


class TransformTopic(PoseTopic):
    """Poses of the topic `transform`."""

    topic, kind = "transform", TransformStamped


class TfPoses:
    """Poses from tf, when tf2_ros is installed (a full ROS)."""

    def __init__(self, setup: PoseSourceSetup) -> None:
        """Raises ConfigError when tf2_ros is missing."""
        setup.tf.demand()
        self._tf, self._map_frame, self._optical = setup.tf, setup.config.map_frame, setup.optical
        self._frame = setup.config.each.frame(setup.place, setup.config.camera_frame)
        self._image_frame = ""

    def restart(self, boundary: int) -> None:
        """Does nothing: transforms are dropped when the first of the new ones comes."""

    def note_image(self, frame_id: str) -> None:
        """Takes the frame_id of an image: where no camera_frame is set, its poses are asked for."""
        self._image_frame = frame_id

    def mounting(self, stamp: int) -> FloatArray:  # noqa: ARG002
        """Returns T_pose_camera (4, 4): of a body, x forward, where the parameters say so."""
        return T_BODY_OPTICAL if self._optical is False else np.eye(4)

    def at(self, stamp: int) -> PoseAnswer:
        """Returns the pose of the camera frame that tf has for a stamp (ns)."""
        frame = self._frame or self._image_frame
        if not frame:
            return PoseAnswer(
                None, False, "no_pose", "image has no frame_id: set it in the driver, or set camera_frame"
            )
        try:
            return PoseAnswer(self._tf.matrix(self._map_frame, frame, stamp))
        except FrameError as error:
            return PoseAnswer(None, error.cause == "no_pose", error.cause, str(error))


class TfLookup:
    """The node's only tf buffer. What tf2 does not tell, at which stamps transforms have come, is noted here.

    tf2 interpolates across any hole, and takes nothing in for as long as a bag that begins again is older than what it
    remembers. All methods may be called from any thread.
    """

    def __init__(self, node: Node, max_gap: float) -> None:
        """Listens where tf2_ros is installed; transforms of a frame more than `max_gap` s apart are a hole."""
        self._max_gap = round(max_gap * 1e9)
        self._lock = threading.Lock()
        self._parents: dict[str, str] = {}
        self._stamps: dict[str, list[int]] = {}  # of the transforms of each moving frame, in order
        self._held: list[Any] = []  # transforms in a row that are LATE
        self._buffer: Any = None
        try:
            import tf2_ros
        except ImportError:
            return
        self._errors = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer(cache_time=Duration(nanoseconds=KEPT), node=node)
        self._listener = tf2_ros.TransformListener(self, node)

    def demand(self) -> None:
        """Raises ConfigError where tf2_ros is missing."""
        if self._buffer is None:
            raise ConfigError(MISSING)

    def set_transform(self, message: Any, authority: str) -> None:
        """Takes a transform of a moving frame, as the listener hears it."""
        child, stamp = self._note_parent(message), nanoseconds(message.header.stamp)
        with self._lock:
            stamps = self._stamps.setdefault(child, [])
            late = bool(stamps) and stamp < stamps[-1] - LATE
            self._held = [*self._held, message] if late else []
            restarted = len(self._held) == RESTART
            if not late:
                bisect.insort(stamps, stamp)
                del stamps[: bisect.bisect_left(stamps, stamps[-1] - KEPT)]
        if restarted:
            self.clear()
        elif not late:
            self._buffer.set_transform(message, authority)

    def set_transform_static(self, message: Any, authority: str) -> None:
        """Takes a transform that does not change."""
        self._note_parent(message)
        self._buffer.set_transform_static(message, authority)

    def clear(self) -> None:
        """The clock has been set back: forgets all transforms but the static ones, and those that came since."""
        with self._lock:
            self._stamps.clear()
            since, self._held = self._held, []
        if self._buffer is not None:
            self._buffer.clear()
        for message in since:
            self.set_transform(message, "")

    def matrix(self, target: str, source: str, stamp: int | None) -> FloatArray:
        """Returns T_target_source (4, 4) at a stamp (ns), or the newest for None.

        Raises FrameError `no_pose` where tf does not know it, `pose_gap` where it was silent at the stamp.
        """
        return self.stamped(target, source, stamp)[0]

    def stamped(self, target: str, source: str, stamp: int | None) -> tuple[FloatArray, int]:
        """Returns T_target_source (4, 4), see `matrix`, and its stamp (ns), 0 where it holds at all times."""
        if self._buffer is None:
            raise FrameError("no_pose", MISSING)
        target, source = target.lstrip("/"), source.lstrip("/")
        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp or 0))
        except self._errors as error:
            raise FrameError("no_pose", f"tf has no transform from '{source}' to '{target}': {error}") from error
        if stamp is not None:
            self._refuse_gap(target, source, stamp)
        return matrix_from_pose(found), nanoseconds(found.header.stamp)

    def _note_parent(self, message: Any) -> str:
        child = str(message.child_frame_id).lstrip("/")
        with self._lock:
            self._parents[child] = message.header.frame_id.lstrip("/")
        return child

    def _refuse_gap(self, target: str, source: str, stamp: int) -> None:
        """Raises FrameError `pose_gap` where a frame between the two was silent around a stamp (ns)."""
        with self._lock:
            for child in self._chain(target) ^ self._chain(source):
                stamps = self._stamps.get(child, [])
                after = bisect.bisect_left(stamps, stamp)
                around = stamps[max(0, after - 1) : after + 1]
                gap = around[-1] - around[0] if around else 0
                if gap > self._max_gap and min(abs(near - stamp) for near in around) > SAME_STAMP:
                    raise FrameError(
                        "pose_gap",
                        f"tf of '{child}' was silent for {gap / 1e9:.2f} s around the image, pose_max_gap is "
                        f"{self._max_gap / 1e9:g} s: publish it more often, or raise pose_max_gap",
                    )

    def _chain(self, frame: str) -> set[str]:
        """Returns the frame and those above it."""
        chain: set[str] = set()
        while frame and frame not in chain:
            chain.add(frame)
            frame = self._parents.get(frame, "")
        return chain

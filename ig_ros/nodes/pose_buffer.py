"""The camera's pose at an image's stamp: interpolated from received poses, or asked from tf.

A pose source answers at once and says whether a missing pose may still come (poses are usually later than images).
"""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ig_ros.errors import ConfigError, FrameError
from ig_ros.geometry import interpolate, pose_from_quaternion
from ig_ros.types import FloatArray

SAME_STAMP = 1_000_000  # ns: closer than this a pose needs no second one to be interpolated with
# A body frame (x forward, y left, z up, REP 103) sees the optical frame (x right, y down, z forward) like this.
T_BODY_OPTICAL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


@dataclass(frozen=True, slots=True)
class PoseAnswer:
    """Either the pose, or why there is none (`cause` is a diagnostics counter) and whether waiting can help."""

    T_world_camera: FloatArray | None
    may_come: bool = False
    cause: str = ""
    message: str = ""


class PoseSource(Protocol):
    """Anything that knows where the camera was at a stamp (ns)."""

    def at(self, stamp: int) -> PoseAnswer:
        """The pose of the optical frame in the world at a stamp, without waiting."""
        ...

    def restart(self, boundary: int) -> None:
        """The clock, which had passed `boundary` (ns), has started again before it: forget what came until then."""
        ...


class PoseBuffer:
    """Poses sorted by stamp. When full, the one received first goes, so that a restarted clock cannot jam it."""

    def __init__(self, max_gap: float, capacity: int = 10_000) -> None:
        """`max_gap` in seconds: poses further apart are not interpolated."""
        self._max_gap = round(max_gap * 1e9)
        self._capacity = capacity
        self._stamps: list[int] = []
        self._poses: dict[int, FloatArray] = {}  # in the order of arrival
        self._received = 0  # stamp of the pose that came last, not always the newest: clocks are set, bags loop

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, stamp: int, T_world_camera: FloatArray) -> None:
        """Insert a pose in any order of stamps; one of the same stamp is replaced."""
        if self._poses.pop(stamp, None) is None:
            bisect.insort(self._stamps, stamp)
        self._poses[stamp] = T_world_camera
        self._received = stamp
        if len(self._stamps) > self._capacity:
            first = next(iter(self._poses))
            del self._stamps[bisect.bisect_left(self._stamps, first)]
            del self._poses[first]

    def restart(self, boundary: int) -> None:
        """Forget every pose received up to the last one later than `boundary` (ns): of the poses of a looping bag those
        of its new pass stay, which have come before its images have shown that there is one."""
        stay = list(itertools.takewhile(lambda stamp: stamp <= boundary, reversed(self._poses)))
        self._poses = {stamp: self._poses[stamp] for stamp in reversed(stay)}
        self._stamps = sorted(self._poses)

    def at(self, stamp: int) -> PoseAnswer:
        """The pose at a stamp: an equal one, or between its two neighbours when they are at most `max_gap` apart."""
        after = bisect.bisect_left(self._stamps, stamp)
        neighbors = self._stamps[max(0, after - 1) : after + 1]
        nearest = min(neighbors, key=lambda s: abs(s - stamp), default=None)
        if nearest is not None and abs(nearest - stamp) <= SAME_STAMP:
            return PoseAnswer(self._poses[nearest])
        if after == len(self._stamps):
            return PoseAnswer(None, True, "no_pose", self._silence(stamp))
        if after == 0:
            return PoseAnswer(None, False, "no_pose", "image is older than every received pose")
        earlier, later = neighbors
        if later - earlier > self._max_gap:
            gap, limit = (later - earlier) / 1e9, self._max_gap / 1e9
            text = (
                f"poses around the image are {gap:.2f} s apart, pose_max_gap is {limit:g} s: publish poses more often"
            )
            return PoseAnswer(None, stamp > self._received, "pose_gap", text)
        fraction = (stamp - earlier) / (later - earlier)
        return PoseAnswer(interpolate(self._poses[earlier], self._poses[later], fraction))

    def _silence(self, stamp: int) -> str:
        if not self._stamps:
            return "no pose has ever been received: check the pose topic's name, its publisher and pose_source"
        late = (stamp - self._stamps[-1]) / 1e9
        return f"the newest pose is {late:.2f} s older than the image: use one clock for both, or raise pose_timeout"


class TfPoses:
    """Poses from tf, when tf2_ros is installed (a full ROS); tf interpolates by itself."""

    def __init__(self, lookup: TfLookup, map_frame: str) -> None:
        self.lookup = lookup
        self._map_frame = map_frame
        self.camera_frame = ""  # the image's frame_id, told by whoever receives images

    def restart(self, boundary: int) -> None:
        """tf itself forgets when the clock jumps back."""

    def at(self, stamp: int) -> PoseAnswer:
        """The pose tf knows for the camera frame at a stamp."""
        if not self.camera_frame:
            return PoseAnswer(
                None, False, "no_pose", "image has no frame_id: set it in the driver, or set camera_frame"
            )
        try:
            return PoseAnswer(self.lookup.matrix(self._map_frame, self.camera_frame, stamp))
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

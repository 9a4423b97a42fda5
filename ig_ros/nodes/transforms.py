"""Transforms between frames from tf, for the whole node."""

from __future__ import annotations

import bisect
import threading
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from ig_ros.errors import ConfigError, FrameError
from ig_ros.message_decoding import matrix_from_pose, nanoseconds
from ig_ros.pose_buffer import SAME_STAMP
from ig_ros.types import FloatArray

KEPT = 10_000_000_000  # ns of transforms that tf remembers, tf2's own default
RESTARTED = 1_000_000_000  # ns: a transform older by more than the newest of its frame is of a clock set back
MISSING = "tf needs the package tf2_ros, which is not here: install ROS 2's tf2_ros, or use pose_source: pose"


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
            restarted = bool(stamps := self._stamps.setdefault(child, [])) and stamp < stamps[-1] - RESTARTED
        if restarted:
            self.clear()
        with self._lock:
            stamps = self._stamps.setdefault(child, [])
            bisect.insort(stamps, stamp)
            del stamps[: bisect.bisect_left(stamps, stamps[-1] - KEPT)]
        self._buffer.set_transform(message, authority)

    def set_transform_static(self, message: Any, authority: str) -> None:
        """Takes a transform that does not change."""
        self._note_parent(message)
        self._buffer.set_transform_static(message, authority)

    def clear(self) -> None:
        """Forgets all transforms but the static ones."""
        with self._lock:
            self._stamps.clear()
        if self._buffer is not None:
            self._buffer.clear()

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

"""tf2_ros, which no wheel has, as its public API behaves: geometry2's buffer.py, transform_listener.py, cache.cpp.

Like tf2 it interpolates across any hole, refuses to extrapolate, takes nothing in that is older than its cache, keeps
static transforms when it is cleared, and clears itself when its node's clock jumps back. Only the transport differs:
/tf and /tf_static carry one TransformStamped per message, because tf2_msgs is on no wheel either.
"""

from __future__ import annotations

import bisect

import numpy as np
from geometry_msgs.msg import TransformStamped, Vector3
from rclpy.clock import Clock, JumpThreshold
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time

from ig_ros.geometry import interpolate, inverse
from ig_ros.message_decoding import matrix_from_pose, nanoseconds
from ig_ros.nodes.conversions import header, pose_message
from ig_ros.types import FloatArray

made: list[Buffer] = []  # for tests that count them


class TransformException(Exception):  # tf2's own name
    """Base class of all that tf2 raises."""


class LookupException(TransformException):
    """A frame is not known."""


class ConnectivityException(TransformException):
    """Two frames are not in one tree."""


class ExtrapolationException(TransformException):
    """The time is outside of what has come."""


class Buffer:
    """Transforms of the newest `cache_time`."""

    def __init__(self, cache_time: Duration | None = None, node: object = None) -> None:
        self._cache = 10_000_000_000 if cache_time is None else cache_time.nanoseconds
        self._parents: dict[str, str] = {}
        self._static: dict[str, FloatArray] = {}
        self._moving: dict[str, list[tuple[int, FloatArray]]] = {}
        self.old_data = 0  # TF_OLD_DATA warnings
        clock = Clock() if node is None else node.get_clock()
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True)
        self.jump_handle = clock.create_jump_callback(threshold, post_callback=lambda _: self.clear())
        made.append(self)

    def set_transform(self, transform: TransformStamped, _authority: str) -> None:
        stamp, child = nanoseconds(transform.header.stamp), transform.child_frame_id
        kept = self._moving.setdefault(child, [])
        if kept and stamp < kept[-1][0] - self._cache:
            self.old_data += 1
            return
        self._parents[child] = transform.header.frame_id
        place = bisect.bisect_left([s for s, _ in kept], stamp)
        kept[place : place + (place < len(kept) and kept[place][0] == stamp)] = [(stamp, matrix_from_pose(transform))]
        while kept[0][0] < kept[-1][0] - self._cache:
            kept.pop(0)

    def set_transform_static(self, transform: TransformStamped, _authority: str) -> None:
        self._parents[transform.child_frame_id] = transform.header.frame_id
        self._static[transform.child_frame_id] = matrix_from_pose(transform)

    def clear(self) -> None:
        for kept in self._moving.values():
            kept.clear()

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> TransformStamped:
        assert timeout is None or not timeout.nanoseconds, "the node never waits"
        down, up = self._chain(target_frame), self._chain(source_frame)
        if down[-1] != up[-1]:
            raise ConnectivityException(f"'{target_frame}' and '{source_frame}' are not connected")
        moving = [f for f in {*down} ^ {*up} if f in self._parents and f not in self._static]
        stamp = time.nanoseconds
        if not stamp and moving:
            stamp = min((self._moving[f][-1][0] if self._moving[f] else 0) for f in moving)
        T = inverse(self._to_root(down, stamp)) @ self._to_root(up, stamp)
        found = TransformStamped(header=header(stamp, target_frame), child_frame_id=source_frame)
        found.transform.translation = Vector3(x=T[0, 3], y=T[1, 3], z=T[2, 3])
        found.transform.rotation = pose_message(T).orientation
        return found

    def _chain(self, frame: str) -> list[str]:
        if frame not in self._parents and frame not in self._parents.values():
            raise LookupException(f'"{frame}" passed to lookupTransform argument does not exist')
        chain = [frame]
        while chain[-1] in self._parents:
            chain.append(self._parents[chain[-1]])
        return chain

    def _to_root(self, chain: list[str], stamp: int) -> FloatArray:
        T = np.eye(4)
        for frame in chain[:-1]:
            T = (self._static[frame] if frame in self._static else self._at(frame, stamp)) @ T
        return T

    def _at(self, frame: str, stamp: int) -> FloatArray:
        kept = self._moving[frame]
        after = bisect.bisect_left([s for s, _ in kept], stamp)
        if after < len(kept) and kept[after][0] == stamp:
            return kept[after][1]
        if not 0 < after < len(kept):
            where = "future" if after else "past"
            raise ExtrapolationException(f"Lookup would require extrapolation into the {where} for frame '{frame}'")
        (begin, before), (end, later) = kept[after - 1 : after + 1]
        return interpolate(before, later, (stamp - begin) / (end - begin))


class TransformListener:
    """Fills a buffer from the two topics."""

    def __init__(self, buffer: Buffer, node: object) -> None:
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.buffer = buffer
        node.create_subscription(TransformStamped, "/tf", lambda m: buffer.set_transform(m, "default_authority"), 100)
        node.create_subscription(
            TransformStamped, "/tf_static", lambda m: buffer.set_transform_static(m, "default_authority"), latched
        )

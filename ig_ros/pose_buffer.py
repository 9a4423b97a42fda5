"""Poses by stamp, interpolated between two that were received. Pure logic: no ROS."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass

from ig_ros.geometry import interpolate
from ig_ros.types import FloatArray

SAME_STAMP = 1_000_000  # ns: a pose this near to an image is taken as it is, without interpolation


@dataclass(frozen=True, slots=True)
class PoseAnswer:
    """The pose, or why there is none (`cause` is a diagnostics counter) and whether one may still come."""

    T_world_camera: FloatArray | None
    may_come: bool = False
    cause: str = ""
    message: str = ""


class PoseBuffer:
    """Poses sorted by stamp. When full, it drops the one received first, also after a clock has restarted."""

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
        """Inserts a pose in any order of stamps; replaces one of the same stamp."""
        if self._poses.pop(stamp, None) is None:
            bisect.insort(self._stamps, stamp)
        self._poses[stamp] = T_world_camera
        self._received = stamp
        if len(self._stamps) > self._capacity:
            first = next(iter(self._poses))
            del self._stamps[bisect.bisect_left(self._stamps, first)]
            del self._poses[first]

    def restart(self, boundary: int) -> None:
        """Drops every pose received up to the last one later than `boundary` (ns).

        When a bag loops, this keeps the poses of its new pass that came before the first image of that pass.
        """
        stay = list(itertools.takewhile(lambda stamp: stamp <= boundary, reversed(self._poses)))
        self._poses = {stamp: self._poses[stamp] for stamp in reversed(stay)}
        self._stamps = sorted(self._poses)

    def at(self, stamp: int) -> PoseAnswer:
        """Returns the pose at a stamp (ns): its own, or between two neighbours at most `max_gap` apart."""
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

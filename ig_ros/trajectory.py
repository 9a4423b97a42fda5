"""How past poses change when a SLAM system corrects them: known at its own stamps, needed at those of our keyframes.

A correction is a rigid motion of the map at a moment, D(t) = T_new(t) inverse(T_old(t)). Between two moments at which
it is known it is blended, the way a pose graph spreads a loop's error over the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.spatial.transform import Rotation

from ig_ros.geometry import interpolate, inverse
from ig_ros.types import FloatArray, IntArray

Item = TypeVar("Item")

SAME_PLACE = 1e-3  # m: a smaller change of a keyframe is none ...
SAME_ANGLE = 1e-3  # rad
SAME_STAMP = 1_000_000  # ns


@dataclass(frozen=True, slots=True)
class Correction:
    """Motions D (K, 4, 4) of the map at growing stamps (K,) ns; outside of them the first and the last hold."""

    stamps: IntArray
    motions: FloatArray
    sources: frozenset[str] | None = None  # cameras whose poses were wrong, None = all

    def concerns(self, source: str) -> bool:
        """Whether the poses of this camera were wrong."""
        return self.sources is None or source in self.sources

    def apply(self, poses: Mapping[int, FloatArray]) -> dict[int, FloatArray]:
        """New poses (4, 4) by stamp (ns), those that change by more than SAME_PLACE or SAME_ANGLE."""
        if not poses or not len(self.stamps):
            return {}
        own, old = np.array(list(poses), np.int64), np.stack(list(poses.values()))
        new = old.copy()
        high = np.searchsorted(self.stamps, own).clip(0, len(self.stamps) - 1)
        low = (high - 1).clip(0)
        span = np.maximum(self.stamps[high] - self.stamps[low], 1)
        share = ((own - self.stamps[low]) / span).clip(0, 1)[:, None]
        before, after = self.motions[low], self.motions[high]
        ends = [(D[:, :3, :3] @ old[:, :3, 3:])[..., 0] + D[:, :3, 3] for D in (before, after)]
        new[:, :3, 3] = (1 - share) * ends[0] + share * ends[1]
        first = Rotation.from_matrix(before[:, :3, :3])
        turn = (first.inv() * Rotation.from_matrix(after[:, :3, :3])).as_rotvec()
        turned = first * Rotation.from_rotvec(share * turn) * Rotation.from_matrix(old[:, :3, :3])
        new[:, :3, :3] = turned.as_matrix()
        moved = np.linalg.norm(new[:, :3, 3] - old[:, :3, 3], axis=1) > SAME_PLACE
        angle = (turned * Rotation.from_matrix(old[:, :3, :3]).inv()).magnitude()
        return {int(own[i]): new[i] for i in np.nonzero(moved | (angle > SAME_ANGLE))[0]}

    def after(self, stamp: int) -> Correction:
        """The part of it that matters to stamps (ns) from this one on."""
        begin = max(int(np.searchsorted(self.stamps, stamp, "right")) - 1, 0)
        return Correction(self.stamps[begin:], self.motions[begin:], self.sources)


class Trajectory:
    """Where the camera was believed to be. Bounded: of the older half every second pose goes when it is full."""

    def __init__(self, max_gap: float, capacity: int = 20_000) -> None:
        """`max_gap` in seconds: between poses further apart nothing is known."""
        self._max_gap = round(max_gap * 1e9)
        self._capacity = capacity
        self._poses: dict[int, FloatArray] = {}

    def __len__(self) -> int:
        return len(self._poses)

    def note(self, stamp: int, T_world_camera: FloatArray) -> None:
        """A pose (4, 4) at a stamp (ns)."""
        self._poses[stamp] = T_world_camera
        thin(self._poses, self._capacity)

    def clear(self) -> None:
        """Forget everything."""
        self._poses.clear()

    def compare(self, path: Mapping[int, FloatArray]) -> Correction:
        """How a corrected path, stamp (ns) -> pose (4, 4), moves it; stamps where nothing was known are left out."""
        own = np.array(sorted(self._poses), np.int64)
        known = [(stamp, old) for stamp in sorted(path) if (old := self._at(stamp, own)) is not None]
        motions = [path[stamp] @ inverse(old) for stamp, old in known]
        return Correction(np.array([s for s, _ in known], np.int64), _stack(motions))

    def take(self, correction: Correction) -> bool:
        """Believe a correction; whether it moves anything."""
        moved = correction.apply(self._poses)
        self._poses |= moved
        return bool(moved)

    def at(self, stamp: int | None) -> FloatArray | None:
        """The believed pose (4, 4) at a stamp (ns), None = the newest; None where nothing is known."""
        if stamp is None:
            return self._poses[max(self._poses)] if self._poses else None
        return self._at(stamp, np.array(sorted(self._poses), np.int64))

    def _at(self, stamp: int, own: IntArray) -> FloatArray | None:
        """The believed pose at a stamp; `own` are all stamps in order."""
        place = int(np.searchsorted(own, stamp))
        near = own[max(0, place - 1) : place + 1]
        nearest = min(near.tolist(), key=lambda s: abs(s - stamp), default=None)
        if nearest is not None and abs(nearest - stamp) <= SAME_STAMP:
            return self._poses[nearest]
        if len(near) < 2 or place in (0, len(own)) or near[1] - near[0] > self._max_gap:
            return None
        before, after = (int(s) for s in near)
        return interpolate(self._poses[before], self._poses[after], (stamp - before) / (after - before))


def thin(kept: dict[int, Item], capacity: int) -> None:
    """Of the older half every second item goes when there are more than `capacity`; keys are stamps."""
    if len(kept) > capacity:
        stamps = sorted(kept)
        for old in stamps[1 : len(stamps) // 2 : 2]:
            del kept[old]


def _stack(motions: Sequence[FloatArray]) -> FloatArray:
    stacked: FloatArray = np.stack(motions) if motions else np.zeros((0, 4, 4))
    return stacked

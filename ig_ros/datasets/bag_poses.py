"""Where the camera was, from a bag's poses, odometry or transforms."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ig_ros.errors import DatasetError
from ig_ros.geometry import inverse
from ig_ros.message_decoding import matrix_from_pose, nanoseconds
from ig_ros.pose_buffer import PoseBuffer
from ig_ros.types import FloatArray


def recorded_poses(max_gap: float) -> PoseBuffer:
    """Returns an empty buffer that keeps every pose and interpolates between those at most `max_gap` s apart."""
    return PoseBuffer(max_gap, capacity=sys.maxsize)


class Transforms:
    """The tree of /tf and /tf_static."""

    def __init__(self, max_gap: float) -> None:
        """Transforms of a moving frame more than `max_gap` s apart are not interpolated."""
        self._max_gap = max_gap
        self._parents: dict[str, str] = {}
        self._fixed: dict[str, FloatArray] = {}
        self._moving: dict[str, PoseBuffer] = {}

    def add(self, message: Any, fixed: bool) -> None:
        """Takes a TFMessage; frames may be written with a leading slash."""
        for item in message.transforms:
            child, parent = item.child_frame_id.lstrip("/"), item.header.frame_id.lstrip("/")
            self._parents[child] = parent
            T = matrix_from_pose(item)
            if fixed:
                self._fixed[child] = T
            else:
                self._moving.setdefault(child, recorded_poses(self._max_gap)).add(nanoseconds(item.header.stamp), T)

    def chain(self, frame: str) -> list[str]:
        """Returns the frame, its parent and so on up to the root."""
        chain = [frame]
        while chain[-1] in self._parents and self._parents[chain[-1]] not in chain:
            chain.append(self._parents[chain[-1]])
        return chain

    def at(self, target: str, source: str, stamp: int) -> FloatArray | None:
        """Returns T_target_source (4, 4) at a stamp (ns), None where unknown. Raises DatasetError if unconnected."""
        down, up = self.chain(target), self.chain(source)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise DatasetError(f"tf does not connect '{source}' with '{target}': it knows {', '.join(self._parents)}")
        T_common_source = self._along(up[: up.index(common)], stamp)
        T_common_target = self._along(down[: down.index(common)], stamp)
        if T_common_source is None or T_common_target is None:
            return None
        return inverse(T_common_target) @ T_common_source

    def _along(self, frames: list[str], stamp: int) -> FloatArray | None:
        T = np.eye(4)
        for frame in frames:
            step = self._fixed[frame] if frame in self._fixed else self._moving[frame].at(stamp).T_world_camera
            if step is None:
                return None
            T = step @ T
        return T

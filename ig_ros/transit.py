"""Poses corrected while their frames were on the way: what waits for gate, segmenter or trainer has the old ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ig_ros.geometry import inverse
from ig_ros.mapper import Mapper
from ig_ros.types import FloatArray, Frame

BACK = 300  # frames: an older one comes after newer ones when its masks were late


class Transit:
    """Frames numbered in the order of arrival, and the motions that have overtaken them; for the trainer's thread."""

    def __init__(self) -> None:
        self._motions: list[tuple[int, FloatArray]] = []

    def correct(self, mapper: Mapper, poses: Mapping[int, FloatArray], newest: int, arrived: int) -> int:
        """Correct the mapper's keyframes, stamp (ns) -> pose (4, 4); returns how many moved. Raises FrameError.

        newest: uid of the newest keyframe when the poses were corrected; keyframes after it and the first `arrived`
        frames follow its motion, as the error at the end of a drifting path is that of what comes next.
        """
        items = mapper.keyframes.items
        last = next((k for k in items if k.uid == newest and k.stamp in poses), None)
        if last is None:  # the end of the path stays
            return mapper.correct_poses(poses)
        motion = poses[last.stamp] @ inverse(last.T_world_camera)
        moved = mapper.correct_poses(
            {k.stamp: motion @ k.T_world_camera for k in items if k.uid > newest} | dict(poses)
        )
        self._motions.append((arrived, motion))
        return moved

    def arrive(self, number: int, frame: Frame) -> Frame:
        """Frame `number`, counted from 1, with the pose it has by now; numbers fall back by BACK at most."""
        self._motions = [(arrived, motion) for arrived, motion in self._motions if number <= arrived + BACK]
        for arrived, motion in self._motions:
            if number <= arrived:
                frame = dataclasses.replace(frame, T_world_camera=motion @ frame.T_world_camera)
        return frame

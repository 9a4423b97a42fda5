"""Poses corrected while their frames were on the way: what waits for gate, segmenter or trainer has the old ones."""

from __future__ import annotations

import dataclasses
from collections import deque

from ig_ros.mapper import Mapper
from ig_ros.scaffold.pose_correction import Correction, check_rigid
from ig_ros.types import Frame

RECENT = 256  # corrections of which waiting frames, and keyframes which waiting corrections, may not know
BACK = 300  # frames: an older one comes after newer ones when its masks were late ...
OLDER = 30_000_000_000  # ... ns: and then it is older than them by less


class Transit:
    """Frames numbered in the order of submission, and the corrections that overtake them; for the trainer's thread.

    A correction is for the frames submitted before it, wherever they are by now: later ones come with poses that know
    of it. Each correction speaks of the poses that the one before has left, so that none may be lost or done twice.
    """

    def __init__(self) -> None:
        self._corrections: deque[tuple[int, Correction]] = deque(maxlen=RECENT)
        self._arrived: deque[tuple[int, int]] = deque(maxlen=RECENT)  # number and stamp of the newest keyframes

    def correct(self, mapper: Mapper, correction: Correction, submitted: int) -> int:
        """Correct keyframes, and later the waiting frames, of the first `submitted` frames: how many keyframes moved.

        Raises FrameError, before anything has moved, for a motion that is not rigid.
        """
        for motion in correction.motions:
            check_rigid(motion)
        later = {stamp for number, stamp in self._arrived if number > submitted}
        poses = {
            k.stamp: k.T_world_camera
            for k in mapper.keyframes.items
            if k.stamp not in later and correction.concerns(k.source)
        }
        newest = max((stamp for _, stamp in self._arrived), default=0)
        self._corrections.append((submitted, correction.after(newest - OLDER)))
        moved = correction.apply(poses)
        return mapper.correct_poses(moved) if moved else 0

    def arrive(self, number: int, frame: Frame) -> Frame:
        """Frame `number`, counted from 1, with the pose it has by now; numbers fall back by BACK at most."""
        while self._corrections and self._corrections[0][0] + BACK < number:
            self._corrections.popleft()
        self._arrived.append((number, frame.stamp))
        for submitted, correction in self._corrections:
            if number <= submitted and correction.concerns(frame.source):
                moved = correction.apply({frame.stamp: frame.T_world_camera})
                frame = dataclasses.replace(frame, T_world_camera=moved.get(frame.stamp, frame.T_world_camera))
        return frame

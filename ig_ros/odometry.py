"""How the map moves when a SLAM system corrects itself through tf: the odometry frame jumps in the map.

A frame's pose in the map is T_map_odom(t) T_odom_camera; its second factor never changes. So whatever T_map_odom a
frame came with, the newest one tells where it belongs. The error of which a jump speaks has grown since the jump
before: it is taken back in growing shares up to the last frame of before the jump; what came after it is right already.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ig_ros.geometry import inverse
from ig_ros.trajectory import Correction, thin
from ig_ros.types import BoolArray, FloatArray

JUMP = 0.02  # m at the camera, or ...
TURN = np.radians(0.5)  # ... of the odometry frame in the map, from frame to frame: less is noise, or drift made good


class Odometry:
    """The frames since the last jump, each with the T_map_odom that its pose was made with. Bounded."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._frames: dict[int, tuple[FloatArray, FloatArray]] = {}  # stamp -> T_map_camera, T_map_odom
        self._since: int | None = None  # stamp up to which an earlier jump has been taken back
        self._base: FloatArray | None = None  # T_map_odom then

    def __len__(self) -> int:
        return len(self._frames)

    def clear(self) -> None:
        """Forget everything."""
        self._frames.clear()
        self._since = self._base = None

    def note(self, stamp: int, T_map_camera: FloatArray, T_map_odom: FloatArray, T_now: FloatArray) -> FloatArray:
        """A frame of `stamp` (ns) comes; all (4, 4). Returns its pose, brought up to date with the newest T_map_odom.

        It may have waited, for its depth or its turn, while the odometry frame jumped.
        """
        if jumps(T_map_camera[None], T_map_odom[None], T_now)[0]:
            T_map_camera, T_map_odom = T_now @ inverse(T_map_odom) @ T_map_camera, T_now
        self._base = T_map_odom if self._base is None else self._base
        self._frames[stamp] = T_map_camera, T_map_odom
        thin(self._frames, self._capacity)
        return T_map_camera

    def jump(self, T_now: FloatArray) -> Correction:
        """What happens to the frames that have come when T_map_odom is `T_now` (4, 4); of no stamps if nothing does."""
        nothing = Correction(np.zeros(0, np.int64), np.zeros((0, 4, 4)))
        if not self._frames or self._base is None:
            return nothing
        newest = next(reversed(self._frames.values()))[0][None]
        if not jumps(newest, self._base[None], T_now)[0]:
            return nothing
        stamps = np.array(sorted(self._frames), np.int64)
        cameras, odoms = (np.stack([self._frames[s][part] for s in stamps.tolist()]) for part in (0, 1))
        steps = np.nonzero(jumps(cameras, odoms, np.concatenate([odoms[1:], T_now[None]])))[0]
        self._base = T_now
        if not len(steps):  # it crept: every frame was right when it came
            self._forget_until(int(stamps[-1]))
            return nothing
        last = int(stamps[steps[-1]])
        begin = int(stamps[0]) if self._since is None else self._since
        share = ((stamps - begin) / (last - begin)).clip(0, 1) if last > begin else np.ones(len(stamps))
        share[stamps > last] = 0.0
        motions = shares(T_now @ np.linalg.inv(odoms), cameras, share)
        self._forget_until(last)
        if begin < stamps[0]:  # what an earlier jump has moved stays
            stamps, motions = np.append(begin, stamps), np.concatenate([np.eye(4)[None], motions])
        return Correction(stamps, motions)

    def _forget_until(self, last: int) -> None:
        self._frames = {stamp: item for stamp, item in self._frames.items() if stamp > last}
        self._since = last


def jumps(cameras: FloatArray, before: FloatArray, after: FloatArray) -> BoolArray:
    """(N,) whether T_map_odom (N, 4, 4) `before` and `after` differ by a jump where the cameras (N, 4, 4) are."""
    motions = after @ np.linalg.inv(before)
    places = cameras[:, :3, 3:]
    far = np.linalg.norm(motions[:, :3, :3] @ places + motions[:, :3, 3:] - places, axis=(1, 2))
    turned = Rotation.from_matrix(motions[:, :3, :3]).magnitude()
    jumped: BoolArray = (far >= JUMP) | (turned >= TURN)
    return jumped


def shares(motions: FloatArray, cameras: FloatArray, share: FloatArray) -> FloatArray:
    """(N, 4, 4) motions that take the cameras (N, 4, 4) by `share` (N,) in [0, 1] of the way of the given ones."""
    part = np.tile(np.eye(4), (len(motions), 1, 1))
    part[:, :3, :3] = Rotation.from_rotvec(
        share[:, None] * Rotation.from_matrix(motions[:, :3, :3]).as_rotvec()
    ).as_matrix()
    places = cameras[:, :3, 3:]
    way = share[:, None, None] * (motions[:, :3, :3] @ places + motions[:, :3, 3:] - places)
    part[:, :3, 3:] = places + way - part[:, :3, :3] @ places
    return part

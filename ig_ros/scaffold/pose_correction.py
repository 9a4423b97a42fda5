"""Corrections of past camera poses by the SLAM system: keyframes move, and the anchors move with them."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from ig_ros.errors import FrameError
from ig_ros.geometry import interpolate, inverse, is_rigid
from ig_ros.pose_buffer import SAME_STAMP
from ig_ros.scaffold.anchors import AnchorStore
from ig_ros.scaffold.keyframes import MAX_MASK_DELAY, Keyframe
from ig_ros.types import BoolArray, FloatArray, Frame, IntArray

Item = TypeVar("Item")

ORTHOGONAL = 1e-3  # how far a rotation may be from orthonormal
SAME = 1e-3  # a keyframe that changes by less, see `change`, stays where it is
JUMP = 0.02  # ... of the odometry frame in the map, from frame to frame: less is noise, or drift made good
RECENT = 256  # corrections of which waiting frames, and keyframes which waiting corrections, may not know


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
        """New poses (4, 4) by stamp (ns), those that change by more than SAME."""
        if not poses or not len(self.stamps):
            return {}
        own, old = np.array(list(poses), np.int64), np.stack(list(poses.values()))
        high = np.searchsorted(self.stamps, own).clip(0, len(self.stamps) - 1)
        low = (high - 1).clip(0)
        span = np.maximum(self.stamps[high] - self.stamps[low], 1)
        begin, rest = self.motions[low] @ old, self.motions[high] @ np.linalg.inv(self.motions[low])
        new = shares(rest, begin, ((own - self.stamps[low]) / span).clip(0, 1)) @ begin
        changed = change(new @ np.linalg.inv(old), old) > SAME
        return {int(own[i]): new[i] for i in np.flatnonzero(changed)}

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

    def add(self, stamp: int, T_world_camera: FloatArray) -> None:
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
        return Correction(np.array([s for s, _ in known], np.int64), np.array(motions).reshape(-1, 4, 4))

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

    def add(self, stamp: int, T_map_camera: FloatArray, T_map_odom: FloatArray, T_now: FloatArray) -> FloatArray:
        """A frame of `stamp` (ns) comes; all (4, 4). Returns its pose, brought up to date with the newest T_map_odom.

        It may have waited, for its depth or its turn, while the odometry frame jumped.
        """
        if jumps(T_map_camera[None], T_map_odom[None], T_now).any():
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
        if not jumps(newest, self._base[None], T_now).any():
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


def change(motions: FloatArray, cameras: FloatArray) -> FloatArray:
    """Returns how much (N,) motions (N, 4, 4) move cameras (N, 4, 4): m at the camera plus rad of the turn."""
    places = cameras[:, :3, 3:]
    far = np.linalg.norm(motions[:, :3, :3] @ places + motions[:, :3, 3:] - places, axis=(1, 2))
    return np.asarray(far + Rotation.from_matrix(motions[:, :3, :3]).magnitude())


class Corrected(Protocol):
    """Whom frames and corrections are for, in the order in which they come."""

    def submit(self, frame: Frame) -> None:
        """Takes a frame."""
        ...

    def correct_poses(self, correction: Correction) -> Future[int]:
        """Moves the frames taken so far; the result is how many keyframes have moved."""
        ...


class PoseHistory:
    """Where the cameras were when their frames came, and what corrections have made of that. Thread safe.

    All frames pass here on their way to the mapper, so that each is known to come before or after a correction.
    """

    def __init__(
        self, cameras: Sequence[str], max_gap: float, mapper: Corrected,
        odometry: Callable[[int | None], FloatArray | None] = lambda _: None,
    ) -> None:  # fmt: skip
        """`odometry` gives T_map_odom (4, 4) at a stamp (ns), None = now; None where it is not known."""
        self._cameras, self._mapper, self._odometry_at = tuple(cameras), mapper, odometry
        self._trajectories = {name: Trajectory(max_gap) for name in cameras}
        self._odometry = Odometry()
        self._lock = threading.Lock()  # around all of it, and around what the mapper is told

    def submit(self, frame: Frame, by_odometry: bool = False) -> Frame:
        """Hands a frame to the mapper with the pose it has by now, which is returned; its pose may be by odometry.

        Stamps of several cameras are later by each camera's place, in ns, so that they are unique.
        """
        with self._lock:
            now = self._odometry_at(None) if by_odometry else None
            then = self._odometry_at(frame.stamp - self._cameras.index(frame.source)) if now is not None else None
            if now is not None and then is not None:
                T = self._odometry.add(frame.stamp, frame.T_world_camera, then, now)
                frame = dataclasses.replace(frame, T_world_camera=T)
            self._trajectories[frame.source].add(frame.stamp, frame.T_world_camera)
            self._mapper.submit(frame)
        return frame

    def follow_path(self, path: Mapping[int, FloatArray], camera: str | None = None) -> Future[int] | None:
        """A corrected path, stamp (ns) -> pose (4, 4), moves the frames of its camera.

        Without `camera` it is the first one's and moves those of all: they are of one robot. Returns the mapper's
        future, None where nothing moves. Raises FrameError `pose_graph_stamps` where no stamp is one of the camera's.
        """
        with self._lock:
            correction = self._trajectories[self._cameras[0] if camera is None else camera].compare(path)
            sources = None if camera is None else frozenset({camera})
            told = self._take(dataclasses.replace(correction, sources=sources))
        if path and not len(correction.stamps):
            raise FrameError(
                "pose_graph_stamps",
                "no pose of the pose_graph has the stamp of an image: publish its keyframes' stamps",
            )
        return told

    def follow_odometry(self, cameras: frozenset[str]) -> Future[int] | None:
        """Looks where the odometry frame is now: a jump moves the frames of these cameras. Returns as `follow_path`."""
        with self._lock:
            now = self._odometry_at(None)
            if now is None:
                return None
            return self._take(dataclasses.replace(self._odometry.jump(now), sources=cameras))

    def at(self, camera: str, stamp: int | None) -> FloatArray | None:
        """The pose (4, 4) by now of a camera at a stamp (ns), None = of its newest image; None = it is not known."""
        with self._lock:
            return self._trajectories[camera].at(stamp)

    def clear(self) -> None:
        """The map was emptied or replaced."""
        with self._lock:
            for trajectory in self._trajectories.values():
                trajectory.clear()
            self._odometry.clear()

    def _take(self, correction: Correction) -> Future[int] | None:
        moved = [path.take(correction) for name, path in self._trajectories.items() if correction.concerns(name)]
        return self._mapper.correct_poses(correction) if any(moved) else None


def jumps(cameras: FloatArray, before: FloatArray, after: FloatArray) -> BoolArray:
    """Returns where (N,) T_map_odom (N, 4, 4) `before` and `after` differ by a jump at the cameras (N, 4, 4)."""
    return np.asarray(change(after @ np.linalg.inv(before), cameras) >= JUMP)


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


def correct_poses(keyframes: Sequence[Keyframe], anchors: AnchorStore, poses: Mapping[int, FloatArray]) -> int:
    """Give keyframes new poses, stamp (ns) -> T_world_camera (4, 4), and take the anchors along.

    Stamps that no keyframe has are left out; keyframes that are not named stay where they are. Returns how many moved.
    Raises FrameError, before anything has moved, for a pose that is not rigid.
    """
    wanted = [(i, np.asarray(poses[k.stamp], np.float64)) for i, k in enumerate(keyframes) if k.stamp in poses]
    for _, T in wanted:
        check_rigid(T)
    if not wanted:
        return 0
    motions = np.tile(np.eye(4), (len(keyframes), 1, 1))
    for i, T in wanted:
        motions[i] = T @ inverse(keyframes[i].T_world_camera)
    if len(anchors):
        uids, data = np.array([k.uid for k in keyframes], np.int64), anchors.data
        moved, turn = carry(anchors.position, data["owner"], uids, motions, [k.source for k in keyframes])
        anchors.move(torch.from_numpy(moved), turn.to(data["rotation"]))
    for i, T in wanted:
        keyframes[i].T_world_camera = T.copy()
    return len(wanted)


def check_rigid(T: FloatArray) -> None:
    """Raises FrameError unless T is a rigid transform (4, 4)."""
    if not is_rigid(T, ORTHOGONAL):
        raise FrameError("bad_pose", "a corrected pose is not a rigid 4x4 transform: check the SLAM system's output")


@torch.no_grad()
def carry(
    position: FloatArray,
    owner: torch.Tensor,
    uids: IntArray,
    motions: FloatArray,
    sources: Sequence[str] | None = None,
) -> tuple[FloatArray, torch.Tensor]:
    """Returns positions (N, 3) float64 m, world, moved with their owners (N,), and rotations (N, 4) wxyz by which.

    motions (K, 4, 4) are those of the keyframes with growing `uids` (K,), blended around the owner. Owner, predecessor
    and successor count 1/2, 1/4 and 1/4, so that ground which two keyframes share does not tear; where the owner has
    been forgotten, its neighbours stand for it by their nearness. One motion of all keyframes moves the map as a rigid
    body. With `sources` (K,), the keyframes' cameras, predecessor and successor are those of the owner's camera:
    another one may be on another robot.
    """
    owners, group = np.unique(owner.cpu().numpy(), return_inverse=True)
    matrices, rotations = blended_motions(owners, uids, motions, sources)
    moved = (matrices[group, :3, :3] @ position[..., None])[..., 0] + matrices[group, :3, 3]
    return moved, torch.from_numpy(rotations[group]).float()


def blended_motions(
    owners: IntArray, uids: IntArray, motions: FloatArray, sources: Sequence[str] | None = None
) -> tuple[FloatArray, FloatArray]:
    """What happens to the anchors of `owners` (O,): matrices (O, 4, 4) for points, unit quaternions (O, 4) wxyz."""
    places, weights = blend_weights(owners, uids)
    if sources is not None and len(set(sources)) > 1:
        known = uids[places[:, 0]] == owners
        places[known, 1:] = _neighbors(sources)[places[known, 0]]
    quaternions = Rotation.from_matrix(motions[:, :3, :3]).as_quat()[:, [3, 0, 1, 2]]  # SciPy 1.11 puts the scalar last
    blended = np.einsum("ow,owij->oij", weights, motions[places])  # linear in the points: exact where all are equal
    near = quaternions[places]
    near *= np.where(np.einsum("owi,oi->ow", near, near[:, 0]) < 0, -1.0, 1.0)[..., None]  # q and -q are one rotation
    turn = np.einsum("ow,owi->oi", weights, near)
    return blended, turn / np.linalg.norm(turn, axis=1, keepdims=True)


def _neighbors(sources: Sequence[str]) -> IntArray:
    """(K, 2) places of the previous and the next keyframe of the same camera; its own where there is none."""
    found = np.stack([np.arange(len(sources))] * 2, axis=1)
    last: dict[str, int] = {}
    for place, source in enumerate(sources):
        if source in last:
            found[place, 0], found[last[source], 1] = last[source], place
        last[source] = place
    return found


def blend_weights(owners: IntArray, uids: IntArray) -> tuple[IntArray, FloatArray]:
    """Places in `uids` (K,) and weights, both (O, 3), of the keyframes whose motions an owner's anchors follow."""
    last = len(uids) - 1
    after = np.searchsorted(uids, owners).clip(0, last)
    before = (after - 1).clip(0)
    known = uids[after] == owners
    span = np.maximum(uids[after] - uids[before], 1)
    share = ((owners - uids[before]) / span).clip(0, 1)
    places = np.stack([after, before, (after + 1).clip(max=last)], axis=1)
    middle = np.where(known, 0.5, share)
    first = np.where(known, 0.25, 1 - share)
    weights = np.stack([middle, first, 1 - middle - first], axis=1)
    return places, weights


class CorrectionLog:
    """Corrections that overtake frames on their way to the map: what waits for segmenter or trainer has old poses.

    Frames are numbered in the order of submission. A correction is for the frames submitted before it, wherever they
    are by now; later ones come with poses that know of it. Each correction starts from the poses that the one before
    has left, so none may be lost or done twice.
    """

    def __init__(self) -> None:
        self._corrections: deque[tuple[int, Correction]] = deque(maxlen=RECENT)
        self._inserted: deque[tuple[int, int]] = deque(maxlen=RECENT)  # number and stamp of the newest keyframes

    def add(self, correction: Correction, submitted: int, keyframes: Sequence[Keyframe]) -> dict[int, FloatArray]:
        """Returns the new poses (4, 4) of keyframes by stamp (ns); keeps the correction for waiting frames.

        `submitted` is the number of frames submitted so far. Raises FrameError, with nothing changed, for a motion that
        is not rigid.
        """
        for motion in correction.motions:
            check_rigid(motion)
        later = {stamp for number, stamp in self._inserted if number > submitted}
        newest = max((stamp for _, stamp in self._inserted), default=0)
        self._corrections.append((submitted, correction.after(newest - MAX_MASK_DELAY)))
        concerned = (k for k in keyframes if k.stamp not in later and correction.concerns(k.source))
        return correction.apply({k.stamp: k.T_world_camera for k in concerned})

    def bring_up_to_date(self, number: int, frame: Frame) -> Frame:
        """Returns frame `number`, counted from 1, with its present pose."""
        self._inserted.append((number, frame.stamp))
        for submitted, correction in self._corrections:
            if number <= submitted and correction.concerns(frame.source):
                moved = correction.apply({frame.stamp: frame.T_world_camera})
                frame = dataclasses.replace(frame, T_world_camera=moved.get(frame.stamp, frame.T_world_camera))
        return frame

"""Corrections of past camera poses: keyframes move, and the anchors move with the keyframes that bore them.

An anchor has an orientation of its own (`turn`) for this: what it decodes turns with it, so the trained parameters and
their Adam moments, which live in the anchor's frame, stay right as they are (Own; offline methods know their poses).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from ig_ros.errors import FrameError
from ig_ros.geometry import inverse
from ig_ros.scaffold.anchors import AnchorStore
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.types import FloatArray, IntArray

ORTHOGONAL = 1e-3  # how far a rotation may be from orthonormal


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
    owners = np.array([k.uid for k in keyframes], np.int64)
    move_anchors(anchors, owners, motions, [k.source for k in keyframes])
    for i, T in wanted:
        keyframes[i].T_world_camera = T.copy()
    return len(wanted)


def check_rigid(T: FloatArray) -> None:
    """Raises FrameError unless T is a rigid transform (4, 4)."""
    good = T.shape == (4, 4) and bool(np.isfinite(T).all()) and np.allclose(T[3], [0, 0, 0, 1])
    if good:
        R = T[:3, :3]
        good = np.allclose(R @ R.T, np.eye(3), atol=ORTHOGONAL) and np.linalg.det(R) > 0
    if not good:
        raise FrameError("bad_pose", "a corrected pose is not a rigid 4x4 transform: check the SLAM system's output")


@torch.no_grad()
def move_anchors(
    anchors: AnchorStore, uids: IntArray, motions: FloatArray, sources: Sequence[str] | None = None
) -> None:
    """Move every anchor by the motions (K, 4, 4) of the keyframes with growing `uids` (K,), blended around its owner.

    Owner, predecessor and successor count 1/2, 1/4 and 1/4, so that ground which two keyframes share does not tear;
    where the owner has been forgotten, its neighbours stand for it by their nearness. One motion of all keyframes moves
    the map as a rigid body. With `sources` (K,), the keyframes' cameras, predecessor and successor are those of the
    owner's camera: another one may be on another robot.
    """
    if not len(anchors) or not len(uids):
        return
    owners, group = np.unique(anchors.data["owner"].cpu().numpy(), return_inverse=True)
    matrices, rotations = blended_motions(owners, uids, motions, sources)
    position = anchors.data["position"]
    matrix = torch.from_numpy(matrices[group]).to(position.device)
    moved = (matrix[:, :3, :3] @ position.double()[..., None])[..., 0] + matrix[:, :3, 3]
    anchors.move(moved.to(position), torch.from_numpy(rotations[group]).to(position))


def blended_motions(
    owners: IntArray, uids: IntArray, motions: FloatArray, sources: Sequence[str] | None = None
) -> tuple[FloatArray, FloatArray]:
    """What happens to the anchors of `owners` (O,): matrices (O, 4, 4) for points, unit quaternions (O, 4) wxyz."""
    places, weights = blend_weights(owners, uids)
    if sources is not None and len(set(sources)) > 1:
        known = uids[places[:, 0]] == owners
        places[known, 1:] = _neighbors(sources)[places[known, 0]]
    quaternions = Rotation.from_matrix(motions[:, :3, :3]).as_quat(scalar_first=True)
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

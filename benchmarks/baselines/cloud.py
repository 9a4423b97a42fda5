"""A voxel cloud from the keyframes' measured depth: the map of everybody who does not train one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from benchmarks.baselines.adjacency import REACH
from ig_ros.geometry import back_project, transform
from ig_ros.instances import LabelledView
from ig_ros.instances.visibility import Observations, observe
from ig_ros.scaffold import Keyframe
from ig_ros.types import FloatArray, IntArray

FINE = 0.01  # m, on a tabletop
COARSE = 0.015  # m, in a room
LARGE = 0.02  # m, beyond a room
ROOM, HALL = 4.0, 8.0  # m, extents from which on the coarser voxels are taken: a tabletop brings the walls around it
MIN_SHARE = 2  # pixels a voxel needs: fewer are flying pixels at the borders of things
Table = TypeVar("Table", FloatArray, IntArray)
BITS = 21  # per axis of a voxel's key


@dataclass(frozen=True, slots=True)
class DepthCloud:
    """Occupied voxels, sorted by key."""

    xyz: FloatArray  # (P, 3) m, mean of the pixels inside
    color: FloatArray  # (P, 3) in [0, 1], mean
    key: IntArray  # (P,) int64, increasing
    voxel: float  # edge, m

    def find(self, xyz: FloatArray) -> IntArray:
        """(Q,) row of the voxel each point (Q, 3) m lies in, -1 where the cloud has none."""
        key = voxel_key(xyz, self.voxel)
        row = np.minimum(np.searchsorted(self.key, key), max(len(self.key) - 1, 0))
        return np.where(self.key[row] == key, row, -1) if len(self.key) else np.full(len(xyz), -1, np.int64)


class MeasuredCloud:
    """The cloud of some keyframes and how their views see it, each made when first asked for: its users share it."""

    def __init__(self, keyframes: Sequence[Keyframe], views: Sequence[LabelledView], depth_tolerance: float) -> None:
        self.keyframes, self.views, self._tolerance = keyframes, views, depth_tolerance

    @cached_property
    def points(self) -> DepthCloud:
        """Empty where nothing was measured."""
        return depth_cloud(self.keyframes)

    @cached_property
    def observed(self) -> Observations:
        """Mask of each point in each view."""
        return observe(self.points.xyz, self.views, self._tolerance)


def measured(keyframe: Keyframe) -> tuple[FloatArray, IntArray, IntArray]:
    """World points (Q, 3) m of the pixels with measured depth and their rows and columns (Q,)."""
    if keyframe.depth is None or keyframe.estimated:
        return np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0, np.int64)
    depth = keyframe.depth.float().numpy()
    rows, cols = (depth > 0).nonzero()
    return transform(keyframe.T_world_camera, back_project(depth, keyframe.camera, rows, cols)), rows, cols


def depth_cloud(keyframes: Sequence[Keyframe], voxel: float = 0.0) -> DepthCloud:
    """The cloud of all keyframes; voxel edge in m, 0 = by the scene's extent."""
    edge = voxel or voxel_for([measured(k)[0][::16] for k in keyframes[::4]])
    keys: list[IntArray] = [np.zeros(0, np.int64)]
    sums: list[FloatArray] = [np.zeros((0, 7))]
    for keyframe in keyframes:
        xyz, rows, cols = measured(keyframe)
        color = keyframe.rgb.numpy()[rows, cols] / 255.0
        # Every keyframe is reduced on its own first: there are far fewer voxels than pixels.
        key, total = summed(voxel_key(xyz, edge), np.column_stack([xyz, color, np.ones(len(xyz))]))
        keys.append(key)
        sums.append(total)
    key, total = summed(np.concatenate(keys), np.concatenate(sums))
    enough = total[:, 6] >= MIN_SHARE
    key, total = key[enough], total[enough]
    return DepthCloud(total[:, :3] / total[:, 6:], total[:, 3:6] / total[:, 6:], key, edge)


def voxel_for(parts: list[FloatArray]) -> float:
    """Voxel edge (m) for a scene of these points: its extent is the longest axis without 1 % stray on each side."""
    points = np.concatenate([*parts, np.zeros((0, 3))])
    if not len(points):
        return FINE
    extent = float(np.ptp(np.percentile(points, [1, 99], axis=0), axis=0).max())
    return FINE if extent < ROOM else COARSE if extent < HALL else LARGE


def voxel_key(xyz: FloatArray, voxel: float) -> IntArray:
    """One int64 per point (Q, 3) m. Raises ValueError for points too far from the origin to be counted."""
    cells = np.floor(xyz / voxel).astype(np.int64) + REACH
    if len(cells) and (cells.min() < 0 or cells.max() >= 2 * REACH):
        raise ValueError(f"a point lies further than {REACH} voxels of {voxel} m from the origin")
    return np.asarray((cells[:, 0] << 2 * BITS) | (cells[:, 1] << BITS) | cells[:, 2])


def summed(key: IntArray, values: Table) -> tuple[IntArray, Table]:
    """Distinct keys, increasing, and the sums of the rows of values (Q, ...) that share one; key (Q,).

    Fast where the keys are few increasing runs: a stable sort merges them.
    """
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    return key[first], np.add.reduceat(values[order], first, axis=0) if len(key) else values[:0]

"""Plants new anchors on measured depth or on 3D points, at most one per voxel.

Voxels grow with the distance from which a point was seen, in powers of two, so that far surfaces get fewer anchors.
"""

from __future__ import annotations

import numpy as np
import torch

from ig_ros.config import SeedingConfig
from ig_ros.geometry import back_project, transform
from ig_ros.scaffold.anchors import NewAnchors
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.types import BoolArray, FloatArray, IntArray, RenderResult

STRIDE = 2  # every so many pixels propose an anchor


def voxel_keys(points: FloatArray, edges: FloatArray | float) -> IntArray:
    """Returns a key (N,) int64 of the voxel of each point (N, 3) m, on the grid of its own edge (N,) or of one for all.

    19 bits per axis (5 km at 2 cm) and 7 for the edge are packed and not hashed: no two voxels share a key.
    """
    cell = np.floor(points / np.asarray(edges)[..., None]).astype(np.int64) & 0x7FFFF
    level = np.round(np.log2(edges) * 4).astype(np.int64) & 0x7F
    keys: IntArray = cell[:, 0] << 45 | cell[:, 1] << 26 | cell[:, 2] << 7 | level
    return keys


def unseen_pixels(keyframe: Keyframe, view: RenderResult | None, config: SeedingConfig) -> IntArray:
    """Returns rows and columns (P, 2) of pixels with depth where the model is absent, or at another depth.

    Where the model is nearer than the measured surface, that surface may have no anchors: it was never seen before.
    """
    if keyframe.depth is None:
        return np.zeros((0, 2), np.int64)
    depth = keyframe.depth.float().numpy()
    wanted = depth > 0
    if view is not None:
        alpha = view.alpha.cpu().numpy()
        surface = view.depth.cpu().numpy() / np.maximum(alpha, 1e-6)
        missed = (depth < surface * (1 - config.depth_margin)) | (depth > surface * (1 + config.gap_margin))
        wanted &= (alpha < config.alpha_threshold) | missed
    grid = np.zeros_like(wanted)
    grid[::STRIDE, ::STRIDE] = True
    return np.argwhere(wanted & grid)


def seed_from_depth(
    keyframe: Keyframe, view: RenderResult | None, taken: IntArray, config: SeedingConfig
) -> NewAnchors | None:
    """Returns anchors on the measured surface where `view`, the model rendered from the same camera, lacks it.

    `taken` holds the voxel keys of the anchors that exist.
    """
    pixels = unseen_pixels(keyframe, view, config)
    if len(pixels) == 0 or keyframe.depth is None:
        return None
    rows, cols = pixels.T
    depth = keyframe.depth.float().numpy()
    points = transform(keyframe.T_world_camera, back_project(depth, keyframe.camera, rows, cols))
    color = keyframe.rgb.numpy()[rows, cols] / 255.0
    return plant(points, color, depth[rows, cols], taken, keyframe.uid, config)


def plant(
    points: FloatArray, color: FloatArray, distance: FloatArray, taken: IntArray, owner: int, config: SeedingConfig
) -> NewAnchors | None:
    """Returns an anchor per voxel not taken. points (N, 3) m world, color (N, 3) in [0, 1], distance (N,) m seen from.

    An anchor is at the mean of its voxel's points, on the surface, instead of at the voxel's centre as in [SG] (Own).
    """
    if len(points) == 0:
        return None
    ratio = np.maximum(distance * config.voxel_per_depth / config.voxel, 1.0)
    edges = config.voxel * 2.0 ** np.round(np.log2(ratio))
    keys = voxel_keys(points, edges)
    unique, first, group, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    free = not_among(unique, taken)
    if not free.any():
        return None
    values = np.concatenate([points, color], axis=1)
    mean = np.stack([np.bincount(group, weights=v) for v in values.T], axis=1) / count[:, None]
    return NewAnchors(
        position=torch.from_numpy(mean[free, :3]),
        color=torch.from_numpy(mean[free, 3:]).float(),
        edge=torch.from_numpy(edges[first[free]]).float(),
        owner=torch.full((int(free.sum()),), owner),
    )


def not_among(few: IntArray, many: IntArray) -> BoolArray:
    """Returns which (n,) of `few` (n,), sorted and distinct, do not occur in `many` (N,).

    np.isin would sort the many, and hold the interpreter lock meanwhile.
    """
    free = np.ones(len(few), bool)
    if len(few):
        place = np.searchsorted(few, many).clip(max=len(few) - 1)
        free[place[few[place] == many]] = False
    return free

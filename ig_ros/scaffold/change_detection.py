"""Removes anchors of objects that were moved, and erases these objects from the keyframes that show them.

An anchor is removed once some keyframes in a row have measured surfaces behind it. Without erasing it from older
keyframes, replaying these would grow it again.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch

from ig_ros.depth_images import DEPTH_NOISE
from ig_ros.geometry import inverse, project, transform
from ig_ros.raster.request import NEAR
from ig_ros.scaffold.keyframes import Keyframe, KeyframeStore
from ig_ros.scaffold.model import Scaffold
from ig_ros.types import Array, BoolArray, FloatArray, IntArray

NEIGHBORS = 5  # pixels square in which the nearest depth must be behind the anchor: depth is unsure at borders
OBJECT_ANCHORS = 20  # removed at once, from which an object is gone: fewer are borders, which training repairs alone


class ChangeDetector:
    """Counts for every anchor, by uid, how many keyframes in a row have looked through it, and removes it."""

    def __init__(self, scaffold: Scaffold, keyframes: KeyframeStore, after: int) -> None:
        """Anchors are removed after so many keyframes, 0 = never."""
        self._scaffold, self._keyframes, self._after = scaffold, keyframes, after
        self._uid: IntArray = np.zeros(0, np.int64)  # ascending, of the anchors that have been looked through
        self._count: IntArray = np.zeros(0, np.int64)

    def update(self, keyframe: Keyframe) -> int:
        """Counts what a new keyframe looks through; returns how many anchors were removed."""
        data = self._scaffold.anchors.data
        if not self._after or keyframe.depth is None or keyframe.estimated or not len(self._scaffold.anchors):
            return 0
        position, edge, uid = self._scaffold.anchors.position, *(data[n].cpu().numpy() for n in ("edge", "uid"))
        through, there = looked_through(keyframe, position, edge)
        count = np.zeros(len(uid), np.int64)
        _, row, old = np.intersect1d(uid, self._uid, assume_unique=True, return_indices=True)
        count[row] = self._count[old]
        count[there] = 0
        count[through] += 1
        gone = count >= self._after
        order = np.argsort(uid)
        order = order[(count[order] > 0) & ~gone[order]]
        self._uid, self._count = uid[order], count[order]
        if gone.any():
            self._scaffold.anchors.keep(torch.from_numpy(~gone).to(data["position"].device))
            for older in self._keyframes.items if gone.sum() >= OBJECT_ANCHORS else ():
                self._erase(older, position[gone], edge[gone])
        return int(gone.sum())

    def ignore(self, keyframe: Keyframe, pixels: BoolArray) -> None:
        """Leaves out pixels (h, w) of a keyframe, with the anchors that it has planted on what it measured there."""
        data, before = self._scaffold.anchors.data, dataclasses.replace(keyframe)
        keyframe.ignore(pixels)
        own = np.flatnonzero((data["owner"] == keyframe.uid).cpu().numpy())
        if before.depth is None or keyframe.ignored is None or not len(own):
            return
        before.depth = torch.where(keyframe.ignored, before.depth, torch.zeros_like(before.depth))
        _, there = looked_through(before, self._scaffold.anchors.position[own], data["edge"].cpu().numpy()[own])
        stay = torch.ones(len(data["owner"]), dtype=torch.bool)
        stay[torch.from_numpy(own[there])] = False
        self._scaffold.anchors.keep(stay.to(data["position"].device))

    def _erase(self, keyframe: Keyframe, position: FloatArray, edge: FloatArray) -> None:
        """Replaces removed anchors in a keyframe by what the map shows there now."""
        mask = silhouette_of(keyframe, position, edge)
        if not mask.any():
            return
        with torch.no_grad():
            color = self._scaffold.render(keyframe.camera, keyframe.T_world_camera).features[..., :3].cpu().numpy()
        erase_from_keyframe(keyframe, mask, (color.clip(0, 1) * 255).round().astype(np.uint8))


def looked_through(keyframe: Keyframe, position: FloatArray, edge: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Returns two (N,) bool for anchors of position (N, 3) m and edge (N,) m.

    The first: the keyframe looks through the anchor; the second: it sees a surface there. Neither is true for what is
    outside the image, hidden, or not measured.
    """
    assert keyframe.depth is not None
    depth = keyframe.depth.float().numpy()
    uv, z = project(transform(inverse(keyframe.T_world_camera), position), keyframe.camera)
    inside = (z > 0) & (uv >= 0).all(1) & (uv[:, 0] < keyframe.camera.width) & (uv[:, 1] < keyframe.camera.height)
    cols, rows = uv[inside].astype(int).T
    nearest = cv2.erode(depth, np.ones((NEIGHBORS, NEIGHBORS), np.uint8))  # 0 where one is not measured
    reach = DEPTH_NOISE * z[inside] + edge[inside]
    through, there = np.zeros(len(z), bool), np.zeros(len(z), bool)
    through[inside] = nearest[rows, cols] > z[inside] + reach
    there[inside] = np.abs(depth[rows, cols] - z[inside]) < reach
    return through, there & ~through


def silhouette_of(keyframe: Keyframe, position: FloatArray, edge: FloatArray) -> BoolArray:
    """Returns the pixels (H, W) that show anchors of position (M, 3) m and edge (M,) m, at their depth if measured."""
    size = (keyframe.camera.height, keyframe.camera.width)
    uv, z = project(transform(inverse(keyframe.T_world_camera), position), keyframe.camera)
    surface = np.zeros(size, np.float32)
    front = np.flatnonzero((z > NEAR) & (uv > -size[1]).all(1) & (uv < 2 * size[1]).all(1))
    for i in front[np.argsort(-z[front])]:
        radius = max(round(float(edge[i] * keyframe.camera.K[0, 0] / z[i])), 1)
        cv2.circle(surface, (int(uv[i, 0]), int(uv[i, 1])), radius, float(z[i]), -1)
    mask: BoolArray = surface > 0
    if keyframe.depth is not None:
        depth = keyframe.depth.float().numpy()
        mask &= (depth == 0) | (np.abs(depth - surface) < DEPTH_NOISE * surface + 2 * float(np.median(edge)))
    return mask


def erase_from_keyframe(keyframe: Keyframe, silhouette: BoolArray, color: Array) -> None:
    """Replaces a keyframe's pixels in silhouette (H, W) by color (H, W, 3) u8, there without depth and masks."""
    mask = torch.from_numpy(silhouette)
    rgb = keyframe.rgb.clone()  # frozen maps share the old image
    rgb[mask] = torch.from_numpy(color)[mask]
    keyframe.rgb = rgb
    if keyframe.depth is not None:
        keyframe.depth = torch.where(mask, torch.zeros_like(keyframe.depth), keyframe.depth)
    if keyframe.masks is not None:
        masks = keyframe.masks
        labels = np.where(silhouette, 0, masks.labels).astype(np.int32)
        keyframe.masks = dataclasses.replace(masks, labels=labels)
        keyframe.labels = torch.from_numpy(labels)

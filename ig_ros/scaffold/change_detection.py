"""Things that are gone: anchors the depth sensor looks through vanish, and old keyframes forget what they showed there.

A moved object leaves its anchors behind, and replaying the keyframes that saw it would train them for ever. An anchor
through which some keyframes in a row have looked, none of which saw a surface there, is removed.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch

from ig_ros.geometry import inverse, project, transform
from ig_ros.scaffold.keyframes import Keyframe, KeyframeStore
from ig_ros.scaffold.model import Scaffold
from ig_ros.types import Array, BoolArray, FloatArray, IntArray

MARGIN, MARGIN_SLOPE = 0.015, 0.01  # m, and m per m of distance: what noise of depth and pose explains
NEIGHBORS = 5  # pixels square in which even the nearest depth must lie behind: borders of depth are frayed
THING = 20  # anchors that vanish at once: a thing has gone. Fewer are frayed borders, on which training agrees anyway
STALE = 0.002  # share of a keyframe's pixels, fewer are not worth rendering it


class Vanishing:
    """Counts for every anchor, by uid, how many keyframes in a row have looked through it."""

    def __init__(self, scaffold: Scaffold, keyframes: KeyframeStore, after: int) -> None:
        """After so many keyframes an anchor vanishes, 0 = never."""
        self._scaffold, self._keyframes, self._after = scaffold, keyframes, after
        self._uid: IntArray = np.zeros(0, np.int64)  # ascending, of the anchors that have been looked through
        self._count: IntArray = np.zeros(0, np.int64)

    def look(self, keyframe: Keyframe) -> int:
        """Take a new keyframe's evidence; returns how many anchors have vanished."""
        data = self._scaffold.anchors.data
        if not self._after or keyframe.depth is None or keyframe.estimated or not len(self._scaffold.anchors):
            return 0
        position, edge, uid = (data[n].cpu().numpy() for n in ("position", "edge", "uid"))
        through, there = evidence(keyframe, position, edge)
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
            for older in self._keyframes.items if gone.sum() >= THING else ():
                self._forget(older, position[gone], edge[gone])
        return int(gone.sum())

    def _forget(self, keyframe: Keyframe, position: FloatArray, edge: FloatArray) -> None:
        """Where a keyframe shows anchors that have gone it gets what the map has there now."""
        mask = shown(keyframe, position, edge)
        if mask.mean() < STALE:
            return
        with torch.no_grad():
            color = self._scaffold.render(keyframe.camera, keyframe.T_world_camera).features[..., :3].cpu().numpy()
        paint_over(keyframe, mask, (color.clip(0, 1) * 255).round().astype(np.uint8))


def evidence(keyframe: Keyframe, position: FloatArray, edge: FloatArray) -> tuple[BoolArray, BoolArray]:
    """(N,) bool each: the keyframe looks through the anchor, position (N, 3) m, edge (N,) m; it sees a surface there.

    Neither for what is outside the image, hidden, or not measured.
    """
    assert keyframe.depth is not None
    depth = keyframe.depth.float().numpy()
    uv, z = project(transform(inverse(keyframe.T_world_camera), position), keyframe.camera)
    inside = (z > 0) & (uv >= 0).all(1) & (uv[:, 0] < keyframe.camera.width) & (uv[:, 1] < keyframe.camera.height)
    cols, rows = uv[inside].astype(int).T
    nearest = cv2.erode(depth, np.ones((NEIGHBORS, NEIGHBORS), np.uint8))  # 0 where one is not measured
    reach = margin(z[inside]) + edge[inside]
    through, there = np.zeros(len(z), bool), np.zeros(len(z), bool)
    through[inside] = nearest[rows, cols] > z[inside] + reach
    there[inside] = np.abs(depth[rows, cols] - z[inside]) < reach
    return through, there & ~through


def margin(z: FloatArray) -> FloatArray:
    """(N,) m that a depth of z (N,) m may be wrong."""
    return MARGIN + MARGIN_SLOPE * z


def shown(keyframe: Keyframe, position: FloatArray, edge: FloatArray) -> BoolArray:
    """(H, W) bool: pixels that show the anchors, position (M, 3) m, edge (M,) m, at their depth where it is known."""
    size = (keyframe.camera.height, keyframe.camera.width)
    uv, z = project(transform(inverse(keyframe.T_world_camera), position), keyframe.camera)
    surface = np.zeros(size, np.float32)
    front = np.flatnonzero((z > 0.05) & (uv > -size[1]).all(1) & (uv < 2 * size[1]).all(1))
    for i in front[np.argsort(-z[front])]:
        radius = max(round(float(edge[i] * keyframe.camera.K[0, 0] / z[i])), 1)
        cv2.circle(surface, (int(uv[i, 0]), int(uv[i, 1])), radius, float(z[i]), -1)
    mask: BoolArray = surface > 0
    if keyframe.depth is not None:
        depth = keyframe.depth.float().numpy()
        mask &= (depth == 0) | (np.abs(depth - surface) < margin(surface) + 2 * float(np.median(edge)))
    return mask


def paint_over(keyframe: Keyframe, silhouette: BoolArray, color: Array) -> None:
    """Replace a keyframe's pixels in silhouette (H, W) by color (H, W, 3) u8, there without depth and masks.

    Training on the old picture would grow again what is gone.
    """
    mask = torch.from_numpy(silhouette)
    rgb = keyframe.rgb.clone()  # frozen copies elsewhere share the old one
    rgb[mask] = torch.from_numpy(color)[mask]
    keyframe.rgb = rgb
    if keyframe.depth is not None:
        keyframe.depth = torch.where(mask, torch.zeros_like(keyframe.depth), keyframe.depth)
    if keyframe.masks is not None:
        masks = keyframe.masks
        labels = np.where(silhouette, 0, masks.labels).astype(np.int32)
        keyframe.masks = dataclasses.replace(masks, labels=labels)
        keyframe.labels = torch.from_numpy(labels)

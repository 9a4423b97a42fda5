"""Depth without a depth camera: dense optical flow between posed keyframes, triangulated and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ig_ros.config import SeedingConfig
from ig_ros.geometry import inverse, rotation_angle, transform
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.types import FloatArray, IntArray

PARTNERS = 5  # keyframes a depth estimate looks at
WINDOW = 8  # ... among this many before and after
SPREAD = 0.05  # estimates of one pixel must agree this well, relative
HALF_PIXEL = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])


@dataclass(frozen=True, slots=True)
class TrackedPoints:
    """Triangulated pixels of one keyframe."""

    pixels: IntArray  # (P, 2) rows and columns in the newer keyframe
    xyz: FloatArray  # (P, 3) m, world
    depth: FloatArray  # (P,) m in the newer keyframe
    error: FloatArray  # (P,) px, reprojection error


def triangulate(new: Keyframe, old: Keyframe, config: SeedingConfig, warp: FloatArray | None = None) -> TrackedPoints:
    """World points of the pixels of `new` that flow consistently to `old` and meet at a good angle.

    Every stride-th pixel is followed by DIS optical flow there and back; tracks survive if they return to where they
    began and if the linear triangulation reprojects within flow_max_error pixels in both views. `warp` (3, 3) is a
    guess where a pixel of `new` lies in `old`: the flow then only has to find the rest.
    """
    gray_new, gray_old = (cv2.cvtColor(k.rgb.numpy(), cv2.COLOR_RGB2GRAY) for k in (new, old))
    height, width = gray_new.shape
    if warp is not None:
        warp = np.linalg.inv(HALF_PIXEL) @ warp @ HALF_PIXEL  # OpenCV counts from pixel centres
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        gray_old = cv2.warpPerspective(gray_old, warp, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    matcher = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    there = matcher.calc(gray_new, gray_old, None)
    back = matcher.calc(gray_old, gray_new, None)
    rows, cols = (a.ravel() for a in np.mgrid[0 : height : config.stride, 0 : width : config.stride])
    end = np.stack([cols, rows], 1) + there[rows, cols]
    returned = cv2.remap(back, end[:, None, 0].astype(np.float32), end[:, None, 1].astype(np.float32), cv2.INTER_LINEAR)
    loop = np.linalg.norm(there[rows, cols] + returned[:, 0], axis=1)
    if warp is not None:
        end = cv2.perspectiveTransform(end[:, None].astype(np.float64), warp)[:, 0]
    inside = (end >= 0).all(1) & (end[:, 0] < width - 1) & (end[:, 1] < height - 1)
    good = inside & (loop < config.flow_max_error)
    pixels, start, end = np.stack([rows, cols], 1)[good], np.stack([cols, rows], 1)[good], end[good]
    return _intersect(new, old, pixels, start + 0.5, end + 0.5, config)


def rotation_warp(new: Keyframe, old: Keyframe) -> FloatArray:
    """(3, 3) homography from pixels of `new` to pixels of `old` for things infinitely far away.

    A camera that circles a table sweeps over the room behind it: without this the flow there is too long to find.
    """
    R_old_new = old.T_world_camera[:3, :3].T @ new.T_world_camera[:3, :3]
    warp: FloatArray = old.camera.K @ R_old_new @ np.linalg.inv(new.camera.K)
    return warp


def _intersect(
    new: Keyframe, old: Keyframe, pixels: IntArray, uv_new: FloatArray, uv_old: FloatArray, config: SeedingConfig
) -> TrackedPoints:
    """Triangulate pixel pairs (P, 2) and keep those with enough parallax, in front of both and near both rays."""
    views = [(k.camera, inverse(k.T_world_camera)) for k in (new, old)]
    matrices = [camera.K @ T[:3] for camera, T in views]
    if len(pixels) == 0:
        return TrackedPoints(pixels, np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    ends: list[Any] = [uv.T.astype(np.float64) for uv in (uv_new, uv_old)]
    homogeneous = cv2.triangulatePoints(matrices[0], matrices[1], *ends)
    w = homogeneous[3]
    xyz = (homogeneous[:3] / np.where(np.abs(w) > 1e-12, w, 1e-12)).T
    error = np.zeros(len(xyz))
    depths = []
    for (camera, T), uv in zip(views, (uv_new, uv_old), strict=True):
        local = transform(T, xyz)
        z = np.where(np.abs(local[:, 2]) > 1e-6, local[:, 2], 1e-6)
        projected = (local @ camera.K.T)[:, :2] / z[:, None]
        error = np.maximum(error, np.linalg.norm(projected - uv, axis=1))
        depths.append(local[:, 2])
    rays = [xyz - k.T_world_camera[:3, 3] for k in (new, old)]
    cosine = (rays[0] * rays[1]).sum(1) / np.maximum(np.prod([np.linalg.norm(r, axis=1) for r in rays], axis=0), 1e-9)
    parallax = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    keep = (depths[0] > 0.05) & (depths[1] > 0.05) & (error < config.flow_max_error)
    keep &= parallax > config.flow_min_parallax
    return TrackedPoints(pixels[keep], xyz[keep], depths[0][keep], error[keep])


def choose_partners(items: Sequence[Keyframe], place: int) -> list[Keyframe]:
    """Keyframes near items[place] in time that look the same way from another spot, best baseline first."""
    new = items[place]
    scored = []
    for other in items[max(0, place - WINDOW) : place + WINDOW + 1]:
        angle = np.degrees(rotation_angle(new.T_world_camera, other.T_world_camera))
        baseline = float(np.linalg.norm(new.T_world_camera[:3, 3] - other.T_world_camera[:3, 3]))
        same_size = (other.camera.width, other.camera.height) == (new.camera.width, new.camera.height)
        if other is not new and same_size and baseline > 0.01 and angle < 30:
            scored.append((abs(np.log(baseline / 0.15)) + angle / 20, other.uid, other))
    return [other for _, _, other in sorted(scored, key=lambda s: s[:2])[:PARTNERS]]


def estimate_depth(new: Keyframe, partners: Sequence[Keyframe], config: SeedingConfig) -> FloatArray:
    """(H, W) float32 depth in metres of `new` on every stride-th pixel, 0 where no two partners agree."""
    size = (new.camera.height, new.camera.width)
    layers = np.full((len(partners), *size), np.nan, np.float32)
    for layer, partner in zip(layers, partners, strict=True):
        error = np.full(size, np.inf)
        for warp in (None, rotation_warp(new, partner)):
            points = triangulate(new, partner, config, warp)
            rows, cols = points.pixels.T
            better = points.error < error[rows, cols]
            rows, cols = rows[better], cols[better]
            layer[rows, cols], error[rows, cols] = points.depth[better], points.error[better]
    count = np.isfinite(layers).sum(0)
    rows, cols = np.nonzero(count >= 2)
    if not len(rows):
        return np.zeros(size, np.float32)
    values = layers[:, rows, cols]
    middle = np.nanmedian(values, axis=0)
    agree = (np.abs(values - middle) <= SPREAD * middle).sum(0) >= 2
    depth = np.zeros(size, np.float32)
    depth[rows[agree], cols[agree]] = middle[agree]
    return depth

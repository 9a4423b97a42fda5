"""Objects off the planes: segments of the surface between depth gaps and concave creases."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from ig_ros.segmentation.depth_surface import COS_NORMAL, RADII, DepthSurface, Mask
from ig_ros.segmentation.label_images import compact
from ig_ros.types import FloatArray, IntArray

BASELINE = max(RADII)  # px over which normals are compared: a crease is found half as far on both of its sides


def split_convex(surface: DepthSurface, off_plane: Mask, least: int) -> IntArray:
    """Returns (H, W) int32, 0 = none, 1.. = segments of at least `least` px among the pixels off every plane."""
    known = off_plane & (surface.points[..., 2] > 0)
    inside = known & ~surface.gap & ~creases(surface)
    _, segments, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=4)
    keep = stats[:, cv2.CC_STAT_AREA] >= least
    keep[0] = False
    segments = np.where(keep[segments], segments, 0)
    return compact(grow_within(segments, known, surface.points[..., 2]))


def creases(surface: DepthSurface) -> Mask:
    """Returns (H, W) bool, true in concave folds: two objects that touch, or an object on its support."""
    fold = np.zeros(surface.valid.shape, bool)
    half = BASELINE // 2
    for axis in (0, 1):
        first = np.roll(surface.points, half, axis), np.roll(surface.normals, half, axis)
        second = np.roll(surface.points, -half, axis), np.roll(surface.normals, -half, axis)
        between = second[0] - first[0]
        length = np.linalg.norm(between, axis=-1)
        closing = ((first[1] - second[1]) * between).sum(-1) / np.maximum(length, 1e-6)
        both = np.roll(surface.valid, half, axis) & np.roll(surface.valid, -half, axis)
        fold |= both & (closing > np.sqrt(1 - COS_NORMAL**2)) & (length < 0.1)
    return fold


def grow_within(labels: IntArray, allowed: Mask, depth: FloatArray) -> IntArray:
    """Returns the labels spread over the cuts between them where allowed, never across a step in depth."""
    distance, (rows, cols) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    step = np.abs(depth - depth[rows, cols])
    spread = allowed & (distance <= BASELINE // 2 + 1) & (step < 0.02 + 0.01 * depth**2)
    return np.where(spread, labels[rows, cols], labels)

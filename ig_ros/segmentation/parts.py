"""Things off the planes: pieces of surface between depth gaps and concave creases."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from ig_ros.segmentation.depth_surface import Mask, Surface
from ig_ros.types import FloatArray, IntArray

CREASE = np.sin(np.radians(28.0))  # normals that close by more than this angle meet in a concave crease
BASELINE = 4  # px over which normals are compared
THIN = 2.5  # px; half width of the thinnest region that counts
GROW = 2  # px by which pieces close over the cuts between them


def split_parts(surface: Surface, off_plane: Mask, least: int) -> IntArray:
    """(H, W) int32, 0 = none, 1.. = pieces of at least `least` px among the pixels off every plane."""
    known = off_plane & (surface.points[..., 2] > 0)
    inside = known & ~surface.gap & ~creases(surface)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=4)
    keep = stats[:, cv2.CC_STAT_AREA] >= least
    keep[0] = False
    pieces = np.where(keep[pieces], pieces, 0)
    return compact(grow_within(pieces, known, surface.points[..., 2]))


def creases(surface: Surface) -> Mask:
    """(H, W) true where the surface folds towards the camera: two things that touch, or a thing on its support."""
    fold = np.zeros(surface.valid.shape, bool)
    half = BASELINE // 2
    for axis in (0, 1):
        first = np.roll(surface.points, half, axis), np.roll(surface.normals, half, axis)
        second = np.roll(surface.points, -half, axis), np.roll(surface.normals, -half, axis)
        between = second[0] - first[0]
        length = np.linalg.norm(between, axis=-1)
        closing = ((first[1] - second[1]) * between).sum(-1) / np.maximum(length, 1e-6)
        both = np.roll(surface.valid, half, axis) & np.roll(surface.valid, -half, axis)
        fold |= both & (closing > CREASE) & (length < 0.1)
    return fold


def grow_within(labels: IntArray, allowed: Mask, depth: FloatArray) -> IntArray:
    """Labels spread over unlabelled allowed pixels near them, never across a step in depth."""
    distance, (rows, cols) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    step = np.abs(depth - depth[rows, cols])
    spread = allowed & (distance <= GROW + 1) & (step < 0.02 + 0.01 * depth**2)
    return np.where(spread, labels[rows, cols], labels)


def without_slivers(labels: IntArray) -> IntArray:
    """Labels without regions so thin that they are the frayed edge of something else."""
    padded = np.pad(labels, 1)
    border = (padded[1:-1, 1:-1] != padded[:-2, 1:-1]) | (padded[1:-1, 1:-1] != padded[2:, 1:-1])
    border |= (padded[1:-1, 1:-1] != padded[1:-1, :-2]) | (padded[1:-1, 1:-1] != padded[1:-1, 2:])
    inner = cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, 3)
    radius = np.zeros(int(labels.max()) + 1, inner.dtype)
    np.maximum.at(radius, labels.ravel(), inner.ravel())
    return np.where(radius[labels] >= THIN, labels, 0)


def grow(labels: IntArray, depth: FloatArray) -> IntArray:
    """All labels closed over the thin cuts between them."""
    return grow_within(labels, depth > 0, depth)


def compact(labels: IntArray) -> IntArray:
    """The same regions numbered 1.. without gaps, 0 stays 0."""
    used = np.zeros(int(labels.max(initial=0)) + 1, bool)
    used[labels] = True
    used[0] = False
    return np.where(used, np.cumsum(used), 0).astype(np.int32)[labels]

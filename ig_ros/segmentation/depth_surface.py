"""Smooth surface from one depth image: points, normals, where it is torn and where it folds.

A plane is affine in inverse depth over the image, so a windowed least-squares fit of 1/z gives depth and normal at
once, with box filters only. Windows shrink towards depth gaps so that they never mix two surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ig_ros.types import Camera, FloatArray, IntArray

Mask = npt.NDArray[np.bool_]

COS_NORMAL = np.cos(np.radians(20.0))  # normals of one surface differ by less than this angle
RADII = (1, 2, 4)  # window half sizes, px; the largest that keeps clear of a gap is used
BASELINE = max(RADII)  # px over which normals are compared: a crease is found half as far on both of its sides


@dataclass(frozen=True, slots=True)
class DepthSurface:
    """Everything in the camera frame; rows where `valid` is false are meaningless."""

    valid: Mask  # (H, W) depth is known and locally planar enough for a fit
    points: FloatArray  # (H, W, 3) float32 m
    normals: FloatArray  # (H, W, 3) float32 unit, towards the camera
    area: FloatArray  # (H, W) float32 m^2 of surface seen by each pixel
    gap: Mask  # (H, W) the surface is torn between this pixel and a neighbour


def tolerance(depth: FloatArray) -> FloatArray:
    """Returns how far from its surface a measured point may lie, m: noise and warp of a structured-light sensor."""
    return 0.006 + 0.0015 * depth**2 + 0.0008 * depth**3


def fit_surface(depth: FloatArray, camera: Camera) -> DepthSurface:
    """Returns the surface of a depth image (H, W) m, 0 or not finite = unknown."""
    known = np.isfinite(depth) & (depth > 0)
    z = np.where(known, depth, 0).astype(np.float32)
    gap = depth_gaps(z, known)
    clear = cv2.distanceTransform((~gap & known).astype(np.uint8), cv2.DIST_C, 3)
    plane = np.zeros((*z.shape, 3), np.float32)
    valid = np.zeros(z.shape, bool)
    for radius in RADII:
        fit, good = fit_inverse_depth(z, known & ~gap, radius)
        take = good & ((clear > radius) | (radius == RADII[0]))
        plane[take] = fit[take]
        valid |= take
    return to_surface(plane, valid & known, z, gap, camera)


def depth_gaps(z: FloatArray, known: Mask) -> Mask:
    """Returns (H, W) true on both sides of a step in depth that a slanted plane does not explain."""
    gap = np.zeros(z.shape, bool)
    for axis in (0, 1):
        step = np.diff(z, axis=axis)
        both = np.logical_and(*pair(known, axis))
        before, after = np.zeros_like(step), np.zeros_like(step)
        pair(before, axis)[1][:] = pair(step, axis)[0]
        pair(after, axis)[0][:] = pair(step, axis)[1]
        near = np.minimum(*pair(z, axis))
        slope = np.where(np.abs(before) < np.abs(after), before, after)
        torn = both & (np.abs(step - slope) > 2 * tolerance(near))
        for side in pair(gap, axis):
            side[torn] = True
    return gap


def fit_inverse_depth(z: FloatArray, known: Mask, radius: int) -> tuple[FloatArray, Mask]:
    """Returns per pixel (A, B, C) with 1/z = A u + B v + C over a window, u and v in pixels from that pixel."""
    m = known.astype(np.float32)
    q = np.divide(1.0, z, out=np.zeros_like(m), where=known)
    ramp = np.arange(-radius, radius + 1, dtype=np.float32)
    powers = [np.ones_like(ramp), ramp, ramp**2]

    def moment(values: FloatArray, u: int, v: int) -> FloatArray:
        sums: FloatArray = cv2.sepFilter2D(values, cv2.CV_32F, powers[u], powers[v], borderType=cv2.BORDER_CONSTANT)
        return sums

    count = moment(m, 0, 0)
    share = 1 / np.maximum(count, 1)
    mean_u, mean_v, mean_q = moment(m, 1, 0) * share, moment(m, 0, 1) * share, moment(q, 0, 0) * share
    uu, vv = moment(m, 2, 0) * share - mean_u**2, moment(m, 0, 2) * share - mean_v**2
    uv = moment(m, 1, 1) * share - mean_u * mean_v
    uq, vq = moment(q, 1, 0) * share - mean_u * mean_q, moment(q, 0, 1) * share - mean_v * mean_q
    determinant = uu * vv - uv**2
    good = (2 * count > ramp.size**2) & (determinant > 0.05)
    safe = np.where(good, determinant, 1)
    a, b = (vv * uq - uv * vq) / safe, (uu * vq - uv * uq) / safe
    return np.stack([a, b, mean_q - a * mean_u - b * mean_v], axis=-1), good


def to_surface(plane: FloatArray, valid: Mask, z: FloatArray, gap: Mask, camera: Camera) -> DepthSurface:
    """Returns points and normals from per-pixel planes in inverse depth (H, W, 3)."""
    h, w = z.shape
    a, b, inverse = np.moveaxis(plane, -1, 0)
    fitted = np.divide(1, inverse, out=z.copy(), where=valid & (inverse > 1e-3))
    fitted = np.where(np.abs(fitted - z) < 2 * tolerance(z), fitted, z)
    K = camera.K.astype(np.float32)
    x = np.broadcast_to((np.arange(w, dtype=np.float32) + 0.5 - K[0, 2]) / K[0, 0], z.shape)
    y = np.broadcast_to(((np.arange(h, dtype=np.float32) + 0.5 - K[1, 2]) / K[1, 1])[:, None], z.shape)
    a, b = a * K[0, 0], b * K[1, 1]
    length = np.maximum(np.sqrt(a**2 + b**2 + (inverse - a * x - b * y) ** 2), 1e-9)
    normals = np.stack([a, b, inverse - a * x - b * y], axis=-1) / -length[..., None]
    cosine = (
        np.abs(inverse) / length / np.sqrt(x**2 + y**2 + 1)
    )  # a ray (x, y, 1) times its normal is -inverse / length
    area = fitted**2 / (K[0, 0] * K[1, 1]) / np.maximum(cosine, 0.1)
    return DepthSurface(valid, np.stack([x, y, np.ones_like(z)], axis=-1) * fitted[..., None], normals, area, gap)


def pair(array: npt.NDArray[np.generic], axis: int) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    """Returns views of all pixels but the last, and all but the first, along an axis: neighbours in pairs."""
    return (array[:-1], array[1:]) if axis == 0 else (array[:, :-1], array[:, 1:])


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

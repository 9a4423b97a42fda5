"""Depth images: those of another camera or moment than their image registered to it, reduced without losing pixels."""

from __future__ import annotations

import cv2
import numpy as np

from ig_ros.errors import FrameError
from ig_ros.geometry import reproject_depth
from ig_ros.lens_distortion import Rectifier
from ig_ros.types import FloatArray

DEPTH_NOISE = 0.03  # share of a depth by which it and the pose may be wrong, as seeding.depth_margin
LATEST, STEADY = 0.1, 0.005  # s: depth stamped beside its image by a steady offset below the first, within the second


def steady_offset(offsets: FloatArray) -> float | None:
    """Returns by how much depth is stamped beside its images, s, from offsets (N,) s; None where that is not steady."""
    middle = float(np.median(offsets))
    steady = float(np.median(np.abs(offsets - middle))) <= STEADY
    return middle if steady and abs(middle) <= LATEST else None


def aligned_depth(
    depth: FloatArray, color: Rectifier, own: Rectifier | None = None, T_color_depth: FloatArray | None = None
) -> FloatArray:
    """Returns depth (h, w) m as the undistorted image of `color` sees it, (H, W) float32; 0 where there is none.

    `own` is the calibration of a depth camera of its own, None = depth is registered; T_color_depth (4, 4) its pose in
    the image's camera, None = the same. Raises FrameError `depth_size` where depth and its calibration differ in size.
    """
    lens = own or color
    depth = fitted_depth(depth, lens)
    height, width = depth.shape
    if (width, height) != (lens.camera.width, lens.camera.height):
        size, whose = f"{lens.camera.width}x{lens.camera.height}", "its camera_info" if own else "the image"
        remedy = "publish its own calibration as depth/camera_info, or depth registered to the image"
        raise FrameError("depth_size", f"depth is {width}x{height}, {whose} {size}: {remedy}")
    depth = np.asarray(lens.nearest(depth), np.float32)
    if own is None and T_color_depth is None:
        return depth
    return reproject_depth(depth, lens.camera, np.eye(4) if T_color_depth is None else T_color_depth, color.camera)


def fitted_depth(depth: FloatArray, lens: Rectifier) -> FloatArray:
    """Returns depth (h, w) m of the whole image, float32, reduced as its images are; of another size as it is."""
    camera, n = lens.camera, lens.lens.reduction
    whole = n > 1 and depth.shape == (camera.height * n, camera.width * n)
    return reduced_depth(depth, (camera.width, camera.height)) if whole else np.asarray(depth, np.float32)


def reduced_depth(depth: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Returns depth (H, W) m reduced to size (width, height) px, (height, width) float32 m, 0 = unknown.

    A pixel gets the depth of its first source pixel, where that has none the median of those of its block: always a
    depth that was measured, never a mean across a step.
    """
    clean = np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)
    (height, width), per_pixel = depth.shape, max(1, round(depth.shape[1] / size[0]))
    steps = np.arange(per_pixel) / per_pixel
    rows, cols = (
        np.floor((np.arange(n)[:, None] + steps) * (whole / n)).astype(np.intp)
        for n, whole in ((size[1], height), (size[0], width))
    )
    reduced = clean[np.ix_(rows[:, 0], cols[:, 0])]
    v, u = np.nonzero(reduced == 0)
    block = np.sort(clean[rows[v][:, :, None], cols[u][:, None, :]].reshape(len(v), per_pixel**2))
    middle = ((block == 0).sum(1) + block.shape[1] - 1) // 2  # of those above 0
    reduced[v, u] = np.take_along_axis(block, middle[:, None], 1)[:, 0]
    return np.asarray(reduced)


def filled_depth(depth: FloatArray) -> FloatArray:
    """Returns depth (H, W) float32 m whose small holes (0) in a surface are filled.

    In two rounds a pixel gets the mean of its eight neighbours if most are known and differ by less than DEPTH_NOISE:
    never across a step, and a gap of two pixels between two things stays one.
    """
    window = np.ones((3, 3), np.uint8)
    for _ in range(2):
        known = (depth > 0).astype(np.float32)
        count, total = (
            cv2.boxFilter(a, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT) for a in (known, depth)
        )
        far, near = cv2.dilate(depth, window), cv2.erode(np.where(depth > 0, depth, np.float32(np.inf)), window)
        hole = (depth == 0) & (count > 4.5) & (far - near < DEPTH_NOISE * far)
        depth = np.where(hole, total / np.maximum(count, 1), depth)
    return np.asarray(depth, np.float32)

"""Depth of another camera, or of another moment, than the image that it belongs to."""

from __future__ import annotations

import numpy as np

from ig_ros.errors import FrameError
from ig_ros.geometry import reproject_depth
from ig_ros.lens_distortion import Rectifier
from ig_ros.types import FloatArray

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
    depth = np.asarray(lens.fitted(depth), np.float32)
    height, width = depth.shape
    if (width, height) != (lens.camera.width, lens.camera.height):
        size, whose = f"{lens.camera.width}x{lens.camera.height}", "its camera_info" if own else "the image"
        remedy = "publish its own calibration as depth/camera_info, or depth registered to the image"
        raise FrameError("depth_size", f"depth is {width}x{height}, {whose} {size}: {remedy}")
    depth = np.asarray(lens.nearest(depth), np.float32)
    if own is None and T_color_depth is None:
        return depth
    return reproject_depth(depth, lens.camera, np.eye(4) if T_color_depth is None else T_color_depth, color.camera)

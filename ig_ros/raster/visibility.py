"""Which pixel of a view shows each point of a cloud, by the compiled kernel."""

from __future__ import annotations

import ctypes

import numpy as np
import torch

from ig_ros.geometry import inverse
from ig_ros.raster.library import load
from ig_ros.types import Camera, FloatArray, IntArray

NEAREST = 0.05  # m before the camera


def visible_pixels(
    points: FloatArray, camera: Camera, T_world_camera: FloatArray, depth: FloatArray, relative: float, absolute: float
) -> IntArray:
    """(N,) int32 place in the flattened image of the pixel that shows each point (N, 3) m, -1 = hidden.

    depth (H, W) m is the surface the view sees, 0 = unknown; a point is shown if it lies within relative * z + absolute
    of it.
    """
    cloud = np.ascontiguousarray(points, np.float32)
    surface = np.ascontiguousarray(depth, np.float32)
    pose = np.ascontiguousarray(inverse(T_world_camera)[:3], np.float32)
    intrinsics = camera.K[[0, 1, 0, 1], [0, 1, 2, 2]].astype(np.float32)
    pixel = np.empty(len(cloud), np.int32)
    if surface.shape != (camera.height, camera.width) or cloud.shape[1:] != (3,):
        raise ValueError(
            f"points {cloud.shape} and depth {surface.shape} do not fit a {camera.width}x{camera.height} view"
        )
    count, size = ctypes.c_int64(len(cloud)), (camera.width, camera.height)
    limits = [ctypes.c_float(v) for v in (NEAREST, relative, absolute)]
    inputs = [ctypes.c_void_p(a.ctypes.data) for a in (cloud, pose, intrinsics, surface, pixel)]
    threads = torch.get_num_threads()
    load().call("ig_visible_pixels", inputs[0], count, *inputs[1:4], *size, *limits, inputs[4], threads)
    return pixel

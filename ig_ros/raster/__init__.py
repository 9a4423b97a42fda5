"""Differentiable rasterisation of Gaussians on the CPU (own kernels) and CUDA (gsplat), and other compiled kernels."""

from ig_ros.raster import counting
from ig_ros.raster.adam import RowStep, adam_rows
from ig_ros.raster.rasterizer import device_name, gpu_problem, rasterize, select_device, top_contributor
from ig_ros.raster.request import ScreenStats
from ig_ros.raster.visibility import (
    DepthView,
    PointVisibility,
    ViewProjection,
    believe_loose,
    visible_pixels,
)

__all__ = [
    "DepthView",
    "PointVisibility",
    "RowStep",
    "ScreenStats",
    "ViewProjection",
    "adam_rows",
    "believe_loose",
    "counting",
    "device_name",
    "gpu_problem",
    "rasterize",
    "select_device",
    "top_contributor",
    "visible_pixels",
]

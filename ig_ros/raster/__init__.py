"""Differentiable rasterisation of Gaussians on the CPU (own kernels) and CUDA (gsplat), and other compiled kernels."""

from ig_ros.raster import counting
from ig_ros.raster.adam import RowStep, adam_rows
from ig_ros.raster.contacts import contacts
from ig_ros.raster.farthest import farthest_points
from ig_ros.raster.losses import image_loss
from ig_ros.raster.merging import MergeRule, merge_groups
from ig_ros.raster.rasterizer import rasterize, select_device, top_contributor
from ig_ros.raster.request import ScreenStats
from ig_ros.raster.visibility import Look, Sighting, Surface, believe_loose, carry, visible_pixels

__all__ = [
    "Look",
    "MergeRule",
    "RowStep",
    "ScreenStats",
    "Sighting",
    "Surface",
    "adam_rows",
    "believe_loose",
    "carry",
    "contacts",
    "counting",
    "farthest_points",
    "image_loss",
    "merge_groups",
    "rasterize",
    "select_device",
    "top_contributor",
    "visible_pixels",
]

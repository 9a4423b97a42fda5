"""Masks from depth and colour alone: planes whole, things on them apart. No weights, several images per second.

Images without depth are cut by colour, which is much less, and slower: about two images per second.
"""

from __future__ import annotations

import cv2
import numpy as np
from skimage.graph import cut_threshold, rag_mean_color
from skimage.segmentation import felzenszwalb

from ig_ros.config import SegmentationConfig
from ig_ros.segmentation.depth_surface import Surface, fit_surface
from ig_ros.segmentation.flat_objects import find_prints, join_prints
from ig_ros.segmentation.parts import compact, grow, split_parts, without_slivers
from ig_ros.segmentation.planes import Plane, find_planes, label_planes
from ig_ros.types import Array, Camera, FloatArray, IntArray, Masks

SCALE = 200.0  # of the observation level: larger means larger pieces
SIGMA = 0.8  # px, smoothing before
MERGE = 9.0  # Lab units: neighbouring pieces whose mean colours are closer become one


def segment_colors(rgb: Array, least: int) -> IntArray:
    """(H, W) int32, 1.. = regions of one colour of at least `least` px, of an image rgb (H, W, 3) u8.

    It knows nothing of things: shadows and prints are cut, and things of their background's colour are lost in it.
    """
    lab = cv2.cvtColor(np.ascontiguousarray(rgb, np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    pieces = felzenszwalb(lab / 100.0, scale=SCALE, sigma=SIGMA, min_size=least, channel_axis=-1)
    merged = cut_threshold(pieces, rag_mean_color(lab, pieces), MERGE)
    return np.asarray(merged, np.int32) + 1


WORK_WIDTH = 320  # px; a Kinect's depth holds no more
FULL_SIZE = 640 * 480  # px, to which min_region refers


class GeometricSegmenter:
    """Depth gaps, concave edges and colour; objects come without names, all with the score 1."""

    name = "geometric"

    def __init__(self, config: SegmentationConfig) -> None:
        self.min_region = config.min_region

    def segment(self, rgb: Array, depth: FloatArray | None, camera: Camera) -> Masks:
        """Masks of rgb (H, W, 3) u8 with registered depth (H, W) m, 0 = unknown, or without any."""
        width = min(WORK_WIDTH, camera.width)
        small = camera.resized(width, round(camera.height * width / camera.width))
        size = (small.width, small.height)
        reduced = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        if depth is None:
            labels = segment_colors(reduced, max(8, round(self.min_region * size[0] * size[1] / FULL_SIZE)))
        else:
            depth = np.where(np.isfinite(depth), depth, 0).astype(np.float32)
            labels = self.label(reduced, cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), small)
        full = cv2.resize(labels, (camera.width, camera.height), interpolation=cv2.INTER_NEAREST)
        return Masks(full)

    def label(self, rgb: Array, depth: FloatArray, camera: Camera) -> IntArray:
        """(H, W) int32 label image: planes first, then things off the planes, then flat things on them."""
        least = max(8, round(self.min_region * depth.size / FULL_SIZE))
        surface = fit_surface(depth, camera)
        generator = np.random.default_rng(0)  # the same image always gives the same masks
        planes, models = label_planes(surface, find_planes(surface, generator))
        things = split_parts(surface, planes == 0, least)
        heights = support_heights(surface, models)
        things, prints = join_prints(find_prints(rgb, planes, least), things, heights)
        labels = planes.copy()
        labels[things > 0] = things[things > 0] + len(models)
        labels[prints > 0] = prints[prints > 0] + labels.max()
        return compact(grow(without_slivers(labels), depth))


def support_heights(surface: Surface, planes: list[Plane]) -> FloatArray:
    """(H, W) m above the nearest plane behind each pixel; infinite where there is none."""
    heights = np.full(surface.valid.shape, np.inf)
    for plane in planes:
        height = plane.height(surface.points)
        heights = np.where(height > 0, np.minimum(heights, height), heights)
    return heights

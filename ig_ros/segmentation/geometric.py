"""Masks from depth and colour alone: planes whole, objects on them apart. No weights, several images per second.

Images without depth are cut by colour, which is much less, and slower: about two images per second.
"""

from __future__ import annotations

import cv2
import numpy as np
from skimage.graph import cut_threshold, rag_mean_color
from skimage.segmentation import felzenszwalb

from ig_ros.config import SegmentationConfig
from ig_ros.depth_alignment import filled_depth, reduced_depth
from ig_ros.segmentation.convex_segments import grow_within, split_convex
from ig_ros.segmentation.depth_surface import fit_surface
from ig_ros.segmentation.flat_objects import find_flat_objects
from ig_ros.segmentation.label_images import compact, least_pixels, without_slivers
from ig_ros.segmentation.planes import find_planes, label_planes
from ig_ros.types import Array, Camera, FloatArray, IntArray, Masks

SCALE = 200.0  # of the observation level [Felzenszwalb and Huttenlocher 2004]: larger means larger regions
MERGE = 9.0  # Lab units: neighbouring regions whose mean colours are closer become one


def segment_colors(rgb: Array, least: int) -> IntArray:
    """Returns (H, W) int32, 1.. = regions of one colour of at least `least` px, of an image rgb (H, W, 3) u8.

    Shadows and printed patterns are cut apart, and objects of their background's colour are lost in it.
    """
    lab = cv2.cvtColor(np.ascontiguousarray(rgb, np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    regions = felzenszwalb(lab / 100.0, scale=SCALE, min_size=least, channel_axis=-1)
    merged = cut_threshold(regions, rag_mean_color(lab, regions), MERGE)
    return np.asarray(merged, np.int32) + 1


WORK_WIDTH = 320  # px to which images are reduced; a Kinect's depth holds no more detail


class GeometricSegmenter:
    """Cuts at depth gaps, concave edges and colour; objects come without names, all with the score 1."""

    name = "geometric"

    def __init__(self, config: SegmentationConfig) -> None:
        self.min_region = config.min_region

    def segment(self, rgb: Array, depth: FloatArray | None, camera: Camera) -> Masks:
        """Returns masks of rgb (H, W, 3) u8 with registered depth (H, W) m, 0 = unknown, or without any."""
        width = min(WORK_WIDTH, camera.width)
        small = camera.resized(width, round(camera.height * width / camera.width))
        size = (small.width, small.height)
        reduced = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        if depth is None:
            labels = segment_colors(reduced, least_pixels(self.min_region, small.height, small.width))
        else:
            labels = self.label(reduced, filled_depth(reduced_depth(depth, size)), small)
        full = cv2.resize(labels, (camera.width, camera.height), interpolation=cv2.INTER_NEAREST)
        return Masks(full)

    def label(self, rgb: Array, depth: FloatArray, camera: Camera) -> IntArray:
        """Returns (H, W) int32 labels: planes first, then objects off the planes, then flat objects on them."""
        least = least_pixels(self.min_region, *depth.shape)
        surface = fit_surface(depth, camera)
        generator = np.random.default_rng(0)  # the same image always gives the same masks
        planes, models = label_planes(surface, find_planes(surface, generator))
        flat = find_flat_objects(rgb, planes, least)
        solid = split_convex(surface, planes == 0, least)
        labels = planes.copy()
        labels[solid > 0] = solid[solid > 0] + len(models)
        labels[flat > 0] = flat[flat > 0] + labels.max()
        return compact(grow_within(without_slivers(labels), depth > 0, depth))

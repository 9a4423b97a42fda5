"""Masks from depth and colour alone: planes whole, objects on them apart. No weights, several images per second.

Images without depth are cut by colour, which is much less, and slower: about two images per second.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from skimage.graph import cut_threshold, rag_mean_color
from skimage.segmentation import felzenszwalb

from ig_ros.config import SegmentationConfig
from ig_ros.depth_images import filled_depth, reduced_depth
from ig_ros.segmentation.depth_surface import Mask, fit_surface, grow_within
from ig_ros.segmentation.label_images import compact, least_pixels, without_slivers
from ig_ros.segmentation.planes import find_planes, label_planes
from ig_ros.segmentation.surface_patches import find_objects
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


MIN_DIFFERENCE = 16.0  # Lab units (lightness at half weight) of a flat object from its plane's own colour


MOST_SHADOW = 0.5  # cube root of the light that is left in the darkest shadow


def find_flat_objects(rgb: Array, planes: IntArray, least: int) -> IntArray:
    """Returns (H, W) int32, 0 = none, 1.. = patches (paper, cards) whose colour stands out from their plane:
    they are too thin for depth. The shadow of what stands on the plane is none.
    """
    lab = cv2.bilateralFilter(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), 5, 12.0, 3.0).astype(np.float32)
    lab = lab * np.array([100 / 255, 1, 1], np.float32) + np.array([16, -128, -128], np.float32)
    solid = cv2.dilate((planes == 0).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    flat = np.zeros(planes.shape, np.int32)
    for label in range(1, int(planes.max()) + 1):
        outliers = color_outliers(lab, planes == label, solid).astype(np.uint8)
        _, patches, stats, _ = cv2.connectedComponentsWithStats(outliers, connectivity=4)
        for i in range(1, len(stats)):
            if stats[i, cv2.CC_STAT_AREA] >= least:
                flat[patches == i] = flat.max() + 1
    return flat


def color_outliers(lab: FloatArray, region: Mask, solid: Mask) -> Mask:
    """Returns (H, W) bool: pixels that differ from their region's median colour more than its texture does.

    `lab` (H, W, 3) is L + 16, a and b: less light makes them smaller by one factor, the cube root of its share. Pixels
    that are so, and reach to what stands in front of the region (`solid`), are shadow.
    """
    values = lab[region]
    own = np.median(values, axis=0)
    difference = np.linalg.norm((values - own) * np.array([1.25, 1, 1], np.float32), axis=-1)
    patch, dark = np.zeros((2, *region.shape), bool)
    patch[region] = difference > max(MIN_DIFFERENCE, 4.0 * float(np.median(difference)))
    light = lab[patch][:, :1] / own[0]
    tinted = np.linalg.norm((lab[patch] - own * light)[:, 1:], axis=-1)
    dark[patch] = (light[:, 0] < 1) & (light[:, 0] > MOST_SHADOW) & (tinted < MIN_DIFFERENCE / 2)
    dark = cleaned(dark, region)
    _, shadows = cv2.connectedComponents(dark.astype(np.uint8))
    cast = np.unique(shadows[solid & dark])
    return cleaned(patch & ~np.isin(shadows, cast), region)


def cleaned(patch: Mask, region: Mask) -> Mask:
    """Returns the patch without specks and with small holes filled, within the region."""
    opened = cv2.morphologyEx(patch.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    closed: npt.NDArray[np.uint8] = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return (closed > 0) & region


WORK_SIZE = 320  # px of the longer side to which images are reduced; a Kinect's depth holds no more detail


class GeometricSegmenter:
    """Cuts at depth gaps, concave edges and colour; objects come without names, all with the score 1."""

    name = "geometric"

    def __init__(self, config: SegmentationConfig) -> None:
        self.min_region = config.min_region

    def segment(self, rgb: Array, depth: FloatArray | None, camera: Camera) -> Masks:
        """Returns masks of rgb (H, W, 3) u8 with registered depth (H, W) m, 0 = unknown, or without any."""
        scale = min(1.0, WORK_SIZE / max(camera.width, camera.height))
        small = camera.resized(round(camera.width * scale), round(camera.height * scale))
        size = (small.width, small.height)
        reduced = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        if depth is None:
            labels = segment_colors(reduced, least_pixels(self.min_region, small.height, small.width))
        else:
            labels = self.label(reduced, filled_depth(reduced_depth(depth, size)), small)
        full = cv2.resize(labels, (camera.width, camera.height), interpolation=cv2.INTER_NEAREST)
        return Masks(full)

    def label(self, rgb: Array, depth: FloatArray, camera: Camera) -> IntArray:
        """Returns (H, W) int32 labels: planes first, then flat objects on them, then what stands on them."""
        least = least_pixels(self.min_region, *depth.shape)
        surface = fit_surface(depth, camera)
        generator = np.random.default_rng(0)  # the same image always gives the same masks
        planes, models = label_planes(surface, find_planes(surface, generator))
        flat = find_flat_objects(rgb, planes, least)
        objects = find_objects(surface, planes, least)
        labels = np.where(flat > 0, flat + len(models), planes)
        labels = np.where(objects > 0, objects + labels.max(), labels)
        return compact(grow_within(without_slivers(labels), depth > 0, depth))

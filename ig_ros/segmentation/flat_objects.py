"""Flat objects on a plane (paper, books, controllers), found by colour: they are too thin for depth."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.segmentation.depth_surface import Mask
from ig_ros.types import Array, FloatArray, IntArray

CELL = 16  # px, edge of the cells of which each gives one colour to the background estimate
REACH = 4  # cells on each side over which the plane's own colour is the median
MIN_DIFFERENCE = 16.0  # Lab units (lightness at half weight) from the plane's own colour
LARGEST = 0.35  # of its plane: what is larger is the plane itself in another colour

CONTACT = 4  # px between a flat object and the object that it may be the rim of
MIN_CONTACT = 0.6  # of the smaller one's diameter
FLAT = 0.03  # m: an object this low is one with the flat object it touches, however large that is


def find_flat_objects(rgb: Array, planes: IntArray, least: int) -> IntArray:
    """Returns (H, W) int32, 0 = none, 1.. = patches whose colour stands out from the plane they lie on."""
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32) * np.array([0.5, 1.0, 1.0], np.float32)
    lab = cv2.bilateralFilter(lab, 5, 12.0, 3.0)
    flat = np.zeros(planes.shape, np.int32)
    for label in range(1, int(planes.max()) + 1):
        region = planes == label
        outliers = color_outliers(lab, region).astype(np.uint8)
        _, patches, stats, _ = cv2.connectedComponentsWithStats(outliers, connectivity=4)
        for i in range(1, len(stats)):
            if least <= stats[i, cv2.CC_STAT_AREA] <= LARGEST * region.sum():
                flat[patches == i] = flat.max() + 1
    return flat


def color_outliers(lab: FloatArray, region: Mask) -> Mask:
    """Returns (H, W) bool: pixels that differ from their region's local median colour more than its texture does."""
    difference = np.linalg.norm(lab - background(lab, region), axis=-1)
    texture = float(np.median(difference[region]))
    patch = (region & (difference > max(MIN_DIFFERENCE, 4.0 * texture))).astype(np.uint8)
    opened = cv2.morphologyEx(patch, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    closed: npt.NDArray[np.uint8] = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return (closed > 0) & region


def background(lab: FloatArray, region: Mask) -> npt.NDArray[np.float32]:
    """Returns (H, W, 3) median colour of the region's pixels over a wide window around each pixel."""
    everywhere = np.median(lab[region], axis=0)
    colors, inside = lab[::CELL, ::CELL], region[::CELL, ::CELL]
    medians = np.empty(colors.shape, np.float32)
    for row, col in np.ndindex(inside.shape):
        window = np.s_[max(0, row - REACH) : row + REACH + 1, max(0, col - REACH) : col + REACH + 1]
        seen = colors[window][inside[window]]
        medians[row, col] = np.median(seen, axis=0) if len(seen) > REACH else everywhere
    smooth: npt.NDArray[np.float32] = cv2.resize(medians, region.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return smooth


def merge_rims(flat: IntArray, solid: IntArray, heights: FloatArray) -> tuple[IntArray, IntArray]:
    """Merges flat objects that are the coloured rim of a solid one; returns solid and flat labels (H, W).

    Colour and depth of a structured-light sensor are some pixels apart, so an object with height also shows as a patch
    beside itself, and a thin one (a magazine) is seen in part by its height and in part by its colour. `heights` (H, W)
    is the distance in m to the plane that a pixel may stand on.
    """
    merged, left = solid.copy(), flat.copy()
    kernel = np.ones((2 * CONTACT + 1, 2 * CONTACT + 1), np.uint8)
    for label in range(1, int(flat.max()) + 1):
        patch = flat == label
        area = int(patch.sum())
        touched = solid[(cv2.dilate(patch.astype(np.uint8), kernel) > 0) & (solid > 0)]
        if not len(touched):
            continue
        neighbor = int(np.bincount(touched).argmax())
        body = solid == neighbor
        contact = int((touched == neighbor).sum()) / (CONTACT * np.sqrt(min(area, int(body.sum()))))
        low = float((heights[body] < FLAT).mean()) > 0.9
        if contact > MIN_CONTACT and (low or area < body.sum()):
            merged[patch], left[patch] = neighbor, 0
    return merged, left

"""Flat things on a plane (paper, books, controllers): too thin for depth, so colour must tell."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.segmentation.depth_surface import Mask
from ig_ros.types import Array, FloatArray, IntArray

COARSE = 4  # px per cell of the background estimate
STEP = 6  # cells between two estimates
REACH = 16  # cells (half window) over which the plane's own colour is the median
ENOUGH = 40  # cells of the plane in a window; with fewer, the whole plane's median stands in
MIN_DIFFERENCE = 16.0  # Lab units (lightness at half weight) from the plane's own colour
LARGEST = 0.35  # of its plane: what is larger is the plane itself in another colour

CONTACT = 4  # px between a patch and the thing it may belong to
MIN_CONTACT = 0.6  # of the smaller one's diameter
FLAT = 0.03  # m; a thing this low is one with the patch it touches, however large the patch


def find_prints(rgb: Array, planes: IntArray, least: int) -> IntArray:
    """(H, W) int32, 0 = none, 1.. = patches whose colour stands out from the plane they lie on."""
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32) * np.array([0.5, 1.0, 1.0], np.float32)
    lab = cv2.bilateralFilter(lab, 5, 12.0, 3.0)
    prints = np.zeros(planes.shape, np.int32)
    for label in range(1, int(planes.max()) + 1):
        region = planes == label
        patch = stands_out(lab, region)
        _, parts, stats, _ = cv2.connectedComponentsWithStats(patch.astype(np.uint8), connectivity=4)
        for i in range(1, len(stats)):
            if least <= stats[i, cv2.CC_STAT_AREA] <= LARGEST * region.sum():
                prints[parts == i] = prints.max() + 1
    return prints


def stands_out(lab: FloatArray, region: Mask) -> Mask:
    """(H, W) pixels of the region that differ from its local median colour by more than its own texture does."""
    difference = np.linalg.norm(lab - background(lab, region), axis=-1)
    texture = float(np.median(difference[region]))
    patch = (region & (difference > max(MIN_DIFFERENCE, 4.0 * texture))).astype(np.uint8)
    opened = cv2.morphologyEx(patch, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    closed: npt.NDArray[np.uint8] = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return (closed > 0) & region


def background(lab: FloatArray, region: Mask) -> npt.NDArray[np.float32]:
    """(H, W, 3) median colour of the region's pixels over a wide window around each pixel."""
    height, width = region.shape
    colors, inside = lab[::COARSE, ::COARSE], region[::COARSE, ::COARSE]
    everywhere = np.median(lab[region], axis=0)
    rows, cols = np.arange(0, len(colors), STEP), np.arange(0, colors.shape[1], STEP)
    medians = np.empty((len(rows), len(cols), 3), np.float32)
    for i, row in enumerate(rows):
        for j, col in enumerate(cols):
            window = np.s_[max(0, row - REACH) : row + REACH + 1, max(0, col - REACH) : col + REACH + 1]
            seen = colors[window][inside[window]]
            medians[i, j] = np.median(seen, axis=0) if len(seen) >= ENOUGH else everywhere
    smooth: npt.NDArray[np.float32] = cv2.resize(medians, (width, height), interpolation=cv2.INTER_LINEAR)
    return smooth


def join_prints(prints: IntArray, things: IntArray, heights: FloatArray) -> tuple[IntArray, IntArray]:
    """Prints that are the coloured rim of a thing become part of it; returns both label images (H, W).

    Colour and depth of a structured-light sensor are some pixels apart, so a thing with height also shows as a patch
    beside itself, and a thin thing (a magazine) is seen in part by its height and in part by its colour. `heights`
    (H, W) is the distance in m to the plane that a pixel may stand on.
    """
    joined, left = things.copy(), prints.copy()
    kernel = np.ones((2 * CONTACT + 1, 2 * CONTACT + 1), np.uint8)
    for label in range(1, int(prints.max()) + 1):
        patch = prints == label
        area = int(patch.sum())
        touched = things[(cv2.dilate(patch.astype(np.uint8), kernel) > 0) & (things > 0)]
        if not len(touched):
            continue
        neighbor = int(np.bincount(touched).argmax())
        thing = things == neighbor
        contact = int((touched == neighbor).sum()) / (CONTACT * np.sqrt(min(area, int(thing.sum()))))
        flat = float((heights[thing] < FLAT).mean()) > 0.9
        if contact > MIN_CONTACT and (flat or area < thing.sum()):
            joined[patch], left[patch] = neighbor, 0
    return joined, left

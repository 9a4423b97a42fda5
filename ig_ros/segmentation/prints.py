"""Flat things on a plane (paper, books, controllers): too thin for depth, so colour must tell."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.segmentation.surface import Mask
from ig_ros.types import Array, FloatArray, IntArray

COARSE = 8  # px per cell of the background estimate
REACH = 9  # cells (half window) over which the plane's own colour is the median
MIN_DIFFERENCE = 16.0  # Lab units (lightness at half weight) from the plane's own colour
LARGEST = 0.35  # of its plane: what is larger is the plane itself in another colour


def find_prints(rgb: Array, planes: IntArray, things: IntArray, least: int) -> IntArray:
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
    kernel = np.ones((3, 3), np.uint8)
    patch = cv2.morphologyEx(cv2.morphologyEx(patch, cv2.MORPH_OPEN, kernel), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return (patch > 0) & region


def background(lab: FloatArray, region: Mask) -> npt.NDArray[np.float32]:
    """(H, W, 3) median colour of the region's pixels over a wide window around each pixel."""
    height, width = region.shape
    rows, cols = -(-height // COARSE), -(-width // COARSE)
    sample = np.where(region[..., None], lab, np.nan)[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE]
    padded = np.pad(sample, ((REACH, REACH + rows - sample.shape[0]), (REACH, REACH + cols - sample.shape[1]), (0, 0)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * REACH + 1, 2 * REACH + 1), axis=(0, 1))
    wanted = ~np.isnan(windows[..., 0, :, :]).all(axis=(-1, -2)) if False else None
    del wanted
    flat = windows.reshape(*windows.shape[:3], -1)
    with np.errstate(all="ignore"):
        medians = np.nanmedian(flat, axis=-1)
    medians = np.where(np.isnan(medians), np.nanmedian(lab[region], axis=0), medians).astype(np.float32)
    return cv2.resize(medians, (width, height), interpolation=cv2.INTER_LINEAR)

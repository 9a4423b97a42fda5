"""Flat objects on a plane (paper, books, controllers), found by colour: they are too thin for depth."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.segmentation.depth_surface import Mask
from ig_ros.types import Array, FloatArray, IntArray

MIN_DIFFERENCE = 16.0  # Lab units (lightness at half weight) from the plane's own colour


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
            if stats[i, cv2.CC_STAT_AREA] >= least:
                flat[patches == i] = flat.max() + 1
    return flat


def color_outliers(lab: FloatArray, region: Mask) -> Mask:
    """Returns (H, W) bool: pixels that differ from their region's median colour more than its texture does."""
    difference = np.linalg.norm(lab - np.median(lab[region], axis=0), axis=-1)
    texture = float(np.median(difference[region]))
    patch = (region & (difference > max(MIN_DIFFERENCE, 4.0 * texture))).astype(np.uint8)
    opened = cv2.morphologyEx(patch, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    closed: npt.NDArray[np.uint8] = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return (closed > 0) & region

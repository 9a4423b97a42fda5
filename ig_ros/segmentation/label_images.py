"""What label images (H, W) int32, 0 = none, have in common, whoever made them."""

from __future__ import annotations

import cv2
import numpy as np

from ig_ros.types import IntArray

FULL_SIZE = 640 * 480  # px, the image size to which the parameter min_region refers
LEAST = 8  # px: a smaller region is noise in an image of any size
THIN = 2.5  # px, half width of the thinnest region that counts


def least_pixels(min_region: int, height: int, width: int) -> int:
    """Returns the size of the smallest region, px, in an image of height x width px."""
    return max(LEAST, round(min_region * height * width / FULL_SIZE))


def without_slivers(labels: IntArray) -> IntArray:
    """Returns the labels without regions so thin that they are the frayed edge of something else."""
    padded = np.pad(labels, 1)
    border = (padded[1:-1, 1:-1] != padded[:-2, 1:-1]) | (padded[1:-1, 1:-1] != padded[2:, 1:-1])
    border |= (padded[1:-1, 1:-1] != padded[1:-1, :-2]) | (padded[1:-1, 1:-1] != padded[1:-1, 2:])
    inner = cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, 3)
    radius = np.zeros(int(labels.max()) + 1, inner.dtype)
    np.maximum.at(radius, labels.ravel(), inner.ravel())
    return np.where(radius[labels] >= THIN, labels, 0)


def compact(labels: IntArray) -> IntArray:
    """Returns the same regions numbered 1.. without gaps, 0 stays 0."""
    used = np.zeros(int(labels.max(initial=0)) + 1, bool)
    used[labels] = True
    used[0] = False
    return np.where(used, np.cumsum(used), 0).astype(np.int32)[labels]

"""Masks from colour alone, for cameras without depth: graph-based segmentation [Felzenszwalb, Huttenlocher 2004]."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.graph import cut_threshold, rag_mean_color
from skimage.segmentation import felzenszwalb

from ig_ros.types import Array, IntArray

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

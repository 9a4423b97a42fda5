"""How sharp an image is beside its neighbours in time: motion blur and lost focus against plain content."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from ig_ros.types import IntArray

WIDTH = 320  # px: blur that vanishes at training resolution does no harm
NEIGHBORS = 8  # images before


class Sharpness:
    """Variance of the Laplacian [Pech-Pacheco et al. 2000] of an image relative to the median of those just before."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=NEIGHBORS)

    def note(self, rgb: IntArray) -> float:
        """Sharpness of the next image (H, W, 3) u8 in units of its neighbours'; 1 for the first one.

        Alone it would tell a white wall from a bookshelf; the neighbours show the same wall.
        """
        own = laplacian_variance(rgb)
        usual = float(np.median(self._recent)) if self._recent else own
        self._recent.append(own)
        return own / usual if usual > 0 else 1.0


def laplacian_variance(rgb: IntArray) -> float:
    """Variance of the Laplacian of the grey image, at most WIDTH pixels wide."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    if width > WIDTH:
        grey = cv2.resize(grey, (WIDTH, max(1, height * WIDTH // width)), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())

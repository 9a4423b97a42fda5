"""How close a rendered image comes to the camera's."""

from __future__ import annotations

import math

import numpy as np
from skimage.metrics import structural_similarity

from ig_ros.types import FloatArray


def psnr(rendered: FloatArray, target: FloatArray) -> float:
    """Peak signal-to-noise ratio in dB of two images with values in [0, 1]."""
    error = float(np.mean((rendered.astype(np.float64) - target) ** 2))
    return -10.0 * math.log10(max(error, 1e-10))


def ssim(rendered: FloatArray, target: FloatArray) -> float:
    """Structural similarity (Gaussian window, sigma 1.5) of two (H, W, 3) images with values in [0, 1]."""
    return float(
        structural_similarity(rendered, target, channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5)
    )

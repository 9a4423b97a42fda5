"""From the ideal picture to what a camera delivers: blur and grain in colour, steps and holes in depth."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.types import FloatArray

GRAIN = 1.6  # deviation of colour noise, of 255
BASELINE = 0.075  # m, between the projector and the infrared camera
FOCAL = 576.0  # px, of the infrared camera, whatever the size of the picture made from it
DISPARITY_STEP = 0.125  # px
DISPARITY_NOISE = 0.06  # px
GRAZING = 0.12  # cosine below which a surface returns no depth


def expose(rgb: FloatArray, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 from display values in [0, 1]: the lens's slight blur, and grain."""
    blurred = cv2.GaussianBlur(rgb, (3, 3), 0.45) * np.float32(255)
    grain = random.standard_normal(rgb.shape, dtype=np.float32) * np.float32(GRAIN)
    exposed: npt.NDArray[np.uint8] = (blurred + grain).round().clip(0, 255).astype(np.uint8)
    return exposed


def measure_depth(depth: FloatArray, slant: FloatArray, random: np.random.Generator) -> FloatArray:
    """(H, W) float32 m as a structured-light camera would measure it, 0 = none.

    Disparity is noisy and quantised, so that the error grows with the square of the distance; edges and grazing
    surfaces have holes.
    """
    seen = depth > 0
    disparity = BASELINE * FOCAL / np.where(seen, depth, 1)
    noise = cv2.GaussianBlur(random.standard_normal(depth.shape, dtype=np.float32), (0, 0), 1.2)
    disparity = disparity + DISPARITY_NOISE * noise / max(float(noise.std()), 1e-6)
    steps = np.maximum((disparity / DISPARITY_STEP).round(), 1)
    measured = BASELINE * FOCAL / (steps * DISPARITY_STEP)
    kernel = np.ones((3, 3), np.uint8)
    jump = cv2.dilate(depth, kernel) - cv2.erode(depth, kernel) > 0.04 * np.maximum(depth, 0.1) / np.maximum(slant, 0.2)
    patchy = cv2.GaussianBlur(random.standard_normal(depth.shape, dtype=np.float32), (0, 0), 2.0)
    hole = (jump & (patchy > -0.02)) | (slant < GRAZING) | ~seen
    return np.where(hole, 0, measured).astype(np.float32)

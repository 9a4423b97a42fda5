"""From a calibrated lens to the pinhole camera that the map works with: OpenCV's lens models, one lookup table each."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ig_ros.datasets.colmap_model import MODELS, ColmapCamera
from ig_ros.errors import DatasetError
from ig_ros.types import Array, Camera, FloatArray

FISHEYE = ("OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")
ONE_FOCAL = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")
UNKNOWN = ("FOV", "THIN_PRISM_FISHEYE")  # OpenCV has no such lens


@dataclass(frozen=True, slots=True)
class Lens:
    """How images of one camera and size become pinhole images of the same size."""

    camera: Camera  # of the images that come out
    maps: tuple[FloatArray, FloatArray] | None  # source column and row of each pixel; None: nothing to do

    def straighten(self, image: Array, interpolation: int = cv2.INTER_LINEAR) -> Array:
        """The image without distortion; black, or 0, where the lens saw nothing."""
        return image if self.maps is None else cv2.remap(image, *self.maps, interpolation)


def lens_of(camera: ColmapCamera, width: int, height: int) -> Lens:
    """The lens for images of width x height px, which may be a reduced copy of what was calibrated.

    Raises DatasetError for a lens model that OpenCV does not have, and for images of another shape.
    """
    counts = dict(MODELS)
    if camera.model not in counts or camera.model in UNKNOWN or len(camera.parameters) != counts[camera.model]:
        raise DatasetError(
            f"camera model {camera.model} with {len(camera.parameters)} parameters is not supported: run COLMAP's "
            "image_undistorter, whose output is PINHOLE"
        )
    if abs(width * camera.height - height * camera.width) > max(camera.width, camera.height):
        raise DatasetError(f"images are {width}x{height}, their COLMAP camera {camera.width}x{camera.height}")
    K, distortion = _calibration(camera)
    pinhole = Camera(K, camera.width, camera.height).resized(width, height)
    if not distortion.any():
        return Lens(pinhole, None)
    return _fisheye(pinhole, distortion) if camera.model in FISHEYE else _polynomial(pinhole, distortion)


def _calibration(camera: ColmapCamera) -> tuple[FloatArray, FloatArray]:
    """K (3, 3) with centres at +0.5, and OpenCV's distortion vector: 4 numbers for a fisheye, else 4 or 8."""
    values = camera.parameters
    if camera.model in ONE_FOCAL:
        values = (values[0], *values)
    fx, fy, cx, cy, *rest = values
    distortion = np.zeros(8 if len(rest) > 4 else 4)
    distortion[: len(rest)] = rest  # k1, k2, p1, p2, k3..k6: the order of both
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), distortion


def _polynomial(pinhole: Camera, distortion: FloatArray) -> Lens:
    """Zoomed so that every pixel that comes out was seen."""
    size = (pinhole.width, pinhole.height)
    K = _shifted(pinhole.K, -0.5)  # OpenCV counts pixels by their centres
    K_new, _ = cv2.getOptimalNewCameraMatrix(K, distortion, size, alpha=0)
    maps = cv2.initUndistortRectifyMap(K, distortion, np.eye(3), K_new, size, cv2.CV_32FC1)
    return Lens(Camera(_shifted(K_new, 0.5), *size), (maps[0], maps[1]))


def _fisheye(pinhole: Camera, distortion: FloatArray) -> Lens:
    size = (pinhole.width, pinhole.height)
    K = _shifted(pinhole.K, -0.5)
    K_new = cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(K, distortion, size, np.eye(3), balance=0.0)
    maps = cv2.fisheye.initUndistortRectifyMap(K, distortion, np.eye(3), K_new, size, cv2.CV_32FC1)
    return Lens(Camera(_shifted(K_new, 0.5), *size), (maps[0], maps[1]))


def _shifted(K: FloatArray, by: float) -> FloatArray:
    moved = np.array(K, np.float64)
    moved[:2, 2] += by
    return moved

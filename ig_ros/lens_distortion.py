"""Removal of lens distortion as a camera_info describes it, with maps computed once per calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.errors import FrameError
from ig_ros.message_decoding import camera_from_info
from ig_ros.types import Array, Camera, FloatArray

_FISHEYE = ("equidistant", "fisheye")
REFINEMENTS = 10  # of the inverse of a lens: far below a pixel
NARROWINGS = 70  # steps of 1 %: to half the view at most
_POLYNOMIAL = {"plumb_bob": (4, 5), "rational_polynomial": (5, 8, 12, 14)}  # model -> allowed numbers of coefficients


@dataclass(frozen=True, slots=True)
class Lens:
    """How a lens bends rays, in OpenCV's terms: its pixel centres are whole numbers."""

    K: FloatArray  # (3, 3) of the distorted image
    distortion: FloatArray
    fisheye: bool
    K_new: FloatArray  # (3, 3) of the undistorted image

    def undistorted(self, u: float, v: float) -> tuple[float, float]:
        """A pixel of the distorted image in the undistorted one; pixel centres are at +0.5 in both."""
        place = np.array([[[u - 0.5, v - 0.5]]])
        undo = cv2.fisheye.undistortPoints if self.fisheye else cv2.undistortPoints
        bend, still = cv2.fisheye.projectPoints if self.fisheye else cv2.projectPoints, np.zeros(3)
        guess = place
        for _ in range(REFINEMENTS):  # OpenCV stops after five steps, which strong lenses make too few
            ray = np.append(undo(guess, self.K, self.distortion), 1.0).reshape(1, 1, 3)
            guess = guess + place - bend(ray, still, still, self.K, self.distortion)[0].reshape(1, 1, 2)
        x, y, _ = self.K_new @ ray.reshape(3)
        return float(x) + 0.5, float(y) + 0.5


@dataclass(frozen=True, slots=True)
class Rectifier:
    """A calibrated camera: `camera` describes images after `color`, `nearest` have undistorted them.

    Both return their input where the lens has no distortion. The view is narrowed so that every pixel is valid.
    """

    camera: Camera
    maps: tuple[FloatArray, FloatArray] | None
    lens: Lens | None = None  # None = without distortion

    @staticmethod
    def from_info(info: Any) -> Rectifier:
        """Raises FrameError `bad_camera_info` for zero focal lengths, sizes and unknown distortion models."""
        camera = camera_from_info(info)
        distortion = np.array(info.d, np.float64)
        if not np.isfinite(distortion).all():
            raise FrameError("bad_camera_info", "camera_info has NaN distortion: recalibrate the camera")
        if not distortion.any():
            return Rectifier(camera, None)
        K = np.array(info.k, np.float64).reshape(3, 3)  # OpenCV counts pixels like ROS
        maps, K_new = _maps(info.distortion_model, K, distortion, (camera.width, camera.height))
        K_core = K_new.copy()
        K_core[:2, 2] += 0.5
        lens = Lens(K, distortion, info.distortion_model in _FISHEYE, K_new)
        return Rectifier(Camera(K_core, camera.width, camera.height), maps, lens)

    def point(self, u: float, v: float) -> tuple[float, float]:
        """Where a pixel of the distorted image is in the undistorted one; pixel centres are at +0.5 in both."""
        return (u, v) if self.lens is None else self.lens.undistorted(u, v)

    def color(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Undistorted (H, W, 3) image, bilinear."""
        if self.maps is None:
            return image
        return np.asarray(cv2.remap(image, *self.maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    def nearest(self, image: Array) -> Array:
        """Undistorted depth or labels (H, W): no value is invented between two pixels."""
        if self.maps is None:
            return image
        values = image.astype(np.float32)  # exact for labels up to 2^24
        return np.asarray(
            cv2.remap(values, *self.maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE), image.dtype
        )


def _maps(
    model: str, K: FloatArray, distortion: FloatArray, size: tuple[int, int]
) -> tuple[tuple[FloatArray, FloatArray], FloatArray]:
    """Sampling maps (x, y), each (H, W), and the camera matrix of the undistorted image.

    OpenCV's own choice of the new matrix looks at a 9x9 grid and can leave invalid strips at the border: from there
    on the view is narrowed until every pixel is seen by the lens.
    """
    K_new = _first_guess(model, K, distortion, size)
    for _ in range(NARROWINGS):
        if model in _FISHEYE:
            maps = cv2.fisheye.initUndistortRectifyMap(K, distortion, np.eye(3), K_new, size, cv2.CV_32FC1)
        else:
            maps = cv2.initUndistortRectifyMap(K, distortion, np.eye(3), K_new, size, cv2.CV_32FC1)
        if all(m.min() > -0.5 and m.max() < extent - 0.5 for m, extent in zip(maps, size, strict=True)):
            return maps, K_new
        K_new = K_new * np.array([[1.01], [1.01], [1.0]])
        K_new[:2, 2] /= 1.01  # the principal point stays
    raise FrameError(
        "bad_camera_info", f"distortion {distortion.tolist()} leaves no valid image: recalibrate the camera"
    )


def _first_guess(model: str, K: FloatArray, distortion: FloatArray, size: tuple[int, int]) -> FloatArray:
    count = distortion.size
    if model in _FISHEYE:
        if count != 4:
            raise FrameError(
                "bad_camera_info", f"distortion model '{model}' has 4 coefficients, camera_info has {count}"
            )
        guess = cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(K, distortion, size, np.eye(3), balance=0.0)
        return np.asarray(guess, np.float64)
    if model not in _POLYNOMIAL:
        known = ", ".join((*_POLYNOMIAL, *_FISHEYE))
        text = f"distortion model '{model}' is not supported: use one of {known}, or publish undistorted images"
        raise FrameError("bad_camera_info", text)
    if count not in _POLYNOMIAL[model]:
        raise FrameError("bad_camera_info", f"distortion model '{model}' cannot have {count} coefficients")
    return np.asarray(cv2.getOptimalNewCameraMatrix(K, distortion, size, 0.0)[0], np.float64)

"""Removal of lens distortion, as camera_info and COLMAP describe it, with maps computed once per calibration.

A matrix named K counts pixels as OpenCV and ROS do: the centre of the first pixel is at 0. In a Camera it is at 0.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.errors import FrameError
from ig_ros.message_decoding import camera_from_info
from ig_ros.types import Array, Camera, FloatArray, IntArray

FISHEYE = ("equidistant", "fisheye")  # distortion models of camera_info
POLYNOMIAL = ("plumb_bob", "rational_polynomial", "")  # one family in OpenCV: drivers mix the names and the lengths
_LENGTHS = (4, 5, 8, 12, 14)  # numbers of coefficients that OpenCV takes for it
REFINEMENTS = 10  # steps of the inverse of a lens, which leave far less than a pixel
MOST_KEPT = 2_100_000  # pixels: larger images are reduced, neither training nor segmenters use more
DRIFT = 0.005  # of the focal length: calibrations nearer to each other are one lens that focuses
NARROWINGS = 70  # steps of 1 % by which a view is narrowed at most, to half of it

Maps = tuple[FloatArray, FloatArray]  # source column and row of each pixel, (H, W) each


@dataclass(frozen=True, slots=True)
class Lens:
    """A camera as it is calibrated: how its lens bends rays by OpenCV's polynomial or fisheye model."""

    camera: Camera  # of the distorted images, after they have been reduced
    distortion: FloatArray  # OpenCV's coefficients, 0 = none
    fisheye: bool = False
    reduction: int = 1  # so many pixels of an image, squared, are made one when it is decoded

    @staticmethod
    def from_info(info: Any, rectified: bool = False, least_width: int = 0) -> Lens:
        """Returns the lens of a camera_info's images; of those that are rectified already it is P without distortion.

        Images above MOST_KEPT pixels are reduced, to no less than `least_width`. Raises FrameError `bad_camera_info`
        for zero focal lengths, sizes, regions out of the image and unknown distortion models.
        """
        camera = camera_from_info(info, rectified)
        n = reduction(camera.width, camera.height, least_width)
        small = camera.resized(camera.width // n, camera.height // n)
        distortion, model = np.trim_zeros(np.array(info.d, np.float64), "b"), info.distortion_model
        if rectified or not distortion.size:
            return Lens(small, np.zeros(5), reduction=n)
        if not np.isfinite(distortion).all():
            raise FrameError("bad_camera_info", "camera_info has NaN distortion: recalibrate the camera")
        if model not in (*POLYNOMIAL, *FISHEYE):
            known = ", ".join((*POLYNOMIAL[:2], *FISHEYE))
            text = f"distortion model '{model}' is not supported: use one of {known}, or publish undistorted images"
            raise FrameError("bad_camera_info", text)
        length = next((n for n in ((4,) if model in FISHEYE else _LENGTHS) if n >= distortion.size), None)
        if length is None:
            raise FrameError(
                "bad_camera_info", f"distortion model '{model}' cannot have {distortion.size} coefficients"
            )
        return Lens(small, np.pad(distortion, (0, length - distortion.size)), model in FISHEYE, n)

    @property
    def K(self) -> FloatArray:
        """Returns (3, 3) of the distorted image."""
        return _shifted(self.camera.K, -0.5)

    def near(self, other: Lens) -> bool:
        """Returns whether two calibrations differ by no more than an autofocus changes them from image to image."""
        same = (self.fisheye, self.reduction, self.camera.width, self.camera.height, self.distortion.size) == (
            other.fisheye, other.reduction, other.camera.width, other.camera.height, other.distortion.size
        )  # fmt: skip
        K, other_K = self.camera.K, other.camera.K
        return (
            same and float(np.abs(K - other_K).max()) <= DRIFT * K[0, 0]
            and np.allclose(self.distortion, other.distortion, rtol=0, atol=1e-4)
        )  # fmt: skip

    def widest(self, size: tuple[int, int]) -> FloatArray:
        """Returns OpenCV's guess of K (3, 3) of the undistorted image; its border can hold pixels nobody saw."""
        if self.fisheye:
            guess = cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(
                self.K, self.distortion, size, np.eye(3), balance=0.0
            )
            return np.asarray(guess, np.float64)
        return np.asarray(cv2.getOptimalNewCameraMatrix(self.K, self.distortion, size, 0.0)[0], np.float64)

    def maps(self, K_new: FloatArray, size: tuple[int, int]) -> Maps:
        """Returns where each pixel of the undistorted image with K_new (3, 3) lies in the distorted one."""
        make = cv2.fisheye.initUndistortRectifyMap if self.fisheye else cv2.initUndistortRectifyMap
        columns, rows = make(self.K, self.distortion, np.eye(3), K_new, size, cv2.CV_32FC1)
        return columns, rows

    def ray(self, u: float, v: float) -> FloatArray:
        """Returns the ray (3,), z = 1, of a pixel of the distorted image, counted as K does."""
        place = np.array([[[u, v]]])
        undo = cv2.fisheye.undistortPoints if self.fisheye else cv2.undistortPoints
        bend, still = cv2.fisheye.projectPoints if self.fisheye else cv2.projectPoints, np.zeros(3)
        guess = place
        for _ in range(REFINEMENTS):  # OpenCV stops after five steps, which strong lenses make too few
            ray = np.append(undo(guess, self.K, self.distortion), 1.0).reshape(1, 1, 3)
            guess = guess + place - bend(ray, still, still, self.K, self.distortion)[0].reshape(1, 1, 2)
        return ray.reshape(3)


@dataclass(frozen=True, slots=True)
class Rectifier:
    """A calibrated camera: `camera` describes images after `color`, `nearest` have undistorted them.

    Both return their input where the lens has no distortion. The view is narrowed so that every pixel is valid.
    """

    camera: Camera
    lens: Lens
    maps: Maps | None = None  # None = without distortion

    @staticmethod
    def of(lens: Lens) -> Rectifier:
        """Returns the rectifier of the images of a lens.

        OpenCV's guess looks at a 9x9 grid and can leave invalid strips at the border: from there on the view is
        narrowed until the lens sees every pixel. Raises FrameError `bad_camera_info` where that cannot be reached.
        """
        if not lens.distortion.any():
            return Rectifier(lens.camera, lens)
        size = (lens.camera.width, lens.camera.height)
        K_new = lens.widest(size)
        for _ in range(NARROWINGS):
            maps = lens.maps(K_new, size)
            if all(m.min() > -0.5 and m.max() < extent - 0.5 for m, extent in zip(maps, size, strict=True)):
                return Rectifier(Camera(_shifted(K_new, 0.5), *size), lens, maps)
            K_new = K_new * np.array([[1.01, 1, 1], [1, 1.01, 1], [1, 1, 1]])  # the principal point stays
        raise FrameError(
            "bad_camera_info", f"distortion {lens.distortion.tolist()} leaves no valid image: recalibrate the camera"
        )

    @staticmethod
    def from_info(info: Any, rectified: bool = False) -> Rectifier:
        """Returns the rectifier of a camera_info's images, see Lens.from_info. Raises FrameError `bad_camera_info`."""
        return Rectifier.of(Lens.from_info(info, rectified))

    def follow(self, lens: Lens) -> Rectifier:
        """Returns the rectifier of the camera's images now; with the same maps while the lens is near to this one's.

        To first order in their distance, what an autofocus does to the distorted image it does to the undistorted one.
        """
        if self.maps is None or not lens.near(self.lens):
            return Rectifier.of(lens)
        K = _shifted(self.camera.K, -0.5) @ np.linalg.inv(self.lens.K) @ lens.K
        return Rectifier(Camera(_shifted(K, 0.5), self.camera.width, self.camera.height), lens, self.maps)

    def fitted(self, labels: IntArray) -> IntArray:
        """Returns labels (h, w) of the whole image, reduced as that is (nearest pixel); of another size as they are."""
        n = self.lens.reduction
        whole = labels.shape == (self.camera.height * n, self.camera.width * n)
        return labels[n // 2 :: n, n // 2 :: n] if whole else labels

    def point(self, u: float, v: float) -> tuple[float, float]:
        """Returns where a pixel of the distorted image is in the undistorted one; pixel centres are at +0.5 in both."""
        if self.maps is None:
            return u, v
        x, y, _ = self.camera.K @ self.lens.ray(u - 0.5, v - 0.5)
        return float(x), float(y)

    def color(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Returns the undistorted image (H, W, 3), interpolated bilinearly."""
        if self.maps is None:
            return image
        return np.asarray(cv2.remap(image, *self.maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    def nearest(self, image: Array) -> Array:
        """Returns undistorted depth or labels (H, W), each value that of the nearest pixel."""
        if self.maps is None:
            return image
        values = image.astype(np.float32)  # exact for labels up to 2^24
        return np.asarray(
            cv2.remap(values, *self.maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE), image.dtype
        )


class Rectifiers:
    """The rectifiers of a camera whose calibration moves; maps are computed when it has moved by more than DRIFT."""

    def __init__(self) -> None:
        self._base: Rectifier | None = None  # whose maps are used

    def of(self, lens: Lens) -> Rectifier:
        """Returns the rectifier of the images that were taken by this lens. Raises FrameError `bad_camera_info`."""
        made = Rectifier.of(lens) if self._base is None else self._base.follow(lens)
        if self._base is None or made.maps is not self._base.maps:
            self._base = made
        return made


def reduction(width: int, height: int, least_width: int = 0) -> int:
    """Returns by how much images of this size are reduced: as little as brings them to MOST_KEPT pixels.

    By 2, 4 or 8, as JPEG decoders can, where that divides the size; `least_width` px are kept in any case.
    """
    allowed = [n for n in (1, 2, 4, 8) if n == 1 or (width % n == height % n == 0 and width // n >= least_width)]
    return next((n for n in allowed if width * height <= n * n * MOST_KEPT), allowed[-1])


def is_rectified_topic(topic: str) -> bool:
    """Returns whether a topic's name says that its images are rectified: image_rect, rgb/image_rect_color, ..."""
    words = set(re.split(r"[/_]", topic.lower()))
    return bool(words & {"rect", "rectified"}) and not words & {"not", "un"}


def _shifted(K: FloatArray, by: float) -> FloatArray:
    """Returns K (3, 3) with the principal point moved by so many pixels."""
    return np.asarray(K + np.array([[0, 0, by], [0, 0, by], [0, 0, 0]]), np.float64)

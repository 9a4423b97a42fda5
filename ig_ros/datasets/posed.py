"""What the readers of folders share: views whose poses and calibrations are known before any image is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ig_ros.datasets import files
from ig_ros.datasets.base import Faults, SceneTruth, stamp_of
from ig_ros.detections import detections_from_json, rectified
from ig_ros.errors import DatasetError, FrameError
from ig_ros.lens_distortion import Lens, Rectifier
from ig_ros.types import Array, Camera, Detections, FloatArray, Frame, Masks

DETECTIONS = "detections"  # folder with boxes of a detector, beside or above the images
SAME_SHAPE = 0.01  # by which width and height may differ in scale: reduced copies are rounded to pixels


@dataclass(frozen=True, slots=True)
class CalibratedCamera:
    """One camera as calibrated, distortion included; pixel centres are at +0.5."""

    width: int
    height: int
    focal: tuple[float, float]  # px
    centre: tuple[float, float]  # px
    distortion: tuple[float, ...] = ()  # OpenCV's coefficients
    fisheye: bool = False
    reducible: bool = True  # False: images of another size are odd ones, not reduced copies of what was calibrated

    @staticmethod
    def of(
        K: FloatArray, width: int, height: int, distortion: Sequence[float] = (), reducible: bool = False
    ) -> CalibratedCamera:
        """Returns the calibration with a camera matrix (3, 3)."""
        focal, centre = (float(K[0, 0]), float(K[1, 1])), (float(K[0, 2]), float(K[1, 2]))
        return CalibratedCamera(width, height, focal, centre, tuple(map(float, distortion)), False, reducible)

    @property
    def K(self) -> FloatArray:
        """Returns the camera matrix (3, 3)."""
        (fx, fy), (cx, cy) = self.focal, self.centre
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])

    def rectifier(self, width: int, height: int) -> Rectifier:
        """Returns the rectifier of images of width x height px. Raises DatasetError `image_size` for odd ones."""
        same = (width, height) == (self.width, self.height)
        if not same and not (self.reducible and same_shape((width, height), (self.width, self.height))):
            text = f"is {width}x{height}, its camera is calibrated for {self.width}x{self.height}"
            raise DatasetError(text, "image_size")
        return _rectifier(self, width, height)


@lru_cache(maxsize=8)
def _rectifier(calibration: CalibratedCamera, width: int, height: int) -> Rectifier:
    try:
        camera = Camera(calibration.K, calibration.width, calibration.height).resized(width, height)
        size = next((n for n in (4, 5, 8) if n >= len(calibration.distortion)), len(calibration.distortion))
        distortion = np.zeros(size)
        distortion[: len(calibration.distortion)] = calibration.distortion
        return Rectifier.of(Lens(camera, distortion, calibration.fisheye))
    except FrameError as error:
        raise DatasetError(f"has a calibration that is no good: {error}", error.cause) from error


def same_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two sizes (width, height) are of one image, one perhaps reduced."""
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) <= SAME_SHAPE


@dataclass(frozen=True, slots=True)
class View:
    """One image and what is known of it."""

    number: int
    stamp: int  # ns
    image: files.Source
    calibration: CalibratedCamera
    T_world_camera: FloatArray  # (4, 4) m
    depth: files.Source | None = None
    depth_calibration: CalibratedCamera | None = None  # of a depth camera at the place of the image's; None: registered


class PosedFolder:
    """Frames of a recording. What is missing or broken is left out and counted in `faults`: a frame, or its depth."""

    truth: SceneTruth | None = None
    missing_truth: tuple[str, ...] = ("instances: this layout has no annotation",)
    photographs = False  # True: neither time nor order of the images means anything

    def __init__(self, folder: Path, options: Mapping[str, str], has_images: bool = False) -> None:
        self.true_masks = files.wants_true_masks(options, folder, has_images)
        self.name, self.folder = folder.resolve().name, folder
        self.faults = Faults()
        self.views: list[View] = []

    def take(self, views: Sequence[View], layout: str) -> None:
        """Keeps the views whose images are there. Raises DatasetError, which tells the layout, where none is."""
        files.refuse_missing(
            [Path(str(v.image)) for v in views] if not any(v.image.is_file() for v in views) else [], layout
        )
        if not views:
            raise DatasetError(f"{self.name} has no image with a pose: {layout}")
        for view in views:
            if view.depth is not None and not view.depth.is_file():
                self.faults.note("missing_depth", f"missing {view.depth}")
                view = replace(view, depth=None)
            if view.image.is_file():
                self.views.append(view)
            else:
                self.faults.note("missing_image", f"missing {view.image}")

    def take_numbered(
        self, colors: Mapping[int, files.Source], depths: Mapping[int, files.Source], poses: Mapping[int, FloatArray],
        calibrations: tuple[CalibratedCamera, CalibratedCamera | None], name: Callable[[int, str], Path], layout: str,
    ) -> None:  # fmt: skip
        """Keeps the frames that have a pose; `name` tells what the missing color or depth of a number is called."""

        def source(n: int, kind: str, found: Mapping[int, files.Source]) -> files.Source:
            some = next(iter(found.values()), None)
            path = name(n, kind)
            return found.get(n) or (path.with_suffix(some.suffix) if isinstance(some, Path) else path)

        color, depth = calibrations
        self.take(
            [
                View(n, stamp_of(n), source(n, "color", colors), color, poses[n],
                     source(n, "depth", depths) if depths else None, depth)
                for n in sorted(colors.keys() | depths.keys()) if n in poses
            ],
            layout,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, i: int) -> Frame:
        view = self.views[i]
        rgb = files.read_rgb(view.image)
        height, width = rgb.shape[:2]
        try:
            rectifier = view.calibration.rectifier(width, height)
        except DatasetError as error:
            raise DatasetError(f"{view.image} {error}", error.cause) from error
        depth = None if view.depth is None else self.faults.attempt(lambda: self._registered(view, width, height))
        masks = self.faults.attempt(lambda: self.masks(i))
        if masks is not None:
            masks = replace(masks, labels=np.asarray(rectifier.nearest(masks.labels), np.int32))
        return Frame(
            view.stamp, rectifier.color(rgb), rectifier.camera, view.T_world_camera,
            None if depth is None else np.asarray(rectifier.nearest(depth), np.float32), masks, view.number,
            photograph=self.photographs, detections=self.faults.attempt(lambda: self._detections(view, rectifier)),
        )  # fmt: skip

    def rectifier_of(self, i: int, frame: Frame) -> Rectifier:
        """Returns what has undistorted the image at place i."""
        return self.views[i].calibration.rectifier(frame.camera.width, frame.camera.height)

    def read_depth(self, source: files.Source) -> FloatArray:
        """Returns depth (h, w) m as recorded: of a PNG in millimetres."""
        return files.read_depth(source)

    def masks(self, i: int) -> Masks | None:  # noqa: ARG002
        """Returns masks of the image at place i, of its size and not yet undistorted."""
        return None

    def _detections(self, view: View, rectifier: Rectifier) -> Detections | None:
        """Returns the boxes in `detections/NAME.json` of the folder, NAME the image's file without its ending."""
        path = self.folder / DETECTIONS / f"{Path(str(view.image)).stem}.json"
        if not path.is_file():
            return None
        try:
            return rectified(detections_from_json(files.read_content(path, "boxes")), rectifier)
        except FrameError as error:
            raise DatasetError(f"{path}: {error} (the frame is used without boxes)", error.cause) from error

    def _registered(self, view: View, width: int, height: int) -> FloatArray:
        """Returns depth (height, width) m at the pixels of the image."""
        assert view.depth is not None
        depth = self.read_depth(view.depth)
        size, own = (depth.shape[1], depth.shape[0]), view.depth_calibration
        if own is not None and size == (own.width, own.height):
            K = Camera(view.calibration.K, view.calibration.width, view.calibration.height).resized(width, height).K
            return files.register_depth(depth, own.K, K, width, height)
        if own is not None or not same_shape(size, (width, height)):
            wanted = f"{own.width}x{own.height}" if own is not None else f"the shape of its {width}x{height} image"
            raise DatasetError(f"{view.depth} is {size[0]}x{size[1]}, expected {wanted}", "depth_size")
        return resampled(depth, width, height)


def resampled(image: Array, width: int, height: int) -> FloatArray:
    """Returns depth or labels at another size, each pixel that of the nearest."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST_EXACT))

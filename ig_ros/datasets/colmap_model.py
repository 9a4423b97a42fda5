"""The sparse model that COLMAP leaves in sparse/0: cameras, poses and points, as binary or as text files.

Format: https://colmap.github.io/format.html. Poses are world-to-camera with OpenCV axes, quaternions (w, x, y, z);
pixel centres are at +0.5, as ours are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ig_ros.datasets.base import SparsePoints
from ig_ros.datasets.files import refuse_missing
from ig_ros.datasets.posed import CalibratedCamera
from ig_ros.errors import DatasetError
from ig_ros.geometry import inverse, pose_from_quaternion
from ig_ros.types import FloatArray

LAYOUT = "a COLMAP model holds cameras, images and points3D, all of them as .bin or all as .txt"
MODELS = (  # by COLMAP's number: name and how many parameters
    ("SIMPLE_PINHOLE", 3), ("PINHOLE", 4), ("SIMPLE_RADIAL", 4), ("RADIAL", 5), ("OPENCV", 8), ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12), ("FOV", 5), ("SIMPLE_RADIAL_FISHEYE", 4), ("RADIAL_FISHEYE", 5), ("THIN_PRISM_FISHEYE", 12),
)  # fmt: skip
ONE_FOCAL = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")
UNKNOWN = ("FOV", "THIN_PRISM_FISHEYE")  # OpenCV has no such lens

Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class ColmapCamera:
    """One camera as calibrated, distortion included."""

    model: str
    width: int
    height: int
    parameters: tuple[float, ...]  # px and distortion, in the order of the model

    @property
    def calibration(self) -> CalibratedCamera:
        """Returns how rays go through it. Raises DatasetError for a lens model that OpenCV does not have."""
        if self.model in UNKNOWN or (self.model, len(self.parameters)) not in MODELS:
            raise DatasetError(
                f"camera model {self.model} with {len(self.parameters)} parameters is not supported: run COLMAP's "
                "image_undistorter, whose output is PINHOLE"
            )
        fx, fy, cx, cy, *rest = (self.parameters[:1] if self.model in ONE_FOCAL else ()) + self.parameters
        # k1, k2, p1, p2, k3..k6: the order of COLMAP and of OpenCV
        return CalibratedCamera(self.width, self.height, (fx, fy), (cx, cy), tuple(rest), "FISHEYE" in self.model)


@dataclass(frozen=True, slots=True)
class ColmapImage:
    """One registered image."""

    name: str  # path below images/
    camera: int
    T_world_camera: FloatArray  # (4, 4), in the model's own unit of length


def read_cameras(folder: Path) -> dict[int, ColmapCamera]:
    """Returns the cameras by id. Raises DatasetError."""
    return _read(folder, "cameras", _cameras_binary, _cameras_text)


def read_images(folder: Path) -> list[ColmapImage]:
    """Returns the registered images in the order of their names. Raises DatasetError."""
    return sorted(_read(folder, "images", _images_binary, _images_text), key=lambda image: image.name)


def read_points(folder: Path) -> SparsePoints:
    """Returns the sparse points. Raises DatasetError."""
    return _read(folder, "points3D", _points_binary, _points_text)


def refuse_incomplete(folder: Path) -> None:
    """Raises one DatasetError that names the absent files of the model; points may be absent."""
    names = [name for name in ("cameras", "images") if _file(folder, name) is None]
    refuse_missing([folder / f"{name}.bin" for name in names], f"{LAYOUT} (points3D may be absent)")


def has_model(folder: Path) -> bool:
    """Whether the folder holds at least a part of a model."""
    return any(_file(folder, name) is not None for name in ("cameras", "images"))


def has_points(folder: Path) -> bool:
    """Whether the model brings its points."""
    return _file(folder, "points3D") is not None


def _file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.bin", folder / f"{name}.txt") if path.is_file()), None)


def _read(folder: Path, name: str, binary: Callable[[_Bytes], Model], text: Callable[[list[str]], Model]) -> Model:
    path = _file(folder, name)
    if path is None:
        raise DatasetError(f"missing {folder / name}.bin or .txt: {LAYOUT}")
    try:
        if path.suffix == ".bin":
            return binary(_Bytes(path.read_bytes()))
        return text([line for line in path.read_text().splitlines() if not line.startswith("#")])
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise DatasetError(f"cannot read {path}: it is not what COLMAP writes ({error})") from error


class _Bytes:
    """Little-endian values taken one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self._data, self._at)
        self._at += struct.calcsize("<" + layout)
        return values

    def text(self) -> str:
        end = self._data.index(b"\0", self._at)
        text = self._data[self._at : end].decode()
        self._at = end + 1
        return text

    def skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise ValueError("the file ends too early")


def _cameras_binary(data: _Bytes) -> dict[int, ColmapCamera]:
    cameras = {}
    for _ in range(data.take("Q")[0]):
        camera, number, width, height = data.take("iiQQ")
        model, count = MODELS[number]
        cameras[camera] = ColmapCamera(model, width, height, data.take(f"{count}d"))
    return cameras


def _cameras_text(lines: list[str]) -> dict[int, ColmapCamera]:
    cameras = {}
    for camera, model, width, height, *parameters in (line.split() for line in lines if line.strip()):
        cameras[int(camera)] = ColmapCamera(model, int(width), int(height), tuple(map(float, parameters)))
    return cameras


def _images_binary(data: _Bytes) -> list[ColmapImage]:
    images = []
    for _ in range(data.take("Q")[0]):
        _, *pose, camera = data.take("i7di")
        images.append(ColmapImage(data.text(), camera, _pose(pose)))
        data.skip(data.take("Q")[0] * struct.calcsize("<ddq"))  # the points seen
    return images


def _images_text(lines: list[str]) -> list[ColmapImage]:
    """Reads images; every second line lists the points seen, and may be empty."""
    while lines and not lines[0].strip():
        lines = lines[1:]
    images = []
    for line in lines[::2]:
        if line.strip():
            fields = line.split(maxsplit=9)
            images.append(ColmapImage(fields[9].strip(), int(fields[8]), _pose([float(x) for x in fields[1:8]])))
    return images


def _pose(values: list[float]) -> FloatArray:
    """Returns camera-to-world from COLMAP's world-to-camera quaternion and translation."""
    return inverse(pose_from_quaternion(np.array(values[4:]), np.array(values[:4])))


def _points_binary(data: _Bytes) -> SparsePoints:
    rows: list[tuple[Any, ...]] = []
    for _ in range(data.take("Q")[0]):
        _, *values, _ = data.take("Q3d3Bd")
        rows.append(tuple(values))
        data.skip(data.take("Q")[0] * struct.calcsize("<ii"))  # the track
    return _points(rows)


def _points_text(lines: list[str]) -> SparsePoints:
    rows = [tuple(map(float, line.split()[1:7])) for line in lines if line.strip()]
    return _points(rows)


def _points(rows: list[tuple[Any, ...]]) -> SparsePoints:
    table = np.array(rows, np.float64).reshape(len(rows), 6)
    return SparsePoints(table[:, :3].astype(np.float32), table[:, 3:].astype(np.uint8))

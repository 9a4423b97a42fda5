"""Captures whose poses have OpenGL's axes (x right, y up, z backward): nerfstudio's transforms.json and Record3D."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ig_ros.datasets import files
from ig_ros.datasets.base import SparsePoints, stamp_of
from ig_ros.datasets.posed import CalibratedCamera, PosedFolder, View
from ig_ros.datasets.scannet_truth import read_mesh
from ig_ros.errors import DatasetError
from ig_ros.geometry import pose_from_quaternion
from ig_ros.types import FloatArray

OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # axes of the camera; its own inverse


class TransformsDataset(PosedFolder):
    """What ns-process-data, instant-ngp, Polycam and others write. `applied_transform` is ignored: the map lies as the
    cameras in the file do. Depth is 16-bit, in millimetres unless depth_unit_scale_factor says else."""

    known_by = "transforms.json"
    photographs = True
    layout = (
        "transforms.json holds fl_x, fl_y, cx, cy, w, h, optionally k1, k2, k3, p1, p2 and camera_model, and frames "
        "with file_path, transform_matrix (4x4) and optionally depth_file_path and intrinsics of their own"
    )

    def __init__(self, path: Path, options: Mapping[str, str]) -> None:
        """Reads the file, a folder's transforms.json or itself. Raises DatasetError naming what is missing."""
        path = path if path.is_file() else _transforms(path)[0]
        super().__init__(path.parent, options)
        self._about = files.read_json(path)
        try:
            self._per_metre = 1 / float(self._about.get("depth_unit_scale_factor", 1e-3))
            frames = sorted(self._about["frames"], key=lambda frame: str(frame["file_path"]))
            matrices = [np.array(frame["transform_matrix"], np.float64).reshape(4, 4) for frame in frames]
            images = [files.with_copies(_with_suffix(path.parent / frame["file_path"])) for frame in frames]
            size = None if "w" in self._about else files.common_size(images)
            calibrations = [_calibration(self._about | frame, size) for frame in frames]
            depths = [path.parent / d if (d := frame.get("depth_file_path")) else None for frame in frames]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DatasetError(f"cannot read {path}: {self.layout} ({error!r})") from error
        given = ((i, T, f"frame {images[i].name} of {path}") for i, T in enumerate(matrices))
        poses, numbers = files.usable_poses(given, self.faults), files.last_numbers([p.name for p in images])
        self.take([
            View(numbers[i], stamp_of(i), images[i], calibrations[i], T @ OPENCV_FROM_OPENGL, depths[i])
            for i, T in poses.items()
        ], self.layout)  # fmt: skip

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether a folder has such a file, or a file is one."""
        return (
            path.suffix == ".json" and '"transform_matrix"' in path.read_text()
            if path.is_file()
            else bool(_transforms(path))
        )

    def read_depth(self, source: files.Source) -> FloatArray:
        """Returns depth (h, w) m, in the unit that the file says."""
        return files.read_depth(source, self._per_metre)

    @cached_property
    def sparse_points(self) -> SparsePoints | None:
        """Returns the points that structure from motion triangulated, None where the file names none."""
        path = self.folder / str(self._about.get("ply_file_path", ""))
        xyz, rgb = read_mesh(path) if path.is_file() else (None, None)
        return SparsePoints(xyz, rgb) if xyz is not None and rgb is not None else None


def _transforms(folder: Path) -> list[Path]:
    return [path for path in (folder / "transforms.json", folder / "transforms_train.json") if path.is_file()]


def _with_suffix(path: Path) -> Path:
    """Returns the image of a file_path, which may lack its suffix (synthetic scenes of NeRF)."""
    return (
        path if path.suffix else next((p for p in sorted(path.parent.glob(path.name + ".*"))), path.with_suffix(".png"))
    )


def _calibration(about: Mapping[str, Any], size: tuple[int, int] | None) -> CalibratedCamera:
    """Returns the camera of a frame. Raises KeyError, ValueError, and DatasetError for a lens that OpenCV lacks."""
    model, names = str(about.get("camera_model", "OPENCV")), ("k1", "k2", "k3", "k4", "p1", "p2")
    k1, k2, k3, k4, p1, p2 = (float(about.get(name, 0)) for name in names)
    fisheye = model == "OPENCV_FISHEYE" or bool(about.get("is_fisheye"))
    if model not in ("OPENCV", "OPENCV_FISHEYE", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE"):
        raise DatasetError(f"camera_model {model} is not supported: use OPENCV, OPENCV_FISHEYE or PINHOLE")
    if k4 and not fisheye:
        raise DatasetError("a lens with k4 is not supported unless it is OPENCV_FISHEYE: calibrate it as OPENCV")
    width, height = size or (int(about["w"]), int(about["h"]))
    fx = float(about["fl_x"]) if "fl_x" in about else width / 2 / math.tan(float(about["camera_angle_x"]) / 2)
    centre = float(about.get("cx", width / 2)), float(about.get("cy", height / 2))
    lens = (k1, k2, k3, k4) if fisheye else (k1, k2, p1, p2, k3)
    return CalibratedCamera(
        width, height, (fx, float(about.get("fl_y", fx))), centre, lens if any(lens) else (), fisheye
    )


class Record3dDataset(PosedFolder):
    """An export of the Record3D app (an unzipped .r3d), poses by ARKit."""

    known_by = "metadata, rgbd/0.jpg, ..."
    layout = "a Record3D folder holds metadata (or metadata.json) and rgbd/N.jpg, optionally rgbd/N.depth"

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        """Reads the metadata and lists the folder. Raises DatasetError, also where depth cannot be decompressed."""
        super().__init__(folder, options)
        path = _metadata(folder)[0]
        about = files.read_json(path)
        colors = files.numbered(folder / "rgbd", r"(\d+)\.(?:jpg|png)")
        depths = files.numbered(folder / "rgbd", r"(\d+)\.depth")
        try:
            width, height, poses = int(about["w"]), int(about["h"]), np.array(about["poses"], np.float64)
            every = about.get("perFrameIntrinsicCoeffs")
            own = every or [[about["K"][i] for i in (0, 4, 6, 7)]] * len(poses)  # K is written column by column
            cameras = [CalibratedCamera(width, height, (fx, fy), (cx, cy)) for fx, fy, cx, cy in own]
            self._size = int(about.get("dw", 0)), int(about.get("dh", 0))
            times = about.get("frameTimestamps") or [i / float(about.get("fps", 30)) for i in range(len(poses))]
            matrices = [(i, pose_from_quaternion(p[4:], np.roll(p[:4], 1)), f"pose {i}") for i, p in enumerate(poses)]
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"cannot read {path}: expected w, h, K, poses of Record3D ({error!r})") from error
        usable = files.usable_poses(matrices, self.faults)
        self.take([
            View(i, round(times[i] * 1e9), colors.get(i, folder / "rgbd" / f"{i}.jpg"), cameras[i],
                 T @ OPENCV_FROM_OPENGL, depths.get(i, folder / "rgbd" / f"{i}.depth") if depths else None)
            for i, T in usable.items()
        ], self.layout)  # fmt: skip
        if depths:
            self._expand(next(iter(depths.values())))

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder looks like this layout."""
        return bool(_metadata(folder)) and (folder / "rgbd").is_dir()

    def read_depth(self, source: files.Source) -> FloatArray:
        """Returns depth (h, w) m of a .depth."""
        width, height = self._size
        values = np.frombuffer(self._expand(source), np.float32)
        if values.size != width * height:
            raise DatasetError(f"cannot read {source}: {values.size} values, expected {width}x{height}", "broken_depth")
        return np.nan_to_num(values.reshape(height, width), posinf=0.0)

    def _expand(self, source: files.Source) -> bytes:
        content = files.read_content(source, "depth")
        if not content.startswith(b"bvx"):  # LZFSE
            return content
        try:
            import liblzfse  # type: ignore[import-not-found, unused-ignore]
        except ImportError as error:
            raise DatasetError(
                f"{source} is compressed (LZFSE): pip install pyliblzfse, or move rgbd/*.depth away to map without"
            ) from error
        try:
            return bytes(liblzfse.decompress(content))
        except liblzfse.error as error:
            raise DatasetError(f"cannot read {source}: {error}", "broken_depth") from error


def _metadata(folder: Path) -> list[Path]:
    return [path for path in (folder / "metadata", folder / "metadata.json") if path.is_file()]

"""RGB-D recordings in plain files: 7-Scenes and 3RScan by frame number, TUM RGB-D and EuRoC by stamps."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import yaml

from ig_ros.config import NodeConfig
from ig_ros.datasets import files
from ig_ros.datasets.bag_poses import recorded_poses
from ig_ros.datasets.posed import CalibratedCamera, PosedFolder, View
from ig_ros.errors import DatasetError
from ig_ros.geometry import pose_from_quaternion
from ig_ros.pose_buffer import PoseBuffer
from ig_ros.types import FloatArray

log = logging.getLogger(__name__)

SECOND = 1_000_000_000  # ns


class SevenScenesDataset(PosedFolder):
    """One sequence of 7-Scenes, or what ScanNet's C++ tool and 3RScan write: the same with _info.txt."""

    known_by = "frame-000000.color.jpg, ..."
    layout = (
        "a 7-Scenes folder holds frame-NNNNNN.color.jpg|png, frame-NNNNNN.pose.txt (4x4 camera-to-world), "
        "camera-intrinsics.txt (3x3; the original sequences use 585 0 320 / 0 585 240 / 0 0 1) or _info.txt, and "
        "optionally frame-NNNNNN.depth.png|pgm (16-bit, mm)"
    )

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        """Lists the folder and reads its poses. Raises DatasetError naming what is missing or unreadable."""
        super().__init__(folder, options)
        colors = files.numbered(folder, r"frame-(\d+)\.color\.(?:jpg|png)")
        depths = files.numbered(folder, r"frame-(\d+)\.depth\.(?:png|pgm)")
        poses = files.numbered(folder, r"frame-(\d+)\.pose\.txt")
        info = next((path for path in (folder / "_info.txt", folder / "info.txt") if path.is_file()), None)
        intrinsics, self._per_metre = folder / "camera-intrinsics.txt", 1000.0
        missing = [] if info or intrinsics.is_file() else [intrinsics]
        some = next(iter(colors | depths | poses), 0)
        missing += [folder / f"frame-{some:06d}.{kind}" for kind, found in
                    (("color.jpg", colors), ("pose.txt", poses)) if not found]  # fmt: skip
        files.refuse_missing(missing, self.layout)
        K_depth = None
        if info is None:
            K = files.read_intrinsics(intrinsics)
        else:
            K, K_depth, self._per_metre = _read_info(info)
        color, depth = CalibratedCamera.of(K, *files.common_size(colors.values())), None
        if K_depth is not None and depths:
            depth = CalibratedCamera.of(K_depth, *files.common_size(depths.values(), self.read_depth))

        def name(number: int, kind: str) -> Path:
            return folder / f"frame-{number:06d}.{kind}.png"

        every = {n: poses.get(n, folder / f"frame-{n:06d}.pose.txt") for n in sorted(colors | depths)}
        self.take_numbered(colors, depths, files.read_poses(every, self.faults), (color, depth), name, self.layout)

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder looks like this layout."""
        return any(folder.glob("frame-*.color.*")) or any(folder.glob("frame-*.pose.txt"))

    def read_depth(self, source: files.Source) -> FloatArray:
        """Returns depth (h, w) m, in the unit that the folder says."""
        return files.read_depth(source, self._per_metre)


def _read_info(path: Path) -> tuple[FloatArray, FloatArray, float]:
    """Returns K of colour and depth (3, 3), pixel centres at +0.5, and depth units per metre."""
    lines = (
        line.partition("=") for line in files.read_content(path, "calibration").decode(errors="replace").splitlines()
    )
    values = {name.strip(): value.split() for name, _, value in lines}
    try:
        K, K_depth = (
            np.array(values[f"m_calibration{kind}Intrinsic"], np.float64).reshape(-1, 4)[:3, :3]
            for kind in ("Color", "Depth")
        )
        per_metre = float(values["m_depthShift"][0])
    except (KeyError, ValueError, IndexError) as error:
        raise DatasetError(
            f"cannot read {path}: expected m_calibration...Intrinsic and m_depthShift ({error!r})"
        ) from error
    centre = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    return K + centre, K_depth + centre, per_metre


class StampedFolder(PosedFolder):
    """Images and poses with stamps of one clock, in tables."""

    def rows(self, path: Path, least: int) -> list[list[str]]:
        """Returns the lines of a table, those with fewer fields than `least` left out. Raises DatasetError."""
        text = files.read_content(path, "table").decode(errors="replace")
        rows = [line.replace(",", " ").split() for line in text.splitlines() if line.strip() and line[0] != "#"]
        good = [len(row) >= least and re.fullmatch(r"\d+(\.\d*)?", row[0]) is not None for row in rows]
        for i in (i for i, whole in enumerate(good) if not whole):
            self.faults.note("broken_line", f"row {i + 1} of {path}: expected a stamp and {least - 1} fields or more")
        return [row for row, whole in zip(rows, good, strict=True) if whole]

    def poses(self, path: Path, unit: int, w_first: bool, T_body_camera: FloatArray) -> PoseBuffer:
        """Returns the poses of a table: stamp (in `unit` ns), position, quaternion; each times T_body_camera (4, 4)."""
        buffer = recorded_poses(NodeConfig().pose_max_gap)
        for row in self.rows(path, 8):
            try:
                p, q = np.array(row[1:4], np.float64), np.array(row[4:8], np.float64)
                T = pose_from_quaternion(p, q if w_first else np.roll(q, 1))
                buffer.add(_nanoseconds(row[0], unit), T @ T_body_camera)
            except ValueError as error:
                self.faults.note("broken_pose", f"{path}, stamp {row[0]}: {error}")
        return buffer

    def take_stamped(
        self, images: Sequence[tuple[int, Path]], depths: Mapping[int, Path], poses: PoseBuffer,
        calibration: CalibratedCamera, layout: str,
    ) -> None:  # fmt: skip
        """Keeps the images, (stamp in ns, path), that have a pose at their time."""
        posed = [(stamp, path, T) for stamp, path in images if (T := poses.at(stamp).T_world_camera) is not None]
        if len(posed) < len(images):
            log.warning(
                "%s: left out %d of %d images: no pose at their time", self.name, len(images) - len(posed), len(images)
            )
        self.take(
            [View(i, stamp, path, calibration, T, depths.get(stamp)) for i, (stamp, path, T) in enumerate(posed)],
            layout,
        )


def _nanoseconds(text: str, unit: int) -> int:
    """Returns a stamp in ns, written in units of so many ns; a float would round it."""
    return int(Decimal(text) * unit)


class TumDataset(StampedFolder):
    """One sequence of TUM RGB-D. Depth is that of the nearest stamp; it is registered to colour as published."""

    known_by = "rgb.txt, groundtruth.txt"
    layout = (
        "a TUM RGB-D folder holds rgb.txt and groundtruth.txt, and optionally depth.txt (16-bit PNG, 5000 per m) and "
        "camera-intrinsics.txt (3x3)"
    )
    default = np.array([[525.0, 0, 320.0], [0, 525.0, 240.0], [0, 0, 1]])  # of the ROS driver, as TUM recommends

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        """Reads the tables. Option intrinsics: fx,fy,cx,cy and optionally k1,k2,p1,p2,k3. Raises DatasetError."""
        rest = dict(options)
        given = rest.pop("intrinsics", "")
        super().__init__(folder, rest)
        files.refuse_missing(
            [p for p in (folder / "rgb.txt", folder / "groundtruth.txt") if not p.is_file()], self.layout
        )
        images, depths = (self._images(folder / name) for name in ("rgb.txt", "depth.txt"))
        poses = self.poses(folder / "groundtruth.txt", SECOND, False, np.eye(4))
        self.take_stamped(
            images, _nearest(images, depths), poses, self._calibration(folder, images, given), self.layout
        )

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder looks like this layout."""
        return (folder / "rgb.txt").is_file()

    def read_depth(self, source: files.Source) -> FloatArray:
        """Returns depth (h, w) m: 5000 units are a metre."""
        return files.read_depth(source, 5000.0)

    def _images(self, table: Path) -> list[tuple[int, Path]]:
        if not table.is_file():
            return []
        return sorted((_nanoseconds(row[0], SECOND), table.parent / row[1]) for row in self.rows(table, 2))

    def _calibration(self, folder: Path, images: list[tuple[int, Path]], given: str) -> CalibratedCamera:
        path = folder / "camera-intrinsics.txt"
        size = files.common_size(path for _, path in images)
        if given:
            try:
                fx, fy, cx, cy, *distortion = map(float, given.split(","))
            except ValueError as error:
                raise DatasetError(f"intrinsics={given}: expected fx,fy,cx,cy[,k1,k2,p1,p2,k3] in px") from error
            return CalibratedCamera(*size, (fx, fy), (cx + 0.5, cy + 0.5), tuple(distortion), reducible=False)
        if path.is_file():
            return CalibratedCamera.of(files.read_intrinsics(path), *size)
        how = f"write {path} (3x3) or add ?intrinsics=fx,fy,cx,cy[,k1,k2,p1,p2,k3] to the folder"
        if size != (640, 480):
            raise DatasetError(f"{folder} does not say how its {size[0]}x{size[1]} images are calibrated: {how}")
        log.warning(
            "%s: taken for a Kinect with the ROS driver's calibration (525, 525, 319.5, 239.5): else %s", folder, how
        )
        return CalibratedCamera.of(self.default, *size)


def _nearest(images: list[tuple[int, Path]], depths: list[tuple[int, Path]]) -> dict[int, Path]:
    """Returns by stamp of an image the depth nearest in time, within 20 ms as TUM's own tool has it."""
    if not depths:
        return {}
    stamps = np.array([stamp for stamp, _ in depths])
    places = {stamp: int(np.abs(stamps - stamp).argmin()) for stamp, _ in images}
    return {stamp: depths[i][1] for stamp, i in places.items() if abs(depths[i][0] - stamp) <= 20_000_000}


class EurocDataset(StampedFolder):
    """The left camera of a EuRoC (ASL) or TUM-VI recording."""

    known_by = "mav0/cam0/data.csv"
    layout = (
        "a EuRoC folder holds mav0/cam0/data.csv, mav0/cam0/data/, mav0/cam0/sensor.yaml and "
        "mav0/state_groundtruth_estimate0/data.csv (or mav0/mocap0/data.csv)"
    )

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        """Reads the tables and the calibration. Raises DatasetError naming what is missing or unreadable."""
        super().__init__(folder, options)
        root = folder / "mav0" if (folder / "mav0").is_dir() else folder
        camera, truths = root / "cam0", [root / n / "data.csv" for n in ("state_groundtruth_estimate0", "mocap0")]
        truth = next((path for path in truths if path.is_file()), truths[0])
        wanted = (camera / "data.csv", camera / "sensor.yaml", truth)
        files.refuse_missing([path for path in wanted if not path.is_file()], self.layout)
        images = sorted((int(row[0]), camera / "data" / row[1]) for row in self.rows(camera / "data.csv", 2))
        calibration, T_body_camera = _read_sensor(camera / "sensor.yaml")
        self.take_stamped(images, {}, self.poses(truth, 1, True, T_body_camera), calibration, self.layout)

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder looks like this layout."""
        return any((path / "cam0" / "data.csv").is_file() for path in (folder, folder / "mav0"))


def _read_sensor(path: Path) -> tuple[CalibratedCamera, FloatArray]:
    """Returns the calibration of a camera and T_body_camera (4, 4)."""
    try:
        about = yaml.safe_load(path.read_text())
        T = np.array(about["T_BS"]["data"], np.float64).reshape(4, 4)
        (fx, fy, cx, cy), (width, height) = map(float, about["intrinsics"]), map(int, about["resolution"])
        model, distortion = str(about["distortion_model"]), tuple(map(float, about["distortion_coefficients"]))
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise DatasetError(
            f"cannot read {path}: expected T_BS, intrinsics, resolution, distortion ({error!r})"
        ) from error
    if model not in ("radial-tangential", "radtan", "equidistant"):
        raise DatasetError(f"{path}: distortion_model {model} is not supported: use radial-tangential or equidistant")
    return CalibratedCamera(width, height, (fx, fy), (cx + 0.5, cy + 0.5), distortion, model == "equidistant", False), T

"""The ScanNet layout: one folder per kind of file, or all of them in one .sens; optionally 2D masks and the truth."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ig_ros.datasets import files
from ig_ros.datasets.base import Faults, SceneTruth
from ig_ros.datasets.posed import CalibratedCamera, PosedFolder
from ig_ros.datasets.scannet_truth import TruthFiles, read_truth
from ig_ros.errors import DatasetError
from ig_ros.types import FloatArray, IntArray, Masks

LAYOUT = (
    "a ScanNet folder holds color/N.jpg|png, pose/N.txt (4x4 camera-to-world), intrinsic/intrinsic_color.txt (or "
    "SCENE.sens, which holds them all), and optionally depth/N.png (16-bit, mm), intrinsic/intrinsic_depth.txt, "
    "masks/N.png with N.json, and the truth: instance-filt/N.png, *_vh_clean_2.ply, *.labels.ply, *.segs.json, "
    "*.aggregation.json"
)
INSTANCE_IMAGES = "instance-filt/N.png"
IMAGE = r"(\d+)\.(?:jpg|jpeg|png)"


class ScanNetDataset(PosedFolder):
    """RGB-D frames of one ScanNet scene."""

    known_by = "color/, pose/, intrinsic/, *.sens"

    def __init__(self, path: Path, options: Mapping[str, str]) -> None:
        """Lists a folder, or reads the index of a .sens. Raises DatasetError naming what is missing or unreadable.

        Option masks: "files" takes those in masks/, if any; "truth" the exact ones in instance-filt/.
        """
        self._folder = path.parent if path.is_file() else path
        packed = path if path.is_file() else next(iter(sorted(path.glob("*.sens"))), None)
        self._instances, self._masks = self._optional("instance-filt"), self._optional("masks")
        super().__init__(self._folder, options, bool(self._instances))
        self._truth_files = TruthFiles.of(self._folder)
        if packed is not None and (path.is_file() or not (path / "color").is_dir()):
            self._packed = Packed(packed, self.faults)
            self.take_numbered(
                self._packed.colors,
                self._packed.depths,
                self._packed.poses,
                self._packed.calibrations,
                self._name,
                LAYOUT,
            )
        else:
            self._unpacked(path)

    def _unpacked(self, folder: Path) -> None:
        intrinsics = folder / "intrinsic" / "intrinsic_color.txt"
        missing = [folder / name for name in ("color", "pose") if not (folder / name).is_dir()]
        files.refuse_missing(missing + ([] if intrinsics.is_file() else [intrinsics]), LAYOUT)
        colors, depths = files.numbered(folder / "color", IMAGE), self._optional("depth")
        if not colors:
            raise DatasetError(f"{folder / 'color'} has no images: {LAYOUT}")
        color = CalibratedCamera.of(files.read_intrinsics(intrinsics), *files.common_size(colors.values()))
        own, depth = folder / "intrinsic" / "intrinsic_depth.txt", None
        if depths and own.is_file():
            depth = CalibratedCamera.of(
                files.read_intrinsics(own), *files.common_size(depths.values(), self.read_depth)
            )
        poses = files.read_poses({n: folder / "pose" / f"{n}.txt" for n in sorted(colors | depths)}, self.faults)
        self.take_numbered(colors, depths, poses, (color, depth), self._name, LAYOUT)

    def _name(self, number: int, kind: str) -> Path:
        return self._folder / kind / f"{number}.png"

    @cached_property
    def truth(self) -> SceneTruth | None:  # type: ignore[override]
        """Returns instances on the vertices of the benchmark's mesh, read at first use, None without files."""
        if not self._truth_files.has_instances():
            return None
        return read_truth(self._truth_files, self._instance_image, bool(self._instances))

    @property
    def missing_truth(self) -> tuple[str, ...]:  # type: ignore[override]
        """Returns one text per missing piece of the benchmark's truth."""
        images = () if self._instances else (f"{INSTANCE_IMAGES}: instance of each pixel",)
        return (*self._truth_files.missing(), *images)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether a folder looks like this layout, or a file is a .sens."""
        if path.is_file():
            return path.suffix == ".sens"
        images = any(
            files.numbered(path / part, IMAGE) for part in ("color", "instance-filt") if (path / part).is_dir()
        )
        return images or any(
            any(path.glob(name)) for name in ("*_vh_clean_2.ply", "*.sens", "intrinsic/intrinsic_color.txt")
        )

    def read_depth(self, source: files.Source) -> FloatArray:
        """Returns depth (h, w) m, of a PNG or of a .sens."""
        return self._packed.read_depth(source) if isinstance(source, files.Part) else files.read_depth(source)

    def _optional(self, name: str) -> dict[int, Path]:
        folder = self._folder / name
        return files.numbered(folder, r"(\d+)\.png") if folder.is_dir() else {}

    def masks(self, i: int) -> Masks | None:
        """Returns the masks in masks/, or with the option masks=truth the exact ones."""
        number, calibration = self.views[i].number, self.views[i].calibration
        width, height = calibration.width, calibration.height
        if self.true_masks:
            labels = self._labels(number, width, height)
            names = self.truth.names if self.truth is not None else {}
            return Masks(labels, {i: names[i] for i in np.unique(labels).tolist() if i in names})
        return self._read_masks(self._name(number, "masks"), (height, width)) if self._masks else None

    def _read_masks(self, path: Path, size: tuple[int, int]) -> Masks:
        labels = files.read_labels(path, "masks")
        if labels.shape != size:
            raise DatasetError(
                f"{path} is {labels.shape[::-1]}, its colour image {size[::-1]}: both must agree", "mask_size"
            )
        about = path.with_suffix(".json")
        entries = files.read_json(about)
        try:
            names = {int(key): str(entry["label"]) for key, entry in entries.items() if entry.get("label")}
            scores = {int(key): float(entry["score"]) for key, entry in entries.items() if "score" in entry}
        except (ValueError, TypeError, AttributeError) as error:
            raise DatasetError(
                f'cannot read {about}: expected {{"id": {{"label": text, "score": 0..1}}}} ({error})', "broken_masks"
            ) from error
        return Masks(labels, names, scores)

    def _labels(self, number: int, width: int, height: int) -> IntArray:
        labels = files.read_labels(self._name(number, "instance-filt"), "instances")
        return files.resized_labels(labels, width, height)

    def _instance_image(self, i: int) -> IntArray:
        if not self._instances:
            raise DatasetError(f"{self._folder} lacks {INSTANCE_IMAGES}: its truth has points, but no images")
        calibration = self.views[i].calibration
        return self._labels(self.views[i].number, calibration.width, calibration.height)


class Packed:
    """The index of a .sens, version 4; the images stay in the file until they are wanted."""

    def __init__(self, path: Path, faults: Faults) -> None:
        """Reads the header and where each frame lies. Raises DatasetError."""
        self.colors: dict[int, files.Part] = {}
        self.depths: dict[int, files.Part] = {}
        try:
            with path.open("rb") as file:
                compressions, sizes, self._per_metre, count = self._read_header(file)
                found = self._read_frames(file, path, count)
        except (OSError, struct.error) as error:
            raise DatasetError(f"cannot read {path}: it is not a .sens of version 4 ({error})") from error
        if compressions[0] not in (1, 2) or compressions[1] not in (0, 1):
            raise DatasetError(f"{path} has a rare compression: unpack it with ScanNet's SensReader, then {LAYOUT}")
        if len(found) < count:
            faults.note("cut_file", f"{path} ends after {len(found)} of {count} frames")
        self._size, self._compressed = (sizes[3], sizes[2]), compressions[1] == 1
        self.poses = files.usable_poses(((n, T, f"frame {n} of {path}") for n, T in enumerate(found)), faults)
        w, h, depth_w, depth_h = sizes
        self.calibrations = CalibratedCamera.of(self._K[0], w, h), CalibratedCamera.of(self._K[1], depth_w, depth_h)

    def _read_header(self, file: BinaryIO) -> tuple[tuple[int, ...], tuple[int, ...], float, int]:
        version, length = _take(file, "IQ")
        if version != 4:
            raise struct.error(f"version {version}")
        file.seek(length, 1)  # the sensor's name
        matrices = np.array(_take(file, "64f")).reshape(4, 4, 4)  # intrinsic, extrinsic of colour, then of depth
        centre = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        self._K = matrices[0, :3, :3] + centre, matrices[2, :3, :3] + centre
        return _take(file, "2i"), _take(file, "4I"), *_take(file, "fQ")

    def _read_frames(self, file: BinaryIO, path: Path, count: int) -> list[FloatArray]:
        """Returns the poses (4, 4) of the frames that are whole, and notes where their images lie."""
        poses: list[FloatArray] = []
        size = path.stat().st_size
        for n in range(count):
            if file.tell() + struct.calcsize("<16f4Q") > size:
                break
            *pose, _, _, color, depth = _take(file, "16f4Q")
            start = file.tell()
            if start + color + depth > size:
                break
            self.colors[n] = files.Part(path, f"colour {n}", start, color)
            self.depths[n] = files.Part(path, f"depth {n}", start + color, depth)
            poses.append(np.array(pose).reshape(4, 4))
            file.seek(color + depth, 1)
        return poses

    def read_depth(self, part: files.Part) -> FloatArray:
        """Returns depth (h, w) m. Raises DatasetError."""
        content = files.read_content(part, "depth")
        try:
            depth = np.frombuffer(zlib.decompress(content) if self._compressed else content, np.uint16).reshape(
                self._size
            )
        except (zlib.error, ValueError) as error:
            raise DatasetError(f"cannot read {part}: {error}", "broken_depth") from error
        return np.where(depth == files.NO_VALUE, 0, depth).astype(np.float32) / np.float32(self._per_metre)


def _take(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack("<" + layout, file.read(struct.calcsize("<" + layout)))

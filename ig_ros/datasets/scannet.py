"""The ScanNet layout: one folder per kind of file, optionally with 2D masks and the truth beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from ig_ros.datasets import files
from ig_ros.datasets.base import SceneTruth, stamp_of
from ig_ros.datasets.scannet_truth import TruthFiles, read_truth
from ig_ros.errors import DatasetError
from ig_ros.types import Camera, FloatArray, Frame, IntArray, Masks

LAYOUT = (
    "a ScanNet folder holds color/N.jpg|png, pose/N.txt (4x4 camera-to-world), intrinsic/intrinsic_color.txt, and "
    "optionally depth/N.png (16-bit, mm), intrinsic/intrinsic_depth.txt, masks/N.png with N.json, and the "
    "truth: instance-filt/N.png, *_vh_clean_2.ply, *.labels.ply, *.segs.json, *.aggregation.json"
)
INSTANCE_IMAGES = "instance-filt/N.png"
IMAGE = r"(\d+)\.(?:jpg|jpeg|png)"


class ScanNetDataset:
    """RGB-D frames of one ScanNet scene."""

    known_by = "color/, pose/, intrinsic/"

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        """Lists the folder and reads poses and calibration. Raises DatasetError naming what is missing or unreadable.

        Option masks: "files" takes those in masks/, if any; "truth" the exact ones in instance-filt/.
        """
        self.name = folder.resolve().name
        self._folder = folder
        _refuse_packed(folder)
        missing = [folder / name for name in ("color", "pose") if not (folder / name).is_dir()]
        color_intrinsics = folder / "intrinsic" / "intrinsic_color.txt"
        files.refuse_missing(missing + ([] if color_intrinsics.is_file() else [color_intrinsics]), LAYOUT)
        self._colors = files.numbered(folder / "color", IMAGE)
        if not self._colors:
            raise DatasetError(f"{folder / 'color'} has no images: {LAYOUT}")
        poses = files.numbered(folder / "pose", r"(\d+)\.txt")
        self._depths = self._optional("depth")
        self._instances = self._optional("instance-filt")
        self._masks = self._optional("masks")
        self._refuse_gaps(poses)
        self._poses = files.read_poses((number, poses[number]) for number in self._colors)
        self._numbers = list(self._poses)
        self._K = files.read_intrinsics(color_intrinsics)
        depth_intrinsics = folder / "intrinsic" / "intrinsic_depth.txt"
        self._K_depth = files.read_intrinsics(depth_intrinsics) if self._depths and depth_intrinsics.is_file() else None
        self._exact_masks = files.wants_true_masks(options, folder, bool(self._instances))
        self._truth_files = TruthFiles.of(folder)

    @cached_property
    def truth(self) -> SceneTruth | None:
        """Returns instances on the vertices of the benchmark's mesh, read at first use, None without files."""
        if not self._truth_files.has_instances():
            return None
        return read_truth(self._truth_files, self._instance_image, bool(self._instances))

    @property
    def missing_truth(self) -> tuple[str, ...]:
        """Returns one text per missing piece of the benchmark's truth."""
        images = () if self._instances else (f"{INSTANCE_IMAGES}: instance of each pixel",)
        return (*self._truth_files.missing(), *images)

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder looks like this layout."""
        parts = ("color", "intrinsic", "instance-filt")
        return any((folder / part).is_dir() for part in parts) or any(
            any(folder.glob(pattern)) for pattern in ("*_vh_clean_2.ply", "*.sens")
        )

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, i: int) -> Frame:
        number = self._numbers[i]
        rgb = files.read_rgb(self._colors[number])
        camera = Camera(self._K, rgb.shape[1], rgb.shape[0])
        depth = self._registered_depth(number, camera) if self._depths else None
        masks = None
        if self._exact_masks:
            masks = self._instance_masks(number, camera)
        elif self._masks:
            masks = self._read_masks(number, rgb.shape[:2])
        return Frame(stamp_of(number), rgb, camera, self._poses[number], depth=depth, masks=masks, index=number)

    def _optional(self, name: str) -> dict[int, Path]:
        folder = self._folder / name
        return files.numbered(folder, r"(\d+)\.png") if folder.is_dir() else {}

    def _refuse_gaps(self, poses: dict[int, Path]) -> None:
        """Raises DatasetError for colour images without their companions; a kind of file may be wholly absent."""
        optional = {"depth": self._depths, "instance-filt": self._instances, "masks": self._masks}
        missing = [self._folder / "pose" / f"{number}.txt" for number in self._colors if number not in poses]
        missing += [
            self._folder / name / f"{number}.png"
            for name, found in optional.items()
            for number in self._colors
            if found and number not in found
        ]
        missing += [path for path in (p.with_suffix(".json") for p in self._masks.values()) if not path.is_file()]
        files.refuse_missing(missing, LAYOUT)

    def _registered_depth(self, number: int, camera: Camera) -> FloatArray:
        depth = files.read_depth(self._depths[number])
        height, width = depth.shape
        K_depth = self._K_depth if self._K_depth is not None else camera.resized(width, height).K
        return files.register_depth(depth, K_depth, self._K, camera.width, camera.height)

    def _read_masks(self, number: int, size: tuple[int, ...]) -> Masks:
        path = self._masks[number]
        labels = files.read_labels(path)
        if labels.shape != size:
            raise DatasetError(f"{path} is {labels.shape[::-1]}, its colour image {size[::-1]}: both must agree")
        about = path.with_suffix(".json")
        entries = files.read_json(about)
        try:
            names = {int(key): str(entry["label"]) for key, entry in entries.items() if entry.get("label")}
            scores = {int(key): float(entry["score"]) for key, entry in entries.items() if "score" in entry}
        except (ValueError, TypeError, AttributeError) as error:
            raise DatasetError(
                f'cannot read {about}: expected {{"id": {{"label": text, "score": 0..1}}}} ({error})'
            ) from error
        return Masks(labels, names, scores)

    def _instance_masks(self, number: int, camera: Camera) -> Masks:
        """Returns the true instances as masks, for what is judged with perfect segmentation (option masks=truth)."""
        labels = files.resized_labels(files.read_labels(self._instances[number]), camera.width, camera.height)
        names = self.truth.names if self.truth is not None else {}
        return Masks(labels, {i: names[i] for i in np.unique(labels).tolist() if i in names})

    def _instance_image(self, i: int) -> IntArray:
        if not self._instances:
            raise DatasetError(f"{self._folder} lacks {INSTANCE_IMAGES}: its truth has points, but no images")
        return files.resized_labels(files.read_labels(self._instances[self._numbers[i]]), *self._size)

    @cached_property
    def _size(self) -> tuple[int, int]:
        """Returns width and height of the colour images, px; those in instance-filt/ may be of another size."""
        shape = files.read_rgb(self._colors[self._numbers[0]]).shape
        return shape[1], shape[0]


def _refuse_packed(folder: Path) -> None:
    recordings = sorted(folder.glob("*.sens"))
    if recordings and not (folder / "color").is_dir():
        raise DatasetError(f"{recordings[0]} is still packed: unpack it with ScanNet's SensReader, then {LAYOUT}")

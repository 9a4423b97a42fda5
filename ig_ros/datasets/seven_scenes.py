"""The 7-Scenes layout: all files of a sequence side by side in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ig_ros.datasets import files
from ig_ros.datasets.base import SceneTruth, stamp_of
from ig_ros.errors import DatasetError
from ig_ros.types import Camera, Frame

LAYOUT = (
    "a 7-Scenes folder holds frame-NNNNNN.color.jpg|png, frame-NNNNNN.depth.png (16-bit, mm), frame-NNNNNN.pose.txt "
    "(4x4 camera-to-world) and camera-intrinsics.txt (3x3; the original sequences use 585 0 320 / 0 585 240 / 0 0 1)"
)


class SevenScenesDataset:
    """RGB-D frames of one 7-Scenes sequence. Depth is taken as registered to colour, as the sequences are used."""

    known_by = "frame-000000.color.jpg, ..."
    truth: SceneTruth | None = None
    missing_truth: tuple[str, ...] = ("instances: the 7-Scenes layout has no annotation",)

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        """Lists the folder and reads its poses. Raises DatasetError naming what is missing or unreadable."""
        files.wants_true_masks(options, folder, has_images=False)
        self.name = folder.resolve().name
        colors = files.numbered(folder, r"frame-(\d+)\.color\.(?:jpg|png)")
        depths = files.numbered(folder, r"frame-(\d+)\.depth\.png")
        poses = files.numbered(folder, r"frame-(\d+)\.pose\.txt")
        intrinsics = folder / "camera-intrinsics.txt"
        missing = [] if intrinsics.is_file() else [intrinsics]
        for kind, found in (("color.jpg", colors), ("depth.png", depths), ("pose.txt", poses)):
            every = sorted(colors.keys() | depths.keys() | poses.keys())
            missing += [folder / f"frame-{number:06d}.{kind}" for number in every if number not in found]
        if not colors:
            raise DatasetError(f"{folder} has no frames: {LAYOUT}")
        files.refuse_missing(missing, LAYOUT)
        self._colors, self._depths = colors, depths
        self._poses = files.read_poses(poses.items())
        self._numbers = list(self._poses)
        self._K = files.read_intrinsics(intrinsics)

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder looks like this layout."""
        return any(folder.glob("frame-*.color.*")) or any(folder.glob("frame-*.pose.txt"))

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, i: int) -> Frame:
        number = self._numbers[i]
        rgb, depth = files.read_rgb(self._colors[number]), files.read_depth(self._depths[number])
        if depth.shape != rgb.shape[:2]:
            raise DatasetError(f"{self._depths[number]} is {depth.shape[::-1]}, its colour image {rgb.shape[1::-1]}")
        camera = Camera(self._K, rgb.shape[1], rgb.shape[0])
        return Frame(stamp_of(number), rgb, camera, self._poses[number], depth=depth, index=number)

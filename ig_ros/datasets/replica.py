"""Replica as the SLAM papers exported it: with instance images (vMAP, Semantic-NeRF) and without (NICE-SLAM, iMAP)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from ig_ros.datasets.base import SceneTruth, stamp_of
from ig_ros.datasets.class_lists import BACKGROUND, nyu40_class
from ig_ros.datasets.files import (
    numbered,
    read_depth,
    read_json,
    read_labels,
    read_rgb,
    read_trajectory,
    refuse_missing,
)
from ig_ros.datasets.fused_truth import View, fuse
from ig_ros.errors import DatasetError
from ig_ros.types import Camera, FloatArray, Frame, IntArray, Masks

logger = logging.getLogger(__name__)

VMAP_LAYOUT = (
    "a vMAP folder of Replica (SCENE, or SCENE/imap/00) holds rgb/rgb_N.png, depth/depth_N.png (16-bit, mm), "
    "traj_w_c.txt (16 numbers per frame) and for the truth semantic_instance/semantic_instance_N.png and "
    "info_semantic.json"
)
NICE_LAYOUT = (
    "a NICE-SLAM folder of Replica holds results/frameNNNNNN.jpg, results/depthNNNNNN.png, traj.txt (16 numbers per "
    "frame), and cam_params.json there or above"
)
CAMERA_FILE, NAMES_FILE = "cam_params.json", "info_semantic.json"
INSTANCE_IMAGES = "semantic_instance/semantic_instance_N.png"
NO_INSTANCE = 65535  # what became of -1, Replica's "undefined"
FUSED_VIEWS = 200  # at most; further ones along a dense path see nothing new


class ReplicaDataset:
    """RGB-D frames of one rendered Replica sequence."""

    def __init__(self, folder: Path, masks: str = "files") -> None:
        """List the folder and read its trajectory. Raises DatasetError naming what is missing or unreadable.

        masks: "files" brings none, since none are recorded; "truth" the exact ones in semantic_instance/.
        """
        self.name = folder.resolve().name
        self._folder = folder
        root = _vmap_root(folder)
        if root is not None:
            self._list(
                root, root / "rgb", r"rgb_(\d+)\.(?:png|jpg)", root / "depth", root / "traj_w_c.txt", VMAP_LAYOUT
            )
        else:
            frames = folder / "results"
            self._list(folder, frames, r"frame(\d+)\.(?:jpg|png)", frames, folder / "traj.txt", NICE_LAYOUT)
        self._camera, self._per_metre = _calibration(folder, read_rgb(next(iter(self._colors.values()))).shape, root)
        self._exact_masks = masks == "truth"
        if self._exact_masks and not self._instances:
            raise DatasetError(f"{folder} lacks {INSTANCE_IMAGES}: masks=truth takes the masks from there")

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder looks like one of the two layouts."""
        return _vmap_root(folder) is not None or (folder / "results").is_dir() or (folder / "traj.txt").is_file()

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, i: int) -> Frame:
        number = self._numbers[i]
        rgb, depth = read_rgb(self._colors[number]), self._depth(number)
        masks = None
        if self._exact_masks:
            labels = self._instance_image(i)
            masks = Masks(labels, {k: self._names[k] for k in np.unique(labels).tolist() if k in self._names})
        return Frame(stamp_of(number), rgb, self._camera, self._poses[number], depth=depth, masks=masks, index=number)

    @cached_property
    def truth(self) -> SceneTruth | None:
        """Instances fused from depth and instance images (seconds at first use), None without instance images."""
        if not self._instances:
            return None
        points, ids = fuse(self._views())
        present = np.unique(ids[ids > 0]).tolist()
        names = {i: self._names.get(i, "") for i in present}
        asked = {name: i for i, name in reversed(names.items()) if name and nyu40_class(name) not in BACKGROUND}
        return SceneTruth(points, ids, names, tuple(asked.items())[::-1], (), self._instance_image)

    @property
    def missing_truth(self) -> tuple[str, ...]:
        """One text per missing piece of the truth."""
        images = () if self._instances else (f"{INSTANCE_IMAGES}: instance of each pixel",)
        return images if self._names else (*images, f"{NAMES_FILE}: names of the instances")

    def _list(self, root: Path, colors: Path, pattern: str, depths: Path, trajectory: Path, layout: str) -> None:
        """Find every file; all that is missing goes into one error."""
        missing = [path for path in (colors, depths) if not path.is_dir()]
        missing += [] if trajectory.is_file() else [trajectory]
        refuse_missing(missing, layout)
        self._colors = numbered(colors, pattern)
        if not self._colors:
            raise DatasetError(f"{colors} has no images: {layout}")
        self._depths = numbered(depths, r"depth_?(\d+)\.png")
        instances = root / "semantic_instance"
        self._instances = numbered(instances, r"semantic_instance_(\d+)\.png") if instances.is_dir() else {}
        self._poses = read_trajectory(trajectory)
        gaps = [f"depth of frame {n} in {depths}" for n in self._colors if n not in self._depths]
        if self._instances:
            gaps += [f"instances of frame {n} in {instances}" for n in self._colors if n not in self._instances]
        refuse_missing([Path(gap) for gap in gaps], layout)
        self._numbers = [number for number in self._colors if number in self._poses]
        if len(self._numbers) < len(self._colors):
            logger.warning("%s gives no pose to %d frames", trajectory, len(self._colors) - len(self._numbers))
        if not self._numbers:
            raise DatasetError(f"{trajectory} has a pose for none of the {len(self._colors)} images")

    @cached_property
    def _names(self) -> dict[int, str]:
        """Instance -> name, from the scene's semantic information; empty where that is absent."""
        path = _above(self._folder, NAMES_FILE)
        if path is None:
            return {}
        about = read_json(path)
        try:
            return {int(thing["id"]): str(thing["class_name"]) for thing in about["objects"]}
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f'cannot read {path}: expected {{"objects": [{{"id", "class_name"}}]}}') from error

    def _depth(self, number: int) -> FloatArray:
        return read_depth(self._depths[number], self._per_metre)

    def _instance_image(self, i: int) -> IntArray:
        if not self._instances:
            raise DatasetError(f"{self._folder} lacks {INSTANCE_IMAGES}")
        image = read_labels(self._instances[self._numbers[i]])
        return np.where(image == NO_INSTANCE, 0, image).astype(np.int32)

    def _views(self) -> Iterator[View]:
        for i in np.linspace(0, len(self) - 1, min(len(self), FUSED_VIEWS)).round().astype(int).tolist():
            number = self._numbers[i]
            yield self._depth(number), self._instance_image(i), self._camera, self._poses[number]


def _vmap_root(folder: Path) -> Path | None:
    """The folder of a vMAP sequence that holds its files: itself, or below it by their convention."""
    candidates = (folder, folder / "imap" / "00", folder / "00")
    parts = ("traj_w_c.txt", "rgb", "semantic_instance")
    return next((path for path in candidates if any((path / part).exists() for part in parts)), None)


def _above(folder: Path, name: str) -> Path | None:
    """The file in the folder, in habitat/ beside it, or up to three folders higher."""
    start = folder.resolve()
    for place in (start, *list(start.parents)[:3]):
        for path in (place / name, place / "habitat" / name):
            if path.is_file():
                return path
    return None


def _calibration(folder: Path, shape: tuple[int, ...], vmap_root: Path | None) -> tuple[Camera, float]:
    """Camera and depth units per metre: vMAP renders 90 degrees and millimetres, NICE-SLAM has a file that says it."""
    height, width = shape[:2]
    if vmap_root is not None:
        focal = width / 2
        return Camera(np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]), width, height), 1000.0
    path = _above(folder, CAMERA_FILE)
    refuse_missing([] if path is not None else [folder / CAMERA_FILE], NICE_LAYOUT)
    assert path is not None
    about = read_json(path)
    try:
        values = {name: float(about["camera"][name]) for name in ("w", "h", "fx", "fy", "cx", "cy", "scale")}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"cannot read {path}: expected camera with w, h, fx, fy, cx, cy, scale ({error!r})"
        ) from error
    K = np.array([[values["fx"], 0, values["cx"] + 0.5], [0, values["fy"], values["cy"] + 0.5], [0, 0, 1.0]])
    camera = Camera(K, round(values["w"]), round(values["h"]))
    return camera.resized(width, height), values["scale"]

"""Replica as the SLAM papers exported it: with instance images (vMAP, Semantic-NeRF) and without (NICE-SLAM, iMAP)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ig_ros.datasets import files
from ig_ros.datasets.base import SceneTruth, stamp_of
from ig_ros.datasets.fused_truth import InstanceView, fuse
from ig_ros.datasets.scannet_truth import questions
from ig_ros.errors import DatasetError
from ig_ros.types import Camera, FloatArray, Frame, IntArray, Masks

logger = logging.getLogger(__name__)

NAMES_FILE, CAMERA_FILE = "info_semantic.json", "cam_params.json"


@dataclass(frozen=True, slots=True)
class Convention:
    """How an export names its files, below the folder that holds them."""

    colors: str  # folder/prefix; a number follows
    depths: str
    trajectory: str
    layout: str  # in words, for errors


INSTANCES = "semantic_instance/semantic_instance_"
VMAP = Convention(
    "rgb/rgb_", "depth/depth_", "traj_w_c.txt",
    "a vMAP folder of Replica (SCENE, or SCENE/imap/00) holds rgb/rgb_N.png, depth/depth_N.png (16-bit, mm), "
    "traj_w_c.txt (16 numbers per frame) and for the truth semantic_instance/semantic_instance_N.png and "
    "info_semantic.json",
)  # fmt: skip
NICE_SLAM = Convention(
    "results/frame", "results/depth", "traj.txt",
    "a NICE-SLAM folder of Replica holds results/frameNNNNNN.jpg, results/depthNNNNNN.png, traj.txt (16 numbers per "
    "frame), and cam_params.json there or above",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReplicaFiles:
    """The files of one sequence by frame number; frames without a pose are left out."""

    colors: dict[int, Path]
    depths: dict[int, Path]
    instances: dict[int, Path]  # empty where the export has none
    poses: dict[int, FloatArray]  # (4, 4) camera-to-world


def vmap_root(folder: Path) -> Path | None:
    """Returns the folder with a vMAP sequence's files: itself, or below it by their convention; None if it is none."""
    candidates = (folder, folder / "imap" / "00", folder / "00")
    parts = (VMAP.trajectory, "rgb", "semantic_instance")
    return next((path for path in candidates if any((path / part).exists() for part in parts)), None)


def file_above(folder: Path, name: str) -> Path | None:
    """Returns the file in the folder, in habitat/ beside it, or up to three folders higher."""
    start = folder.resolve()
    places = [start, *list(start.parents)[:3]]
    candidates = [path for place in places for path in (place / name, place / "habitat" / name)]
    return next((path for path in candidates if path.is_file()), None)


def list_files(root: Path, convention: Convention) -> ReplicaFiles:
    """Returns all files of the sequence in `root`. Raises DatasetError, which names all that is missing."""
    trajectory = root / convention.trajectory
    folders = [(root / prefix).parent for prefix in dict.fromkeys((convention.colors, convention.depths))]
    missing = [path for path in dict.fromkeys(folders) if not path.is_dir()]
    files.refuse_missing(missing + ([] if trajectory.is_file() else [trajectory]), convention.layout)
    colors = _find(root, convention.colors)
    if not colors:
        raise DatasetError(f"{root / convention.colors}N has no images: {convention.layout}")
    depths, instances = _find(root, convention.depths), _find(root, INSTANCES)
    expected = [(convention.depths, depths), *([(INSTANCES, instances)] if instances else [])]
    gaps = [
        root / f"{prefix}{path.stem.removeprefix(Path(convention.colors).name)}.png"
        for prefix, found in expected
        for number, path in colors.items()
        if number not in found
    ]
    files.refuse_missing(gaps, convention.layout)
    poses = files.read_trajectory(trajectory)
    posed = {number: path for number, path in colors.items() if number in poses}
    if len(posed) < len(colors):
        logger.warning("%s gives no pose to %d frames", trajectory, len(colors) - len(posed))
    if not posed:
        raise DatasetError(f"{trajectory} has a pose for none of the {len(colors)} images")
    return ReplicaFiles(posed, depths, instances, poses)


def _find(root: Path, prefix: str) -> dict[int, Path]:
    folder = (root / prefix).parent
    return files.numbered(folder, Path(prefix).name + r"(\d+)\.(?:png|jpg)") if folder.is_dir() else {}


INSTANCE_IMAGES = "semantic_instance/semantic_instance_N.png"
FUSED_VIEWS = 200  # views at most that make up the truth; more along a dense path see nothing new


class ReplicaDataset:
    """RGB-D frames of one rendered Replica sequence."""

    known_by = "rgb/, depth/, traj_w_c.txt; results/, traj.txt"

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        """Lists the folder and reads its trajectory. Raises DatasetError naming what is missing or unreadable.

        Option masks: "files" brings none, since none are recorded; "truth" the exact ones in semantic_instance/.
        """
        self.name = folder.resolve().name
        self._folder = folder
        root = vmap_root(folder)
        self._files = list_files(folder, NICE_SLAM) if root is None else list_files(root, VMAP)
        self._numbers = list(self._files.colors)
        shape = files.read_rgb(self._files.colors[self._numbers[0]]).shape
        self._camera, self._per_metre = _calibration(folder, shape) if root is None else _rendered(shape)
        self._exact_masks = files.wants_true_masks(options, folder, bool(self._files.instances))

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder looks like one of the two layouts."""
        return vmap_root(folder) is not None or (folder / "results").is_dir() or (folder / "traj.txt").is_file()

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, i: int) -> Frame:
        number = self._numbers[i]
        rgb, depth = files.read_rgb(self._files.colors[number]), self._depth(number)
        masks = None
        if self._exact_masks:
            labels = self._instance_image(i)
            masks = Masks(labels, {k: self._names[k] for k in np.unique(labels).tolist() if k in self._names})
        return Frame(
            stamp_of(number), rgb, self._camera, self._files.poses[number], depth=depth, masks=masks, index=number
        )

    @cached_property
    def truth(self) -> SceneTruth | None:
        """Returns instances fused from depth and instance images (seconds at first use), None without such images."""
        if not self._files.instances:
            return None
        points, ids = fuse(self._views())
        present = np.unique(ids[ids > 0]).tolist()
        names = {i: self._names.get(i, "") for i in present}
        return SceneTruth(points, ids, names, questions(names), (), self._instance_image)

    @property
    def missing_truth(self) -> tuple[str, ...]:
        """Returns one text per missing piece of the truth."""
        images = () if self._files.instances else (f"{INSTANCE_IMAGES}: instance of each pixel",)
        return images if self._names else (*images, f"{NAMES_FILE}: names of the instances")

    @cached_property
    def _names(self) -> dict[int, str]:
        """Returns names by instance, from the scene's semantic information; empty where that is absent."""
        path = file_above(self._folder, NAMES_FILE)
        if path is None:
            return {}
        about = files.read_json(path)
        try:
            return {int(thing["id"]): str(thing["class_name"]) for thing in about["objects"]}
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f'cannot read {path}: expected {{"objects": [{{"id", "class_name"}}]}}') from error

    def _depth(self, number: int) -> FloatArray:
        return files.read_depth(self._files.depths[number], self._per_metre)

    def _instance_image(self, i: int) -> IntArray:
        if not self._files.instances:
            raise DatasetError(f"{self._folder} lacks {INSTANCE_IMAGES}")
        image = files.read_labels(self._files.instances[self._numbers[i]])
        return np.where(image == files.NO_VALUE, 0, image).astype(np.int32)

    def _views(self) -> Iterator[InstanceView]:
        for i in np.linspace(0, len(self) - 1, min(len(self), FUSED_VIEWS)).round().astype(int).tolist():
            number = self._numbers[i]
            yield InstanceView(self._depth(number), self._instance_image(i), self._camera, self._files.poses[number])


def _rendered(shape: tuple[int, ...]) -> tuple[Camera, float]:
    """Returns camera and depth units per metre of vMAP and Semantic-NeRF: 90 degrees wide, depth in millimetres."""
    height, width = shape[:2]
    focal = width / 2
    return Camera(np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]), width, height), 1000.0


def _calibration(folder: Path, shape: tuple[int, ...]) -> tuple[Camera, float]:
    """Returns camera and depth units per metre of NICE-SLAM, which has a file that says so."""
    path = file_above(folder, CAMERA_FILE)
    if path is None:
        raise DatasetError(f"missing {folder / CAMERA_FILE}: {NICE_SLAM.layout}")
    about = files.read_json(path)
    try:
        values = {name: float(about["camera"][name]) for name in ("w", "h", "fx", "fy", "cx", "cy", "scale")}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"cannot read {path}: expected camera with w, h, fx, fy, cx, cy, scale ({error!r})"
        ) from error
    K = np.array([[values["fx"], 0, values["cx"] + 0.5], [0, values["fy"], values["cy"] + 0.5], [0, 0, 1.0]])
    camera = Camera(K, round(values["w"]), round(values["h"]))
    return camera.resized(shape[1], shape[0]), values["scale"]

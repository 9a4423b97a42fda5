"""Which files make a sequence of Replica, as vMAP and Semantic-NeRF name them and as NICE-SLAM and iMAP do."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from ig_ros.datasets.files import numbered, read_trajectory, refuse_missing
from ig_ros.errors import DatasetError
from ig_ros.types import FloatArray

logger = logging.getLogger(__name__)

NAMES_FILE, CAMERA_FILE = "info_semantic.json", "cam_params.json"


@dataclass(frozen=True, slots=True)
class Convention:
    """How an export names its files, below the folder that holds them."""

    colors: str  # folder/prefix; a number follows
    depths: str
    trajectory: str
    digits: int  # the number is padded to
    layout: str  # in words, for errors


INSTANCES = "semantic_instance/semantic_instance_"
VMAP = Convention(
    "rgb/rgb_", "depth/depth_", "traj_w_c.txt", 1,
    "a vMAP folder of Replica (SCENE, or SCENE/imap/00) holds rgb/rgb_N.png, depth/depth_N.png (16-bit, mm), "
    "traj_w_c.txt (16 numbers per frame) and for the truth semantic_instance/semantic_instance_N.png and "
    "info_semantic.json",
)  # fmt: skip
NICE_SLAM = Convention(
    "results/frame", "results/depth", "traj.txt", 6,
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
    """The folder that holds a vMAP sequence's files: itself, or below it by their convention; None if it is none."""
    candidates = (folder, folder / "imap" / "00", folder / "00")
    parts = (VMAP.trajectory, "rgb", "semantic_instance")
    return next((path for path in candidates if any((path / part).exists() for part in parts)), None)


def file_above(folder: Path, name: str) -> Path | None:
    """The file in the folder, in habitat/ beside it, or up to three folders higher."""
    start = folder.resolve()
    for place in (start, *list(start.parents)[:3]):
        for path in (place / name, place / "habitat" / name):
            if path.is_file():
                return path
    return None


def list_files(root: Path, convention: Convention) -> ReplicaFiles:
    """All files of the sequence in `root`. Raises DatasetError, which names all that is missing."""
    trajectory = root / convention.trajectory
    folders = [(root / prefix).parent for prefix in dict.fromkeys((convention.colors, convention.depths))]
    missing = [path for path in dict.fromkeys(folders) if not path.is_dir()]
    refuse_missing(missing + ([] if trajectory.is_file() else [trajectory]), convention.layout)
    colors = _find(root, convention.colors)
    if not colors:
        raise DatasetError(f"{root / convention.colors}N has no images: {convention.layout}")
    depths, instances = _find(root, convention.depths), _find(root, INSTANCES)
    expected = [(convention.depths, depths), *([(INSTANCES, instances)] if instances else [])]
    gaps = [
        root / f"{prefix}{number:0{convention.digits}d}.png"
        for prefix, found in expected
        for number in colors
        if number not in found
    ]
    refuse_missing(gaps, convention.layout)
    poses = read_trajectory(trajectory)
    posed = {number: path for number, path in colors.items() if number in poses}
    if len(posed) < len(colors):
        logger.warning("%s gives no pose to %d frames", trajectory, len(colors) - len(posed))
    if not posed:
        raise DatasetError(f"{trajectory} has a pose for none of the {len(colors)} images")
    return ReplicaFiles(posed, depths, instances, poses)


def _find(root: Path, prefix: str) -> dict[int, Path]:
    folder = (root / prefix).parent
    return numbered(folder, Path(prefix).name + r"(\d+)\.(?:png|jpg)") if folder.is_dir() else {}

"""Replica as the SLAM papers exported it: with instance images (vMAP, Semantic-NeRF) and without (NICE-SLAM, iMAP).

No labelled mesh comes with it: the truth is fused from depth and instance images.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from ig_ros.datasets import files
from ig_ros.datasets.base import SceneTruth
from ig_ros.datasets.posed import CalibratedCamera, PosedFolder
from ig_ros.datasets.scannet_truth import questions
from ig_ros.errors import DatasetError
from ig_ros.geometry import back_project, transform
from ig_ros.types import Camera, FloatArray, IntArray, Masks

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
    "a vMAP folder of Replica (SCENE, or SCENE/imap/00) holds rgb/rgb_N.png, traj_w_c.txt (16 numbers per "
    "frame), optionally depth/depth_N.png (16-bit, mm) and for the truth semantic_instance/semantic_instance_N.png and "
    "info_semantic.json",
)  # fmt: skip
NICE_SLAM = Convention(
    "results/frame", "results/depth", "traj.txt",
    "a NICE-SLAM folder of Replica holds results/frameNNNNNN.jpg, traj.txt (16 numbers per frame), cam_params.json "
    "there or above, and optionally results/depthNNNNNN.png",
)  # fmt: skip


def vmap_root(folder: Path) -> Path | None:
    """Returns the folder with a vMAP sequence's files: itself, or below it by their convention; None if it is none."""
    candidates = (folder, folder / "imap" / "00", folder / "00")
    patterns = (VMAP.trajectory, VMAP.colors + "[0-9]*", INSTANCES + "[0-9]*")
    return next((path for path in candidates if any(any(path.glob(pattern)) for pattern in patterns)), None)


def file_above(folder: Path, name: str) -> Path | None:
    """Returns the file in the folder, in habitat/ beside it, or up to three folders higher."""
    start = folder.resolve()
    places = [start, *list(start.parents)[:3]]
    candidates = [path for place in places for path in (place / name, place / "habitat" / name)]
    return next((path for path in candidates if path.is_file()), None)


def _find(root: Path, prefix: str) -> dict[int, Path]:
    folder = (root / prefix).parent
    return files.numbered(folder, Path(prefix).name + r"(\d+)\.(?:png|jpg)") if folder.is_dir() else {}


INSTANCE_IMAGES = "semantic_instance/semantic_instance_N.png"
FUSED_VIEWS = 200  # views at most that make up the truth; more along a dense path see nothing new


class ReplicaDataset(PosedFolder):
    """RGB-D frames of one rendered Replica sequence."""

    known_by = "rgb/rgb_0.png, traj_w_c.txt; results/frame000000.jpg, traj.txt"

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        """Lists the folder and reads its trajectory. Raises DatasetError naming what is missing or unreadable.

        Option masks: "files" brings none, since none are recorded; "truth" the exact ones in semantic_instance/.
        """
        self._folder = folder
        found = vmap_root(folder)
        root, kind = (found, VMAP) if found is not None else (folder, NICE_SLAM)
        colors, depths, self._instances = (_find(root, name) for name in (kind.colors, kind.depths, INSTANCES))
        super().__init__(folder, options, bool(self._instances))
        trajectory = root / kind.trajectory
        missing = [trajectory] if not trajectory.is_file() else []
        files.refuse_missing(missing + ([] if colors else [root / (kind.colors + "0")]), kind.layout)
        poses = files.read_trajectory(trajectory, self.faults)
        unposed = len(colors.keys() - poses.keys())
        if unposed:
            logger.warning("%s gives no pose to %d frames", trajectory, unposed)
        size = files.common_size(colors.values())
        calibration, self._per_metre = _calibration(folder) if found is None else _rendered(size)
        some = next(iter(colors.values())).name.removeprefix(Path(kind.colors).name)
        digits = len(Path(some).stem) if kind is NICE_SLAM else 0  # frame000007, but rgb_7

        def name(number: int, part: str) -> Path:
            prefix = kind.colors if part == "color" else kind.depths
            return root / f"{prefix}{number:0{digits}d}.png"

        self.take_numbered(colors, depths, poses, (calibration, None), name, kind.layout)

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder looks like one of the two layouts."""
        nice = any(any(folder.glob(pattern)) for pattern in (NICE_SLAM.trajectory, NICE_SLAM.colors + "[0-9]*"))
        return vmap_root(folder) is not None or nice

    def read_depth(self, source: files.Source) -> FloatArray:
        """Returns depth (h, w) m, in the unit of the export."""
        return files.read_depth(source, self._per_metre)

    def masks(self, i: int) -> Masks | None:
        """Returns the exact masks, with the option masks=truth."""
        if not self.true_masks:
            return None
        labels = self._instance_image(i)
        return Masks(labels, {k: self._names[k] for k in np.unique(labels).tolist() if k in self._names})

    @cached_property
    def truth(self) -> SceneTruth | None:  # type: ignore[override]
        """Returns instances fused from depth and instance images (seconds at first use), None without such images."""
        if not self._instances or not any(view.depth for view in self.views):
            return None
        points, ids = fuse(self._views())
        present = np.unique(ids[ids > 0]).tolist()
        names = {i: self._names.get(i, "") for i in present}
        return SceneTruth(points, ids, names, questions(names), (), self._instance_image)

    @property
    def missing_truth(self) -> tuple[str, ...]:  # type: ignore[override]
        """Returns one text per missing piece of the truth."""
        images = () if self._instances else (f"{INSTANCE_IMAGES}: instance of each pixel",)
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

    def _instance_image(self, i: int) -> IntArray:
        number = self.views[i].number
        if number not in self._instances:
            raise DatasetError(f"{self._folder} lacks {INSTANCE_IMAGES} of frame {number}", "missing_instances")
        image = files.read_labels(self._instances[number], "instances")
        return np.where(image == files.NO_VALUE, 0, image).astype(np.int32)

    def _views(self) -> Iterator[InstanceView]:
        for i in np.linspace(0, len(self) - 1, min(len(self), FUSED_VIEWS)).round().astype(int).tolist():
            frame, ids = self.faults.attempt(lambda: self[i]), self.faults.attempt(lambda: self._instance_image(i))  # noqa: B023
            if frame is not None and frame.depth is not None and ids is not None:
                yield InstanceView(frame.depth, ids, frame.camera, frame.T_world_camera)


def _rendered(size: tuple[int, int]) -> tuple[CalibratedCamera, float]:
    """Returns camera and depth units per metre of vMAP and Semantic-NeRF: 90 degrees wide, depth in millimetres."""
    width, height = size
    return CalibratedCamera(width, height, (width / 2, width / 2), (width / 2, height / 2), reducible=False), 1000.0


def _calibration(folder: Path) -> tuple[CalibratedCamera, float]:
    """Returns camera and depth units per metre of NICE-SLAM, which has a file that says so."""
    path = file_above(folder, CAMERA_FILE)
    if path is None:
        raise DatasetError(f"missing {folder / CAMERA_FILE}: {NICE_SLAM.layout}")
    about = files.read_json(path)
    try:
        w, h, fx, fy, cx, cy, scale = (float(about["camera"][n]) for n in ("w", "h", "fx", "fy", "cx", "cy", "scale"))
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"cannot read {path}: expected camera with w, h, fx, fy, cx, cy, scale ({error!r})"
        ) from error
    return CalibratedCamera(round(w), round(h), (fx, fy), (cx + 0.5, cy + 0.5)), scale


VOXEL = 0.015  # m, about the spacing of ScanNet's vertices
COLUMNS = 400  # of an image that take part at least: at the distances of a room a few pixels per voxel
BATCH = 10  # views sorted together: fewer sorts of all voxels, for 100 MB


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One view with exact instances."""

    depth: FloatArray  # (H, W) m, 0 = unknown
    ids: IntArray  # (H, W) instance ids, 0 = unlabelled
    camera: Camera
    T_world_camera: FloatArray  # (4, 4)

    def voxels(self) -> tuple[IntArray, FloatArray]:
        """Returns, of an even part of the pixels with depth, voxel and id (N, 4), and world point and 1 (N, 4)."""
        height, width = self.depth.shape
        stride = max(1, width // COLUMNS)
        rows, cols = (grid.ravel() for grid in np.mgrid[0:height:stride, 0:width:stride])
        known = self.depth[rows, cols] > 0
        rows, cols = rows[known], cols[known]
        points = transform(self.T_world_camera, back_project(self.depth, self.camera, rows, cols))
        cells = np.rint(points / VOXEL).astype(np.int64)  # centred: a floor at z = 0 stays one layer
        return np.column_stack([cells, self.ids[rows, cols]]), np.column_stack([points, np.ones(len(points))])


def fuse(views: Iterable[InstanceView]) -> tuple[FloatArray, IntArray]:
    """Returns points (P, 3) float32 m, one per voxel that some view measures, and ids (P,) int32 by majority of pixels.

    A point is the mean of its voxel's measurements. Unlabelled pixels (0) vote too: what is mostly unlabelled stays so.
    """
    cells: IntArray = np.zeros((0, 4), np.int64)  # voxel and id, in order
    sums: FloatArray = np.zeros((0, 4))  # of the points there and their number
    remaining = (view.voxels() for view in views)
    while batch := list(islice(remaining, BATCH)):
        cells = np.concatenate([cells, *(seen for seen, _ in batch)])
        sums = np.concatenate([sums, *(measured for _, measured in batch)])
        order = np.lexsort(cells.T[::-1])
        starts = _starts(cells[order])
        cells, sums = cells[order][starts], np.add.reduceat(sums[order], starts, axis=0)
    if not len(cells):
        return np.zeros((0, 3), np.float32), np.zeros(0, np.int32)
    order = np.lexsort((-sums[:, 3], *cells.T[2::-1]))  # the largest vote first in each voxel
    starts = _starts(cells[order, :3])
    totals = np.add.reduceat(sums[order], starts, axis=0)
    return (totals[:, :3] / totals[:, 3:]).astype(np.float32), cells[order][starts, 3].astype(np.int32)


def _starts(rows: IntArray) -> IntArray:
    """Returns the places (K,) of sorted rows (N, C) that differ from the row before."""
    new = np.ones(len(rows), bool)
    new[1:] = (np.diff(rows, axis=0) != 0).any(axis=1)
    return np.flatnonzero(new)

"""The truth of a ScanNet scene as its benchmark ships it: the vertices of a mesh, grouped into instances.

`*_vh_clean_2.0.010000.segs.json` gives the segment of each vertex of `*_vh_clean_2.ply`, `*.aggregation.json` the
segments and the name of each object, and `*_vh_clean_2.labels.ply` the NYU40 label of each vertex. An object's
instance id is its objectId + 1, which is also what the images in instance-filt/ hold; 0 is unlabelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from plyfile import PlyData, PlyParseError

from ig_ros.datasets.base import SceneTruth
from ig_ros.datasets.files import read_json
from ig_ros.errors import DatasetError
from ig_ros.geometry import back_project, transform
from ig_ros.types import Camera, FloatArray, IntArray

UNLABELLED = 0
OTHER_PROP = 40  # what NYU40 calls every small thing without a class of its own

NYU40: Mapping[int, str] = dict(
    enumerate(
        (
            "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf",
            "picture", "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat",
            "clothes", "ceiling", "books", "refrigerator", "television", "paper", "towel", "shower curtain", "box",
            "whiteboard", "person", "night stand", "toilet", "sink", "lamp", "bathtub", "bag", "other structure",
            "other furniture", "other prop",
        ),
        start=1,
    )
)  # fmt: skip

CLASSES_19 = (*range(1, 13), 14, 16, 24, 28, 33, 34, 36)
CLASSES_15 = (*range(1, 11), 12, 14, 16, 33, 34)
CLASSES_10 = (1, 2, *range(4, 11), 33)

BACKGROUND = frozenset((1, 2, 22))  # wall, floor, ceiling: nobody asks a robot to fetch them


def nyu40_class(name: str) -> int:
    """NYU40 id of a thing's name: the class called so, else the one its last word names, else "other prop"."""
    ids = {text: i for i, text in NYU40.items()}
    words = name.strip().lower()
    return ids.get(words) or ids.get(words.split(" ")[-1]) or OTHER_PROP


VOXEL = 0.015  # m, about the spacing of ScanNet's vertices
COLUMNS = 400  # about as many of an image take part: at the distances of a room a few per voxel
BATCH = 10  # views sorted in one go: fewer sorts of the whole grid, for 100 MB
MARGIN = 10  # m beyond the camera; nothing of a room is further
OFFSET, BITS = 1 << 19, 20  # voxel coordinates as three fields of one integer, +-7.8 km

View = tuple[FloatArray, IntArray, Camera, FloatArray]  # depth (H, W) m, ids (H, W), camera, T_world_camera


def fuse(views: Iterable[View]) -> tuple[FloatArray, IntArray]:
    """Points (P, 3) float32 m, one per voxel that some view measures, and their ids (P,) int32 by majority of pixels.

    A point is the mean of its voxel's measurements. Unlabelled pixels (0) vote too: what is mostly unlabelled stays so.
    """
    voxels: IntArray = np.zeros(0, np.int64)
    ids: IntArray = np.zeros(0, np.int64)
    sums: FloatArray = np.zeros((0, 4))  # of the points and their number, per voxel and id
    measured = (_measured(*view) for view in views)
    while batch := list(islice(measured, BATCH)):
        points = np.concatenate([points for points, _ in batch])
        labels = [labels for _, labels in batch]
        rows = np.concatenate([points, np.ones((len(points), 1))], axis=1)
        voxels, ids, sums = _reduced(
            np.concatenate([voxels, _voxel(points)]), np.concatenate([ids, *labels]), np.concatenate([sums, rows])
        )
    if not len(voxels):
        return np.zeros((0, 3), np.float32), np.zeros(0, np.int32)
    order = np.lexsort((-sums[:, 3], voxels))  # the largest vote first in each voxel
    first = np.unique(voxels[order], return_index=True)[1]
    totals = np.add.reduceat(sums[order], first, axis=0)
    return (totals[:, :3] / totals[:, 3:]).astype(np.float32), ids[order][first].astype(np.int32)


def _measured(depth: FloatArray, image: IntArray, camera: Camera, pose: FloatArray) -> tuple[FloatArray, IntArray]:
    """World points (N, 3) and ids (N,) of an even part of the pixels with depth."""
    stride = max(1, depth.shape[1] // COLUMNS)
    rows, cols = (grid.ravel() for grid in np.mgrid[0 : depth.shape[0] : stride, 0 : depth.shape[1] : stride])
    z = depth[rows, cols]
    kept = (z > 0) & (z < MARGIN)
    rows, cols = rows[kept], cols[kept]
    return transform(pose, back_project(depth, camera, rows, cols)), image[rows, cols].astype(np.int64)


def _voxel(points: FloatArray) -> IntArray:
    x, y, z = (np.rint(points / VOXEL).astype(np.int64) + OFFSET).T  # centred: a floor at z = 0 stays one layer
    keys: IntArray = (x << 2 * BITS) | (y << BITS) | z
    return keys


def _reduced(voxels: IntArray, ids: IntArray, sums: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """One row per voxel and id."""
    order = np.lexsort((ids, voxels))
    voxels, ids = voxels[order], ids[order]
    new = np.ones(len(voxels), bool)
    new[1:] = (np.diff(voxels) != 0) | (np.diff(ids) != 0)
    starts = np.flatnonzero(new)
    if not len(starts):
        return voxels, ids, sums
    return voxels[starts], ids[starts], np.add.reduceat(sums[order], starts, axis=0)


MESH, LABELS = "_vh_clean_2.ply", "_vh_clean_2.labels.ply"
SEGMENTS, AGGREGATION = "_vh_clean_2.0.010000.segs.json", ".aggregation.json"
QUERIES = "truth.json"  # ours, optional: what to ask and what is absent


@dataclass(frozen=True, slots=True)
class TruthFiles:
    """Where the four files of a scene's truth are or ought to be."""

    mesh: Path
    labels: Path
    segments: Path
    aggregation: Path

    @staticmethod
    def of(folder: Path) -> TruthFiles:
        """The paths in a folder; the scene is called as its mesh is, or as the folder without one."""
        meshes = sorted(folder.glob("*" + MESH))
        scene = meshes[0].name.removesuffix(MESH) if meshes else folder.resolve().name
        short = folder / f"{scene}_vh_clean_2.segs.json"
        segments = short if short.is_file() else folder / (scene + SEGMENTS)
        return TruthFiles(folder / (scene + MESH), folder / (scene + LABELS), segments, folder / (scene + AGGREGATION))

    def missing(self) -> tuple[str, ...]:
        """One text per absent file: its name and what it would tell."""
        uses = {
            self.mesh: "the vertices that are scored",
            self.segments: "the segment of each vertex",
            self.aggregation: "which segments make one object, and its name",
            self.labels: "NYU40 class of each vertex",
        }
        return tuple(f"{path.name}: {use}" for path, use in uses.items() if not path.is_file())

    def has_instances(self) -> bool:
        """Whether instances can be read; classes are an extra."""
        return all(path.is_file() for path in (self.mesh, self.segments, self.aggregation))


def read_truth(files: TruthFiles, images: Callable[[int], IntArray], has_images: bool) -> SceneTruth:
    """Vertices as points, in the order of the mesh, so that labels transfer by index. Raises DatasetError."""
    points, colors = _read_mesh(files.mesh)
    groups = _read_groups(files.aggregation)
    ids = _instance_ids(files.segments, groups, len(points))
    classes = _read_classes(files.labels, len(points)) if files.labels.is_file() else None
    names = {i: name for i, (name, _) in groups.items() if (ids == i).any()}
    queries, absent = _read_queries(files.mesh.with_name(QUERIES), names)
    return SceneTruth(points, ids, names, queries, absent, images, classes, colors, has_images)


def _read_ply(path: Path) -> Any:
    try:
        return PlyData.read(str(path))["vertex"]
    except (OSError, ValueError, KeyError, PlyParseError) as error:
        raise DatasetError(f"cannot read {path}: expected a PLY file with vertices ({error})") from error


def _read_mesh(path: Path) -> tuple[FloatArray, IntArray | None]:
    """Vertices (P, 3) float32 m and their colours (P, 3) uint8, None where the mesh has none."""
    vertex = _read_ply(path)
    names = [item.name for item in vertex.properties]
    if not {"x", "y", "z"} <= set(names):
        raise DatasetError(f"{path} has no vertex positions x, y, z: found {', '.join(names)}")
    points = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float32)
    if not {"red", "green", "blue"} <= set(names):
        return points, None
    return points, np.stack([vertex[color] for color in ("red", "green", "blue")], axis=1).astype(np.uint8)


def _read_classes(path: Path, count: int) -> IntArray:
    """(P,) int32 NYU40 labels; the few numbers beyond 40 that ScanNet is known to contain count as unlabelled."""
    vertex = _read_ply(path)
    if "label" not in [item.name for item in vertex.properties]:
        raise DatasetError(f"{path} has no property 'label' at its vertices")
    labels = np.asarray(vertex["label"], np.int32)
    if len(labels) != count:
        raise DatasetError(f"{path} labels {len(labels)} vertices, the mesh beside it has {count}")
    return np.where(np.isin(labels, list(NYU40)), labels, 0).astype(np.int32)


def _read_groups(path: Path) -> dict[int, tuple[str, list[int]]]:
    """Instance id -> name and segments."""
    try:
        groups = [(int(g["objectId"]), str(g["label"]), list(map(int, g["segments"]))) for g in _groups(path)]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f'cannot read {path}: expected {{"segGroups": [{{"objectId", "label", "segments"}}]}} ({error!r})'
        ) from error
    return {object_id + 1: (name, segments) for object_id, name, segments in groups}


def _groups(path: Path) -> Any:
    return read_json(path)["segGroups"]


def _instance_ids(path: Path, groups: dict[int, tuple[str, list[int]]], count: int) -> IntArray:
    """(P,) int32; of two objects that claim one segment the later wins, as in the benchmark's own scripts."""
    try:
        segments = np.asarray(read_json(path)["segIndices"], np.int64)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f'cannot read {path}: expected {{"segIndices": [segment of each vertex]}}') from error
    if segments.shape != (count,):
        raise DatasetError(f"{path} has {segments.size} segment numbers, the mesh beside it {count} vertices")
    owner = {segment: i for i, (_, owned) in groups.items() for segment in owned}
    unique, inverse = np.unique(segments, return_inverse=True)
    ids: IntArray = np.array([owner.get(int(segment), 0) for segment in unique], np.int32)[inverse]
    return ids


def _read_queries(path: Path, names: dict[int, str]) -> tuple[tuple[tuple[str, int], ...], tuple[str, ...]]:
    """What our own writer left, else every name once, walls, floor and ceiling excepted, and nothing known absent."""
    if not path.is_file():
        first = {name: i for i, name in reversed(names.items()) if nyu40_class(name) not in BACKGROUND}
        return tuple(first.items())[::-1], ()
    about = read_json(path)
    try:
        return tuple((str(text), int(i)) for text, i in about["queries"]), tuple(map(str, about["absent"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"cannot read {path}: expected queries and absent texts ({error!r})") from error

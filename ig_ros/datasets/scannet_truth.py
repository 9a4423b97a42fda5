"""The truth of a ScanNet scene as its benchmark ships it: the vertices of a mesh, grouped into instances.

`*_vh_clean_2.0.010000.segs.json` gives the segment of each vertex of `*_vh_clean_2.ply`, `*.aggregation.json` the
segments and the name of each object, and `*_vh_clean_2.labels.ply` the NYU40 label of each vertex. An object's
instance id is its objectId + 1, which is also what the images in instance-filt/ hold; 0 is unlabelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from plyfile import PlyData, PlyParseError

from ig_ros.datasets.base import SceneTruth
from ig_ros.datasets.files import read_json
from ig_ros.errors import DatasetError
from ig_ros.types import FloatArray, IntArray

NYU40 = (  # the name of each NYU40 label
    "unlabelled", "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf",
    "picture", "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat",
    "clothes", "ceiling", "books", "refrigerator", "television", "paper", "towel", "shower curtain", "box",
    "whiteboard", "person", "night stand", "toilet", "sink", "lamp", "bathtub", "bag", "other structure",
    "other furniture", "other prop",
)  # fmt: skip
BACKGROUND = ("wall", "floor", "ceiling")  # classes that nobody asks a robot to fetch


def nyu40_class(name: str) -> int:
    """Returns the NYU40 label called so, else the one that the last word names, else that of "other prop"."""
    words = name.strip().lower()
    known = [text for text in (words, words.split(" ")[-1]) if text in NYU40[1:]]
    return NYU40.index(known[0] if known else "other prop")


def questions(names: dict[int, str]) -> tuple[tuple[str, int], ...]:
    """Returns what to ask: each name once with its first instance, walls, floor and ceiling excepted."""
    first = {name: i for i, name in reversed(names.items()) if name and NYU40[nyu40_class(name)] not in BACKGROUND}
    return tuple(first.items())[::-1]


MESH, LABELS = "_vh_clean_2.ply", "_vh_clean_2.labels.ply"
SEGMENTS, AGGREGATION = "_vh_clean_2.0.010000.segs.json", ".aggregation.json"


@dataclass(frozen=True, slots=True)
class TruthFiles:
    """Where the four files of a scene's truth are or ought to be."""

    mesh: Path
    labels: Path
    segments: Path
    aggregation: Path

    @staticmethod
    def of(folder: Path) -> TruthFiles:
        """Returns the paths in a folder; the scene is called as its mesh is, or as the folder without one."""
        meshes = sorted(folder.glob("*" + MESH))
        scene = meshes[0].name.removesuffix(MESH) if meshes else folder.resolve().name
        short = folder / f"{scene}_vh_clean_2.segs.json"
        segments = short if short.is_file() else folder / (scene + SEGMENTS)
        return TruthFiles(folder / (scene + MESH), folder / (scene + LABELS), segments, folder / (scene + AGGREGATION))

    def missing(self) -> tuple[str, ...]:
        """Returns one text per absent file: its name and what it would tell."""
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
    """Returns vertices as points, in the order of the mesh, so that labels transfer by index. Raises DatasetError."""
    points, colors = read_mesh(files.mesh)
    groups = _read_groups(files.aggregation)
    ids = _instance_ids(files.segments, groups, len(points))
    classes = _read_classes(files.labels, len(points)) if files.labels.is_file() else None
    names = {i: name for i, (name, _) in groups.items() if (ids == i).any()}
    return SceneTruth(points, ids, names, questions(names), (), images, classes, colors, has_images)


def _read_ply(path: Path) -> Any:
    try:
        return PlyData.read(str(path))["vertex"]
    except (OSError, ValueError, KeyError, PlyParseError) as error:
        raise DatasetError(f"cannot read {path}: expected a PLY file with vertices ({error})") from error


def read_mesh(path: Path) -> tuple[FloatArray, IntArray | None]:
    """Returns vertices (P, 3) float32 m and their colours (P, 3) uint8, None where the mesh has none."""
    vertex = _read_ply(path)
    names = [item.name for item in vertex.properties]
    if not {"x", "y", "z"} <= set(names):
        raise DatasetError(f"{path} has no vertex positions x, y, z: found {', '.join(names)}")
    points = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float32)
    if not {"red", "green", "blue"} <= set(names):
        return points, None
    return points, np.stack([vertex[color] for color in ("red", "green", "blue")], axis=1).astype(np.uint8)


def _read_classes(path: Path, count: int) -> IntArray:
    """Returns (P,) int32 NYU40 labels; ScanNet's few numbers beyond 40 count as unlabelled."""
    vertex = _read_ply(path)
    if "label" not in [item.name for item in vertex.properties]:
        raise DatasetError(f"{path} has no property 'label' at its vertices")
    labels = np.asarray(vertex["label"], np.int32)
    if len(labels) != count:
        raise DatasetError(f"{path} labels {len(labels)} vertices, the mesh beside it has {count}")
    return np.where((labels > 0) & (labels < len(NYU40)), labels, 0).astype(np.int32)


def _read_groups(path: Path) -> dict[int, tuple[str, list[int]]]:
    """Returns name and segments by instance id."""
    try:
        groups = read_json(path)["segGroups"]
        return {int(g["objectId"]) + 1: (str(g["label"]), [int(segment) for segment in g["segments"]]) for g in groups}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f'cannot read {path}: expected {{"segGroups": [{{"objectId", "label", "segments"}}]}} ({error!r})'
        ) from error


def _instance_ids(path: Path, groups: dict[int, tuple[str, list[int]]], count: int) -> IntArray:
    """Returns (P,) int32; of two objects that claim one segment the later wins, as in the benchmark's own scripts."""
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

"""The truth of any scene as the four files of ScanNet's benchmark, so that one reader serves recorded and simulated."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyElement

from ig_ros.datasets.base import SceneTruth
from ig_ros.datasets.class_lists import nyu40_class
from ig_ros.datasets.scannet_truth import AGGREGATION, LABELS, MESH, QUERIES, SEGMENTS
from ig_ros.datasets.writing import write_bytes, write_text
from ig_ros.types import Array, IntArray

SEGMENT = 0.25  # m, edge of the blocks that an instance is cut into: segments are parts of objects, as in ScanNet


def write_truth(truth: SceneTruth, folder: Path) -> None:
    """Mesh (its vertices alone), labels, segments, aggregation, and what to ask. Raises DatasetError."""
    scene = folder.resolve().name
    segments = _segments(truth)
    _write_ply(truth, truth.colors, None, folder / (scene + MESH))
    _write_ply(truth, truth.colors, _classes(truth), folder / (scene + LABELS))
    write_text(json.dumps({"sceneId": scene, "segIndices": segments.tolist()}), folder / (scene + SEGMENTS))
    groups = [
        {
            "id": i - 1,
            "objectId": i - 1,
            "label": truth.names.get(i, ""),
            "segments": np.unique(segments[truth.ids == i]).tolist(),
        }
        for i in np.unique(truth.ids[truth.ids > 0]).tolist()
    ]
    aggregation = {"sceneId": f"scannet.{scene}", "segmentsFile": f"scannet.{scene}{SEGMENTS}", "segGroups": groups}
    write_text(json.dumps(aggregation), folder / (scene + AGGREGATION))
    about = {"queries": list(truth.queries), "absent": list(truth.absent)}
    write_text(json.dumps(about, indent=1), folder / QUERIES)


def _segments(truth: SceneTruth) -> IntArray:
    """(P,) segment of each point: one per instance and block of space, so that none straddles two instances."""
    blocks = np.floor(truth.points / SEGMENT).astype(np.int64)
    keys = np.concatenate([truth.ids[:, None].astype(np.int64), blocks], axis=1)
    _, segments = np.unique(keys, axis=0, return_inverse=True)
    return np.asarray(segments.reshape(-1), np.int64)


def _classes(truth: SceneTruth) -> IntArray:
    """(P,) NYU40 labels: the truth's own, else by the names of its instances."""
    if truth.classes is not None:
        return truth.classes
    table = np.zeros(int(truth.ids.max(initial=0)) + 1, np.int32)
    for i in np.unique(truth.ids[truth.ids > 0]).tolist():
        table[i] = nyu40_class(truth.names.get(i, ""))
    classes: IntArray = table[np.maximum(truth.ids, 0)]
    return classes


def _write_ply(truth: SceneTruth, colors: IntArray | None, classes: IntArray | None, path: Path) -> None:
    """Vertices with colours and labels where they are known; a cloud has no faces, readers still expect the element."""
    columns: dict[str, tuple[str, Array]] = {axis: ("f4", truth.points[:, k]) for k, axis in enumerate("xyz")}
    if colors is not None:
        columns |= {name: ("u1", colors[:, k]) for k, name in enumerate(("red", "green", "blue"))}
    if classes is not None:
        columns["label"] = ("u2", classes)
    vertex = np.empty(len(truth.points), [(name, kind) for name, (kind, _) in columns.items()])
    for name, (_, values) in columns.items():
        vertex[name] = values
    face = np.empty(0, [("vertex_indices", "i4", (3,))])
    data = BytesIO()
    PlyData([PlyElement.describe(vertex, "vertex"), PlyElement.describe(face, "face")]).write(data)
    write_bytes(data.getvalue(), path)

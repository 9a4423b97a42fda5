"""The files `ig map` leaves behind: a labelled cloud, the objects, held-out pictures and figures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from plyfile import PlyData, PlyElement

from ig_ros.errors import StorageError
from ig_ros.geometry import quaternion_from_matrix
from ig_ros.types import MapSnapshot, ObjectInstance, QueryResult

if TYPE_CHECKING:
    from ig_ros.evaluation.held_out import HeldOutView  # its metrics load SciPy: a query need not wait for that


def write_points(path: Path, snapshot: MapSnapshot) -> None:
    """PLY with one vertex per visible Gaussian: x y z red green blue instance (int, -1 = none) opacity."""
    layout = [(n, "f4") for n in "xyz"] + [(n, "u1") for n in ("red", "green", "blue")]
    table = np.empty(len(snapshot.xyz), dtype=[*layout, ("instance", "i4"), ("opacity", "f4")])
    for i, name in enumerate("xyz"):
        table[name] = snapshot.xyz[:, i]
    for i, name in enumerate(("red", "green", "blue")):
        table[name] = snapshot.rgb[:, i]
    table["instance"], table["opacity"] = snapshot.instances.point_ids, snapshot.opacity
    PlyData([PlyElement.describe(table, "vertex")]).write(str(path))


def object_entry(thing: ObjectInstance, score: float) -> dict[str, Any]:
    """JSON-ready values of an object; pose is the box centre with a quaternion (x, y, z, w), size in metres."""
    w, x, y, z = quaternion_from_matrix(thing.T_world_box[:3, :3]).tolist()
    return {
        "id": thing.id,
        "label": thing.label,
        "score": round(score, 4),
        "confidence": round(thing.confidence, 4),
        "views": thing.views,
        "pose": {"position": thing.T_world_box[:3, 3].tolist(), "orientation": [x, y, z, w]},
        "size": np.asarray(thing.size).tolist(),
        "points": thing.points,
    }


def query_entry(result: QueryResult) -> dict[str, Any]:
    """JSON-ready values of an answer."""
    hits = [object_entry(hit.object, hit.score) for hit in result.hits]
    return {"status": result.status.value, "message": result.message, "objects": hits}


def write_outputs(out: Path, snapshot: MapSnapshot, views: Sequence[HeldOutView], figures: dict[str, Any]) -> None:
    """Write points.ply, instances.json, held_out/, held_out_instances/ and metrics.json. Raises StorageError."""
    try:
        for folder in ("held_out", "held_out_instances"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        write_points(out / "points.ply", snapshot)
        entries = [object_entry(o, o.confidence) for o in snapshot.instances.objects]
        (out / "instances.json").write_text(json.dumps(entries, indent=1))
        for view in views:
            cv2.imwrite(str(out / "held_out" / f"{view.index}.png"), view.rendered[..., ::-1])
            cv2.imwrite(str(out / "held_out_instances" / f"{view.index}.png"), view.instances)
        (out / "metrics.json").write_text(json.dumps(figures, indent=1))
    except OSError as error:
        raise StorageError(f"cannot write to {out}: {error.strerror or error}") from error


def score_entry(score: Any) -> dict[str, Any]:
    """A metrics dataclass as JSON-ready values, rounded."""
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in dataclasses.asdict(score).items()}

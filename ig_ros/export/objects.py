"""Objects as JSON, and one file per object."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from ig_ros.errors import StorageError
from ig_ros.export.clouds import labelled_points, write_ply
from ig_ros.geometry import quaternion_from_matrix
from ig_ros.types import MapSnapshot, ObjectInstance, QueryResult

LIST = "objects.json"


def object_entry(thing: ObjectInstance, score: float) -> dict[str, Any]:
    """Returns JSON-ready values of an object; pose is the box centre with a quaternion (x, y, z, w), size in metres."""
    w, x, y, z = quaternion_from_matrix(thing.T_world_box[:3, :3]).tolist()
    return {
        "id": thing.id,
        "label": thing.label,
        "score": round(score, 4),
        "confidence": round(thing.confidence, 4),
        "certainty": round(thing.certainty, 4),  # probability that the label is right
        "views": thing.views,
        "pose": {"position": thing.T_world_box[:3, 3].tolist(), "orientation": [x, y, z, w]},
        "size": np.asarray(thing.size).tolist(),
        "points": thing.points,
    }


def query_entry(result: QueryResult) -> dict[str, Any]:
    """Returns JSON-ready values of an answer."""
    hits = [object_entry(hit.object, hit.score) for hit in result.hits]
    return {"status": result.status.value, "message": result.message, "objects": hits}


def write_objects(folder: Path, snapshot: MapSnapshot) -> list[Path]:
    """Writes NNNN_label.ply for every object and objects.json, which names the files; returns the PLY files.

    Points are in the map's frame, in metres. Raises StorageError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_earlier(folder)
        paths, entries = [], []
        for thing in snapshot.instances.objects:
            path = folder / file_name(thing)
            rows = np.flatnonzero(snapshot.instances.point_ids == thing.id)
            write_ply(path, labelled_points(snapshot, rows), {thing.id: thing.label})
            paths.append(path)
            entries.append({"file": path.name, **object_entry(thing, thing.confidence)})
        (folder / LIST).write_text(json.dumps(entries, indent=1))
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror or error}") from error
    return paths


def remove_earlier(folder: Path) -> None:
    """Removes the files that objects.json of an earlier export names, and nothing else."""
    if (folder / LIST).exists():
        for entry in json.loads((folder / LIST).read_text()):
            (folder / Path(entry["file"]).name).unlink(missing_ok=True)


def file_name(thing: ObjectInstance) -> str:
    """Returns the id and what of the label every file system takes."""
    word = re.sub(r"[^a-z0-9]+", "-", thing.label.lower()).strip("-")
    return f"{thing.id:04d}_{word}.ply" if word else f"{thing.id:04d}.ply"

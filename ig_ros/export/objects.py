"""One file per object, and a list of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from ig_ros.errors import StorageError
from ig_ros.evaluation.outputs import object_entry
from ig_ros.export.clouds import labelled_points, write_ply
from ig_ros.types import MapSnapshot, ObjectInstance

LIST = "objects.json"


def write_objects(folder: Path, snapshot: MapSnapshot) -> list[Path]:
    """Write NNNN_label.ply for every object and objects.json, which names the files; returns the PLY files.

    Points are in the map's frame, in metres. Raises StorageError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        forget(folder)
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


def forget(folder: Path) -> None:
    """Remove what an earlier export has left here, and nothing else."""
    if (folder / LIST).exists():
        for entry in json.loads((folder / LIST).read_text()):
            (folder / Path(entry["file"]).name).unlink(missing_ok=True)


def file_name(thing: ObjectInstance) -> str:
    """The id and what of the label every file system takes."""
    word = re.sub(r"[^a-z0-9]+", "-", thing.label.lower()).strip("-")
    return f"{thing.id:04d}_{word}.ply" if word else f"{thing.id:04d}.ply"

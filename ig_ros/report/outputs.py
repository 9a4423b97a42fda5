"""The files `ig map` leaves beside the map: a labelled cloud, the objects, held-out pictures and figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
from numpy.lib.recfunctions import repack_fields

from ig_ros.errors import StorageError
from ig_ros.evaluation.held_out import HeldOutView
from ig_ros.export import labelled_points, write_ply
from ig_ros.export.objects import object_entry
from ig_ros.report.pictures import cloud_from_above, views_picture
from ig_ros.types import MapSnapshot

COLUMNS = ["x", "y", "z", "red", "green", "blue", "instance", "opacity"]  # of points.ply; instance -1 = none


def write_outputs(out: Path, snapshot: MapSnapshot, views: Sequence[HeldOutView], figures: dict[str, Any]) -> None:
    """Writes points.ply, instances.json, held_out/, held_out_instances/ and metrics.json. Raises StorageError."""
    try:
        for folder in ("held_out", "held_out_instances"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        write_ply(out / "points.ply", repack_fields(labelled_points(snapshot)[COLUMNS]), {})
        entries = [object_entry(o, o.confidence) for o in snapshot.instances.objects]
        (out / "instances.json").write_text(json.dumps(entries, indent=1))
        for view in views:
            cv2.imwrite(str(out / "held_out" / f"{view.index}.png"), view.rendered[..., ::-1])
            cv2.imwrite(str(out / "held_out_instances" / f"{view.index}.png"), view.instances)
        (out / "metrics.json").write_text(json.dumps(figures, indent=1))
    except OSError as error:
        raise StorageError(f"cannot write to {out}: {error.strerror or error}") from error


def write_pictures(out: Path, snapshot: MapSnapshot, views: Sequence[HeldOutView]) -> None:
    """Writes views.png (photograph | render | objects) and cloud.png (from above)."""
    if views:
        cv2.imwrite(str(out / "views.png"), views_picture(views)[..., ::-1])
    cv2.imwrite(str(out / "cloud.png"), cloud_from_above(snapshot)[..., ::-1])

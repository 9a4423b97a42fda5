"""The files `ig map` leaves behind: a labelled cloud, the objects, held-out pictures and figures."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from plyfile import PlyData, PlyElement

from ig_ros.colors import id_colors
from ig_ros.errors import StorageError
from ig_ros.evaluation.held_out import HeldOutView
from ig_ros.geometry import quaternion_from_matrix
from ig_ros.types import IntArray, MapSnapshot, ObjectInstance, QueryResult


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


SHOWN = 4  # held-out views in the picture
TOP_WIDTH = 900  # px of the view from above
LINE = 16  # px from one line of labels to the next


def paint(ids: IntArray) -> np.ndarray:
    """(..., 3) u8 colour of each id, dark grey for ids <= 0."""
    return np.where((ids > 0)[..., None], id_colors(ids), np.uint8(40))


def views_picture(views: Sequence[HeldOutView]) -> np.ndarray:
    """Rows of photograph | render | objects for a few held-out views, evenly spread."""
    chosen = [views[i] for i in np.unique(np.linspace(0, len(views) - 1, min(SHOWN, len(views))).round().astype(int))]
    rows = [np.concatenate([v.target, v.rendered, paint(v.instances.astype(np.int32))], axis=1) for v in chosen]
    return np.concatenate(rows, axis=0)


def cloud_from_above(snapshot: MapSnapshot) -> np.ndarray:
    """The Gaussians that belong to objects, seen from above, coloured by object, with ids and labels."""
    ids = snapshot.instances.point_ids
    own = ids > 0
    if not own.any():
        return np.full((TOP_WIDTH // 2, TOP_WIDTH, 3), 255, np.uint8)
    xyz, ids, rgb = snapshot.xyz[own], ids[own], snapshot.rgb[own]
    low, high = np.percentile(xyz[:, :2], [2, 98], axis=0)
    margin = 0.05 * (high - low)
    low, high = low - margin, high + margin
    scale = TOP_WIDTH / (high[0] - low[0])
    height = int(np.clip((high[1] - low[1]) * scale, 200, 2 * TOP_WIDTH))
    canvas = np.full((height, TOP_WIDTH, 3), 255, np.uint8)
    order = np.argsort(xyz[:, 2])  # what is above is drawn last
    pixel = np.stack([(xyz[:, 0] - low[0]) * scale, height - (xyz[:, 1] - low[1]) * scale], axis=1).round().astype(int)
    shade = 0.65 * id_colors(ids) + 0.35 * rgb
    for i in order:
        cv2.circle(canvas, tuple(pixel[i].tolist()), 2, shade[i].tolist(), -1)
    centers = [thing.T_world_box[:2, 3] for thing in snapshot.instances.objects]
    spots = [(int((x - low[0]) * scale), int(height - (y - low[1]) * scale)) for x, y in centers]
    _write_labels(canvas, [f"{thing.id} {thing.label}".strip() for thing in snapshot.instances.objects], spots)
    return canvas


def _write_labels(canvas: np.ndarray, texts: Sequence[str], spots: Sequence[tuple[int, int]]) -> None:
    """Each text at its spot (x, y) px, or above or below with a line to it, where it covers no other."""
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    widths = [cv2.getTextSize(text, font, size, 1)[0][0] for text in texts]
    places = free_places(spots, widths, canvas.shape[1])
    for spot, (x, y), width in zip(spots, places, widths, strict=True):
        if y != spot[1]:
            cv2.line(canvas, spot, (x + width // 2, y - LINE // 4), (90, 90, 90), 1, cv2.LINE_AA)
    for text, (x, y) in zip(texts, places, strict=True):
        for dx, dy in itertools.product((-1, 0, 1), repeat=2):  # a rim: a thicker font of today's OpenCV is wider, too
            cv2.putText(canvas, text, (x + dx, y + dy), font, size, (255, 255, 255), 1, cv2.LINE_AA)
        cv2.putText(canvas, text, (x, y), font, size, (0, 0, 0), 1, cv2.LINE_AA)


def free_places(spots: Sequence[tuple[int, int]], widths: Sequence[int], wide: int) -> list[tuple[int, int]]:
    """Where texts of these widths begin (left, baseline) px: at their spots, or so many lines off that none overlap."""
    places: list[tuple[int, int]] = []
    for (x, y), width in zip(spots, widths, strict=True):
        left = max(0, min(x, wide - width))
        near = [(px, py) for (px, py), w in zip(places, widths, strict=False) if px < left + width and left < px + w]
        lines = (y + LINE * sign * step for step in range(len(near) + 1) for sign in (1, -1))
        places.append((left, next(line for line in lines if all(abs(line - py) >= LINE for _, py in near))))
    return places


def write_pictures(out: Path, snapshot: MapSnapshot, views: Sequence[HeldOutView]) -> None:
    """Write views.png (photograph | render | objects) and cloud.png (from above)."""
    if views:
        cv2.imwrite(str(out / "views.png"), views_picture(views)[..., ::-1])
    cv2.imwrite(str(out / "cloud.png"), cloud_from_above(snapshot)[..., ::-1])

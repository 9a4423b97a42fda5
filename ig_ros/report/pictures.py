"""Pictures of a run: held-out views beside what the map makes of them, and the objects from above."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np

from ig_ros.colors import id_colors
from ig_ros.evaluation.held_out import HeldOutView
from ig_ros.types import IntArray, MapSnapshot

SHOWN = 4  # held-out views in views.png and in the report
TOP_WIDTH = 900  # px of the view from above
LINE = 16  # px from one line of labels to the next


def paint(ids: IntArray) -> np.ndarray:
    """Returns the (..., 3) u8 colour of each id, dark grey for ids <= 0."""
    return np.where((ids > 0)[..., None], id_colors(ids), np.uint8(40))


def evenly_spread(views: Sequence[HeldOutView]) -> list[HeldOutView]:
    """Returns at most SHOWN of the views, the first and the last among them."""
    places = np.linspace(0, len(views) - 1, min(SHOWN, len(views))).round().astype(int)
    return [views[i] for i in places]


def views_picture(views: Sequence[HeldOutView]) -> np.ndarray:
    """Returns rows of photograph | render | objects for a few held-out views, evenly spread."""
    parts = [(v.target, v.rendered, paint(v.instances.astype(np.int32))) for v in evenly_spread(views)]
    rows = [np.concatenate(row, axis=1) for row in parts]
    return np.concatenate(rows, axis=0)


def cloud_from_above(snapshot: MapSnapshot) -> np.ndarray:
    """Draws the Gaussians that belong to objects, seen from above, coloured by object, with ids and labels."""
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
    """Writes each text at its spot (x, y) px, or above or below with a line to it, where it covers no other."""
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
    """Returns where texts of these widths begin (left, baseline) px: at their spots or lines off, none over another."""
    places: list[tuple[int, int]] = []
    for (x, y), width in zip(spots, widths, strict=True):
        left = max(0, min(x, wide - width))
        near = [(px, py) for (px, py), w in zip(places, widths, strict=False) if px < left + width and left < px + w]
        lines = (y + LINE * sign * step for step in range(len(near) + 1) for sign in (1, -1))
        places.append((left, next(line for line in lines if all(abs(line - py) >= LINE for _, py in near))))
    return places

"""The report of a run: one HTML file with everything inside, so that it can be mailed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import yaml

from ig_ros.colors import id_colors
from ig_ros.config import chosen, to_dict
from ig_ros.errors import StorageError
from ig_ros.evaluation.held_out import HeldOutView
from ig_ros.mapper import Mapper
from ig_ros.report.pictures import evenly_spread, paint
from ig_ros.report.thumbnails import cut_thumbnails
from ig_ros.report.training_curves import History, draw_curves
from ig_ros.types import MapSnapshot

TEMPLATE = Path(__file__).with_name("page.html")
NAME = "report.html"
ERROR_FULL = 0.25  # mean absolute difference of the channels, [0, 1], that is drawn brightest


@dataclass(frozen=True, slots=True)
class Report:
    """What a run knows beyond its map."""

    title: str
    command: str
    figures: dict[str, Any]  # as in metrics.json
    history: History | None = None  # None: of a map that trained elsewhere


def write_report(out: Path, report: Report, mapper: Mapper, views: Sequence[HeldOutView]) -> Path:
    """Writes report.html, self-contained, and returns its path. Raises StorageError."""
    text = render_page(report, mapper, views)
    try:
        (out / NAME).write_text(text)
    except OSError as error:
        raise StorageError(f"cannot write {out / NAME}: {error.strerror or error}") from error
    return out / NAME


def render_page(report: Report, mapper: Mapper, views: Sequence[HeldOutView]) -> str:
    """Returns the HTML text."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text()).render(
        report=report,
        cards=cards(report.figures),
        curves=draw_curves(report.history) if report.history else [],
        views=[view_entry(view) for view in evenly_spread(views)],
        objects=objects(mapper.latest, mapper) if mapper.latest else [],
        seconds=timings(report.figures.get("seconds", {})),
        language=report.figures.get("language", {}),
        changed=yaml.safe_dump(chosen(to_dict(mapper.config)), sort_keys=True),
        error_full=round(255 * ERROR_FULL),
    )


def cards(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns the figures a reader looks for first: (what, value with its unit)."""
    found = [("objects", str(figures["instances"]))]
    if "psnr" in figures:
        found.append(("PSNR of unseen views", f"{figures['psnr']:.1f} dB"))
    if "instance" in figures:
        score = figures["instance"]
        found.append(("instance mIoU", f"{score['miou']:.1f} %"))
        found.append(("true objects found", f"{score['found']} of {score['true']}"))
    language = figures.get("language", {})
    if language.get("queries"):
        found.append(("queries answered right", f"{language['query_accuracy']:.0f} %"))
    if "gaussians" in figures:
        found.append(("Gaussians", f"{figures['gaussians']:,}"))
    found.append(("keyframes", f"{figures['keyframes']} of {figures['frames']}"))
    found.append((f"training steps on {figures.get('device', 'an unknown device')}", f"{figures['steps']:,}"))
    return found


def view_entry(view: HeldOutView) -> dict[str, Any]:
    """Returns a held-out view for the page: four pictures and what they are worth."""
    pictures = [view.target, view.rendered, error_map(view), paint(view.instances.astype(np.int32))]
    return {"index": view.index, "psnr": view.psnr, "ssim": view.ssim, "pictures": [data_uri(p) for p in pictures]}


def error_map(view: HeldOutView) -> np.ndarray:
    """Returns (H, W, 3) u8: mean absolute difference over the channels, black = none, bright = ERROR_FULL and more."""
    difference = np.abs(view.target.astype(np.float32) - view.rendered.astype(np.float32)).mean(axis=2) / 255
    level = (255 * np.clip(difference / ERROR_FULL, 0, 1)).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO)[..., ::-1])


def objects(snapshot: MapSnapshot, mapper: Mapper) -> list[dict[str, Any]]:
    """Returns a row per object, the largest first."""
    pictures = cut_thumbnails(snapshot, mapper.keyframes.items)
    rows = []
    for thing in sorted(snapshot.instances.objects, key=lambda o: -o.points):
        r, g, b = id_colors(np.array(thing.id)).tolist()
        picture = pictures.get(thing.id)
        rows.append(
            {
                "thing": thing,
                "color": f"rgb({r},{g},{b})",
                "picture": None if picture is None else data_uri(picture),
                "position": [f"{round(float(v), 2) + 0.0:.2f}" for v in thing.T_world_box[:3, 3]],
                "size": [f"{100 * v:.1f}" for v in thing.size],
            }
        )
    return rows


def timings(seconds: dict[str, float]) -> list[tuple[str, float, float]]:
    """Returns (part, seconds, share of all in per cent)."""
    total = sum(seconds.values())
    return [(part.replace("_", " "), s, 100 * s / total if total else 0.0) for part, s in seconds.items()]


def data_uri(picture: np.ndarray) -> str:
    """Returns an RGB picture (H, W, 3) u8 as a JPEG inside a link."""
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()

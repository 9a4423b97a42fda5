"""The page itself: everything inside one file, so that it can be mailed."""

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
from ig_ros.config import Config, to_dict
from ig_ros.errors import StorageError
from ig_ros.evaluation.held_out import HeldOutView
from ig_ros.evaluation.outputs import paint
from ig_ros.mapper import Mapper
from ig_ros.named_objects import spread
from ig_ros.report.thumbnails import thumbnails
from ig_ros.report.training_curves import History, training_curves
from ig_ros.types import MapSnapshot

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ report.title }}: ig_ros report</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; background: #f6f7f9; margin: 0; }
  main { max-width: 1080px; margin: 0 auto; padding: 24px; }
  h1 { margin: 0; font-size: 26px; } h2 { margin: 40px 0 12px; font-size: 19px; }
  code, pre { font: 13px/1.5 ui-monospace, monospace; }
  .command { color: #52606d; overflow-wrap: anywhere; }
  .cards { display: flex; flex-wrap: wrap; gap: 10px; margin-top: 18px; }
  .card, figure, table, details { background: #fff; border: 1px solid #e3e6ea; border-radius: 8px; }
  .card { padding: 10px 16px; } .card b { display: block; font-size: 21px; }
  .card span { color: #52606d; font-size: 13px; }
  .stopped { background: #fff4e5; border: 1px solid #f0b429; border-radius: 8px; padding: 8px 14px; margin-top: 14px; }
  .curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 12px; }
  figure { margin: 0; padding: 8px; } .curves svg { width: 100%; height: auto; }
  .views { display: grid; grid-template-columns: repeat(4, 1fr); gap: 6px; align-items: center; }
  .views img { width: 100%; display: block; border-radius: 4px; } .views .head { font-weight: 600; }
  .views .row { grid-column: 1 / -1; color: #52606d; font-size: 13px; margin-top: 6px; }
  .scale { height: 10px; width: 90px; display: inline-block; vertical-align: middle; border-radius: 3px;
           background: linear-gradient(90deg, #000004, #420a68, #932667, #dd513a, #fca50a, #fcffa4); }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid #eef0f3; }
  th { color: #52606d; font-size: 13px; }
  td.n { text-align: right; font-variant-numeric: tabular-nums; } th.n { text-align: right; }
  td img { width: 72px; height: 72px; border-radius: 6px; display: block; }
  .chip { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
          margin-right: 6px; vertical-align: -1px; }
  .bar { height: 12px; background: #1d4ed8; border-radius: 3px; min-width: 1px; }
  .right { color: #047857; } .wrong { color: #b91c1c; }
  details { padding: 8px 14px; margin-top: 10px; } summary { cursor: pointer; font-weight: 600; }
  pre { overflow-x: auto; }
</style>
</head>
<body>
<main>
<h1>{{ report.title }}</h1>
<div class="command"><code>{{ report.command }}</code></div>
{% if report.figures.interrupted %}
<div class="stopped">Stopped by Ctrl-C: the map is what had been reached by then.</div>
{% endif %}
<div class="cards">
{% for name, value in cards %}
  <div class="card"><b>{{ value }}</b><span>{{ name }}</span></div>
{% endfor %}
</div>

{% if report.history %}
<h2>Training</h2>
{% if curves %}
<div class="curves">
{% for curve in curves %}
<figure>{{ curve | safe }}</figure>
{% endfor %}
</div>
{% else %}
<p>Not one training step was made.</p>
{% endif %}
{% endif %}

{% if views %}
<h2>Views the map never saw</h2>
<div class="views">
  <div class="head">photograph</div><div class="head">render</div>
  <div class="head">error, 0 <span class="scale"></span> {{ error_full }} / 255</div><div class="head">objects</div>
{% for view in views %}
  <div class="row">
  frame {{ view.index }}: {{ "%.1f" | format(view.psnr) }} dB, SSIM {{ "%.3f" | format(view.ssim) }}</div>
{% for picture in view.pictures %}
  <img src="{{ picture }}" alt="frame {{ view.index }}">
{% endfor %}
{% endfor %}
</div>
{% endif %}

<h2>Objects ({{ objects | length }})</h2>
{% if objects %}
<table id="objects">
<tr><th></th><th>id</th><th>name</th><th class="n">views agree</th><th class="n">seen in</th>
<th class="n">centre x, y, z (m)</th>
<th class="n">size (cm)</th><th class="n">Gaussians</th></tr>
{% for row in objects %}
<tr>
<td>{% if row.picture %}<img src="{{ row.picture }}" alt="object {{ row.thing.id }}">{% endif %}</td>
<td><span class="chip" style="background: {{ row.color }}"></span>{{ row.thing.id }}</td>
<td>{{ row.thing.label or "(no name)" }}</td>
<td class="n">{{ "%.0f" | format(100 * row.thing.confidence) }} %</td>
<td class="n">{{ row.thing.views }} views</td>
<td class="n">{{ row.position | join(", ") }}</td>
<td class="n">{{ row.size | join(" x ") }}</td>
<td class="n">{{ row.thing.points }}</td>
</tr>
{% endfor %}
</table>
{% else %}
<p>No objects: without masks there is nothing to group by. Give the frames masks, or choose a segmenter.</p>
{% endif %}

{% if language.queries %}
<h2>Questions</h2>
<table>
<tr><th>asked</th><th>wanted</th><th>answered</th><th></th></tr>
{% for item in language.queries %}
<tr><td>{{ item.text }}</td><td>{{ item.wanted }}</td><td>{{ item.got or "nothing" }}</td>
<td class="{{ 'right' if item.right else 'wrong' }}">{{ "right" if item.right else "wrong" }}</td></tr>
{% endfor %}
{% for item in language.absent %}
<tr><td>{{ item.text }}</td><td>(not there)</td><td>{{ "nothing" if item.right else "something" }}</td>
<td class="{{ 'right' if item.right else 'wrong' }}">{{ "right" if item.right else "wrong" }}</td></tr>
{% endfor %}
</table>
{% endif %}

{% if seconds %}
<h2>Time</h2>
<table id="timings">
{% for part, seconds, share in seconds %}
<tr><td style="width: 160px">{{ part }}</td><td class="n" style="width: 90px">{{ "%.2f" | format(seconds) }} s</td>
<td><div class="bar" style="width: {{ "%.1f" | format(share) }}%"></div></td></tr>
{% endfor %}
</table>
<p>{{ report.figures.steps_per_second }} training steps per second, the arrival of the frames included.</p>
{% endif %}

<details><summary>Parameters that are not the defaults</summary><pre>{{ changed }}</pre></details>
<details><summary>All figures</summary><pre>{{ report.figures | tojson(indent=2) }}</pre></details>
</main>
</body>
</html>
"""


NAME = "report.html"
SHOWN = 6  # held-out views on the page, evenly spread
ERROR_FULL = 0.25  # mean absolute difference of the channels, [0, 1], that is drawn brightest


@dataclass(frozen=True, slots=True)
class Report:
    """What a run knows beyond its map."""

    title: str
    command: str
    figures: dict[str, Any]  # as in metrics.json
    history: History | None = None  # None: of a map that trained elsewhere


def write_report(out: Path, report: Report, mapper: Mapper, views: Sequence[HeldOutView]) -> Path:
    """Write report.html, self-contained, and return its path. Raises StorageError."""
    text = page(report, mapper, views)
    try:
        (out / NAME).write_text(text)
    except OSError as error:
        raise StorageError(f"cannot write {out / NAME}: {error.strerror or error}") from error
    return out / NAME


def page(report: Report, mapper: Mapper, views: Sequence[HeldOutView]) -> str:
    """The HTML text."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    chosen = [views[i] for i in spread(len(views), SHOWN).tolist()]
    return environment.from_string(PAGE).render(
        report=report,
        cards=cards(report.figures),
        curves=training_curves(report.history) if report.history else [],
        views=[view_entry(view) for view in chosen],
        objects=objects(mapper.latest, mapper) if mapper.latest else [],
        seconds=timings(report.figures.get("seconds", {})),
        language=report.figures.get("language", {}),
        changed=yaml.safe_dump(changed(mapper.config), sort_keys=True),
        error_full=round(255 * ERROR_FULL),
    )


def cards(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures a reader looks for first: (what, value with its unit)."""
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
    found.append(("training steps", f"{figures['steps']:,}"))
    return found


def view_entry(view: HeldOutView) -> dict[str, Any]:
    """A held-out view for the page: four pictures and what they are worth."""
    pictures = [view.target, view.rendered, error_map(view), paint(view.instances.astype(np.int32))]
    return {"index": view.index, "psnr": view.psnr, "ssim": view.ssim, "pictures": [data_uri(p) for p in pictures]}


def error_map(view: HeldOutView) -> np.ndarray:
    """(H, W, 3) u8: mean absolute difference over the channels, black = none, bright = ERROR_FULL and more."""
    difference = np.abs(view.target.astype(np.float32) - view.rendered.astype(np.float32)).mean(axis=2) / 255
    level = (255 * np.clip(difference / ERROR_FULL, 0, 1)).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO)[..., ::-1])


def objects(snapshot: MapSnapshot, mapper: Mapper) -> list[dict[str, Any]]:
    """A row per object, the largest first."""
    pictures = thumbnails(snapshot, mapper.keyframes.items)
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
    """(part, seconds, share of all in per cent)."""
    total = sum(seconds.values())
    return [(part.replace("_", " "), s, 100 * s / total if total else 0.0) for part, s in seconds.items()]


def changed(config: Config) -> dict[str, Any]:
    """The parameters that are not the defaults."""
    return difference(to_dict(config), to_dict(Config()))


def difference(values: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """What of nested `values` is not the same in `base`, by dotted name."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": v for inner, v in difference(value, base.get(name, {})).items()}
        elif value != base.get(name):
            found[name] = value
    return found


def data_uri(picture: np.ndarray) -> str:
    """An RGB picture (H, W, 3) u8 as a JPEG inside a link."""
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()

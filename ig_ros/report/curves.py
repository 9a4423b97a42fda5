"""Curves as SVG, drawn by matplotlib without a display."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from ig_ros.report.history import History

SIZE = 4.4, 2.5  # inches
STYLE: Any = {  # of matplotlib's rcParams
    "svg.fonttype": "none",  # text stays text: it takes the page's font, and can be searched
    "svg.hashsalt": "ig",  # the same curve is the same file
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "axes.edgecolor": "#9aa3ad",
    "axes.titleweight": "bold",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One curve."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: str


def draw(title: str, lines: Sequence[Line], x_name: str = "training step") -> str:
    """An <svg> element; with a legend where there is more than one line."""
    with rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        for line in lines:
            marker = "o" if len(line.x) < 40 else None
            axes.plot(line.x, line.y, label=line.name, color=line.color, linewidth=1.8, marker=marker, markersize=3)
        axes.set_title(title)
        axes.set_xlabel(x_name)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None})
    text = target.getvalue()
    return text[text.index("<svg") :]


def training_curves(history: History) -> list[str]:
    """Loss, quality of unseen views and size of the map, each over the training steps; none before the first step."""
    moments, probes = history.moments, history.probes
    if not moments:
        return []
    steps = [m.step for m in moments]
    curves = [draw("Loss of the training views", [Line("loss", steps, [m.loss for m in moments], "#c2410c")])]
    at = [p.step for p in probes]
    if probes:
        curves.append(draw("PSNR of unseen views (dB)", [Line("PSNR", at, [p.psnr for p in probes], "#1d4ed8")]))
    size = [Line("anchors", steps, [m.anchors for m in moments], "#94a3b8")]
    if probes:
        size.append(Line("Gaussians", at, [p.gaussians for p in probes], "#047857"))
    curves.append(draw("Size of the map", size))
    return curves

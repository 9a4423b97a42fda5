"""How a training went, and its curves as SVG, drawn by matplotlib without a display."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ig_ros.evaluation.metrics import psnr
from ig_ros.evaluation.offline import MappingProgress
from ig_ros.mapper import Mapper
from ig_ros.scaffold.keyframes import Keyframe, make_keyframe
from ig_ros.types import Frame

MOMENTS = 300  # points of a curve at most
PROBES = 24  # times that unseen views are rendered, over the whole budget


@dataclass(frozen=True, slots=True)
class Moment:
    """One point of the curves that cost nothing."""

    step: int
    seconds: float  # since the mapping began
    loss: float  # running mean of the training views' loss
    anchors: int


@dataclass(frozen=True, slots=True)
class Probe:
    """One point of the curves that cost a rendering."""

    step: int
    seconds: float
    psnr: float  # dB, mean over the unseen views that are watched
    gaussians: int  # worth exporting


class History:
    """Collects moments and probes while a map trains; evenly over the budget, whatever its length."""

    def __init__(self, mapper: Mapper, unseen: Sequence[Frame]) -> None:
        """Watch `mapper` and how it renders the `unseen` frames, which must not be trained on."""
        self._mapper = mapper
        self._unseen: list[Keyframe] = [make_keyframe(-1, frame, mapper.config.input) for frame in unseen]
        self._begin = time.perf_counter()
        self.moments: list[Moment] = []
        self.probes: list[Probe] = []

    def note(self, p: MappingProgress) -> None:
        """Call it after every training step."""
        seconds = time.perf_counter() - self._begin
        if p.share * MOMENTS >= len(self.moments):
            self.moments.append(Moment(p.steps, seconds, p.loss, p.anchors))
        if self._unseen and p.share * PROBES >= len(self.probes):
            gaussians = len(self._mapper.scaffold.canonical().means)
            quality = float(np.mean([self._psnr(view) for view in self._unseen]))
            self.probes.append(Probe(p.steps, seconds, quality, gaussians))

    def _psnr(self, view: Keyframe) -> float:
        rendered = self._mapper.scaffold.render(view.camera, view.T_world_camera)
        color = rendered.features[..., :3].cpu().numpy().clip(0, 1)
        return float(psnr(color, view.rgb.numpy() / np.float32(255)))


COLORS = {"loss": "#c2410c", "PSNR": "#1d4ed8", "anchors": "#94a3b8", "Gaussians": "#047857"}
STYLE: Any = {  # of matplotlib's rcParams
    "figure.figsize": (4.4, 2.5),  # inches
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


def draw(title: str, lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """Returns an <svg> element of curves (x, y) by name, over training steps; more than one have a legend."""
    with rc_context(STYLE):
        figure = Figure(layout="constrained")
        axes = figure.add_subplot()
        for name, (x, y) in lines.items():
            marker = "o" if len(x) < 40 else None
            axes.plot(x, y, label=name, color=COLORS[name], linewidth=1.8, marker=marker, markersize=3)
        axes.set_title(title)
        axes.set_xlabel("training step")
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None})
    text = target.getvalue()
    return text[text.index("<svg") :]


def draw_curves(history: History) -> list[str]:
    """Draws loss, quality of unseen views and size of the map, over the training steps; none before the first."""
    moments, probes = history.moments, history.probes
    if not moments:
        return []
    steps, at = [m.step for m in moments], [p.step for p in probes]
    curves = [draw("Loss of the training views", {"loss": (steps, [m.loss for m in moments])})]
    size = {"anchors": (steps, [m.anchors for m in moments])}
    if probes:
        curves.append(draw("PSNR of unseen views (dB)", {"PSNR": (at, [p.psnr for p in probes])}))
        size["Gaussians"] = (at, [p.gaussians for p in probes])
    return [*curves, draw("Size of the map", size)]

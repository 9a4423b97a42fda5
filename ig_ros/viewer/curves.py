"""Curves of a training that goes on: loss, PSNR, Gaussians."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
import viser
import viser.uplot

from ig_ros.stats import LiveStats

KEPT = 600  # points of a curve; the oldest go
HEIGHT = 130  # px
AXES = (viser.uplot.Axis(size=28), viser.uplot.Axis(size=64))


class Curve:
    """One chart that grows."""

    def __init__(self, server: viser.ViserServer, title: str, color: str) -> None:
        self._points: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._chart = server.gui.add_uplot(
            self._data(),
            (
                viser.uplot.Series(label="step"),
                viser.uplot.Series(label=title, stroke=color, width=2, points={"show": True, "size": 4}),
            ),
            title=title,
            scales={"x": viser.uplot.Scale(time=False, auto=True), "y": viser.uplot.Scale(auto=True)},
            axes=AXES,
            legend=viser.uplot.Legend(show=False),
            height=HEIGHT,
        )

    def add(self, step: int, value: float) -> None:
        """A point further to the right; a step that went back (a reset) starts anew."""
        if self._points and step < self._points[-1][0]:
            self._points.clear()
        if not self._points or step > self._points[-1][0]:
            self._points.append((float(step), value))
            self._chart.data = self._data()

    def _data(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        table = np.array(self._points, np.float64).reshape(-1, 2)
        return table[:, 0].copy(), table[:, 1].copy()


class Curves:
    """The three curves of a training, in the folder that is open when they are made."""

    def __init__(self, server: viser.ViserServer) -> None:
        self._loss = Curve(server, "loss", "#b45309")
        self._psnr = Curve(server, "PSNR of watched pictures (dB)", "#1d4ed8")
        self._gaussians = Curve(server, "Gaussians drawn per view", "#15803d")

    def add(self, stats: LiveStats) -> None:
        """What costs nothing."""
        if stats.steps:
            self._loss.add(stats.steps, stats.loss)
            self._gaussians.add(stats.steps, float(stats.gaussians))

    def add_quality(self, step: int, decibel: float) -> None:
        """What cost a rendering."""
        self._psnr.add(step, decibel)

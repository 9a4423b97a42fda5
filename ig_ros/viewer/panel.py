"""The panel beside the map: query, what is selected, sliders, list of objects, curves."""

from __future__ import annotations

import html
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import viser
import viser.uplot

from ig_ros.live import LiveStats
from ig_ros.types import ObjectInstance, QueryResult
from ig_ros.viewer.scene import name_of
from ig_ros.viewer.splats import is_thing

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


HINT = "Click an object in the map."


class Panel:
    """Widgets and their texts; `changed` and `asked` are called from viser's threads."""

    def __init__(
        self, server: viser.ViserServer, title: str, live: bool, changed: Callable[[], None],
        asked: Callable[[str], None], cleared: Callable[[], None],
    ) -> None:  # fmt: skip
        gui = server.gui
        gui.configure_theme(control_width="large", show_logo=False, show_share_button=False, brand_color=(29, 78, 216))
        gui.set_panel_label("ig_ros: objects of the map")
        self._status = gui.add_markdown(escape(title))
        self._title = title
        with gui.add_form(None) as form:
            self.text = gui.add_text("Ask", "", hint='for example "something to drink from"')
            gui.add_button("Find", icon=viser.Icon.SEARCH)
        form.on_submit(lambda _: asked(self.text.value))
        self._answer = gui.add_markdown("")
        with gui.add_folder("Selected object"):
            self._selected = gui.add_markdown(HINT)
            gui.add_button("Clear", color="gray").on_click(lambda _: cleared())
        with gui.add_folder("Show"):
            self.phase = gui.add_slider(
                "Photo > objects", 0.0, 1.0, 0.05, 0.35, hint="0: colours as photographed, 1: each object in its own"
            )
            self.opacity = gui.add_slider("Opacity", 0.05, 1.0, 0.05, 1.0)
            self.boxes = gui.add_checkbox("Boxes", True)
            self.labels = gui.add_checkbox("Names", True)
        for widget in (self.phase, self.opacity, self.boxes, self.labels):
            widget.on_update(lambda _: changed())
        self._live = live
        if live:
            with gui.add_folder("Training"):
                self._training = gui.add_markdown("")
                self._loss = Curve(server, "loss", "#b45309")
                self._psnr = Curve(server, "PSNR of watched pictures (dB)", "#1d4ed8")
                self._gaussians = Curve(server, "Gaussians drawn per view", "#15803d")
        with gui.add_folder("All objects", expand_by_default=not live):
            self._list = gui.add_markdown("")

    def show_map(self, objects: Sequence[ObjectInstance]) -> None:
        """List what the map holds."""
        count = f"{len(objects)} objects" if objects else "no object yet: wait for the first images"
        self._status.content = f"{escape(self._title)}: **{count}**"
        self._list.content = "\n".join(
            f"- {escape(name_of(o))}" for o in sorted(objects, key=lambda o: (not is_thing(o), o.label, o.id))
        )

    def show_training(self, stats: LiveStats) -> None:
        """Counters, and the curves that cost nothing."""
        if stats.steps:
            self._loss.add(stats.steps, stats.loss)
            self._gaussians.add(stats.steps, float(stats.gaussians))
        self._training.content = (
            f"step {stats.steps}, {stats.steps_per_second:.1f} steps/s, {stats.keyframes} keyframes, "
            f"{stats.anchors} anchors"
        )

    def show_quality(self, step: int, decibel: float) -> None:
        """The curve that costs a rendering."""
        if self._live:
            self._psnr.add(step, decibel)

    def show_answer(self, text: str, result: QueryResult | None, complaint: str = "") -> None:
        """The objects found with their scores, or why there are none."""
        if result is None or not result.hits:
            self._answer.content = escape(complaint or (result.message if result else ""))
            return
        lines = [f"**{escape(text)}**", "", escape(result.message), "", "| object | score |", "|---|---|"]
        lines += [f"| {escape(name_of(hit.object))} | {hit.score:.2f} |" for hit in result.hits]
        self._answer.content = "\n".join(lines)

    def show_selected(self, thing: ObjectInstance | None) -> None:
        """Id, name, place and size of what was clicked."""
        self._selected.content = HINT if thing is None else describe(thing)


def describe(thing: ObjectInstance) -> str:
    """Markdown: everything that is known of an object."""
    x, y, z = thing.T_world_box[:3, 3]
    length, width, height = thing.size
    rows = [
        ("id", str(thing.id)),
        ("position", f"{x:.2f}, {y:.2f}, {z:.2f} m"),
        ("size", f"{length:.2f} x {width:.2f} x {height:.2f} m"),
        ("confidence", f"{thing.confidence:.2f} in {thing.views} views"),
        ("Gaussians", str(thing.points)),
    ]
    head = f"**{escape(thing.label or 'unnamed')}**\n\n| | |\n|---|---|\n"
    return head + "\n".join(f"| {name} | {value} |" for name, value in rows)


def escape(text: str) -> str:
    """Names come from a network and queries from anybody: neither may become markup."""
    plain = " ".join(html.escape(text, quote=False).split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]|#" else c for c in plain)

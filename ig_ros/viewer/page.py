"""The page: one thread looks for news and alone draws; what people do in their browsers is queued for it."""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections.abc import Callable

import numpy as np
import viser

from ig_ros.config import LimitsConfig
from ig_ros.errors import IgError
from ig_ros.thread_settings import step_back
from ig_ros.types import MapSnapshot, ObjectInstance
from ig_ros.viewer.panel import Panel
from ig_ros.viewer.scene import MapScene, pick
from ig_ros.viewer.sources import Source
from ig_ros.viewer.splats import MOST, SplatStyle

log = logging.getLogger(__name__)


class Server(viser.ViserServer):
    """Refuses what any browser could otherwise ask of viser: to publish the page through a third party's tunnel."""

    def request_share_url(self, verbose: bool = True) -> str | None:  # noqa: ARG002  # viser's signature
        """Always None."""
        log.warning("a browser asked for a public address of this page: refused")
        return None


def start(host: str, port: int) -> Server:
    """Serve on exactly this port, 0 = any free one. Raises IgError when it is taken."""
    port = _reserve(host, port)
    return Server(host, port, label="ig_ros", verbose=False)


def _reserve(host: str, port: int) -> int:
    """The port, if it is free: viser would silently take the next one, which nobody has open in a browser."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise IgError(f"cannot serve on {host}:{port}: {error.strerror or error}: choose another port") from error
        number: int = probe.getsockname()[1]
        return number


ANSWERS = 5  # objects of an answer at most
LONGEST = LimitsConfig().text  # characters of a query that are read: whoever sees the page may type
LOOK = 0.1  # s between looks for news
COUNT = 1.0  # s between points of the curves


class Page:
    """Serves a source's map; all who look at it share query, selection and sliders."""

    def __init__(self, source: Source, host: str = "127.0.0.1", port: int = 0, most: int = MOST) -> None:
        """Start serving at most `most` Gaussians. Raises IgError when the port is taken."""
        self._source = source
        self._server = start(host, port)
        self._scene = MapScene(self._server, most)
        self._wishes: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()  # of the browsers, for `_look`
        wish = self._wishes.put
        self._panel = Panel(
            self._server,
            source.title,
            source.stats() is not None,
            changed=lambda: wish(lambda: None),
            asked=lambda text: wish(lambda: self._ask(text)),
            cleared=lambda: wish(self._clear),
        )
        self._server.scene.on_click()(lambda e: wish(lambda: self._click(e.ray_origin, e.ray_direction)))
        self._shown: MapSnapshot | None = None
        self._found: frozenset[int] = frozenset()
        self._selected = 0
        self._counted = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ig_viewer", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What to open in a browser on this machine."""
        return f"http://localhost:{self._server.get_port()}"

    @property
    def selected(self) -> int:
        """Id of the object that was clicked, 0 = none."""
        return self._selected

    @property
    def found(self) -> frozenset[int]:
        """Ids of the objects that answer the query."""
        return self._found

    def cameras(self) -> list[viser.CameraHandle]:
        """From where each browser looks."""
        return [client.camera for client in self._server.get_clients().values()]

    def stop(self) -> None:
        """Close every connection."""
        self._stopping.set()
        self._thread.join()
        self._server.stop()

    # -- the drawing thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        """An error while drawing is logged, and the page goes on with the next style."""
        step_back()
        while not self._stopping.wait(LOOK):
            try:
                self._look()
            except Exception:
                log.exception("the page could not be drawn")

    def _look(self) -> None:
        snapshot = self._source.snapshot()
        wishes = [self._wishes.get_nowait() for _ in range(self._wishes.qsize())]
        for wish in wishes:
            wish()
        renewed = snapshot is not None and snapshot is not self._shown
        if snapshot is None and self._shown is not None:  # the map was reset
            self._shown = None
            self._clear()
            self._scene.clear()
            self._panel.show_map(())
        if snapshot is not None and (renewed or wishes):
            self._draw(snapshot, renewed)
        self._count(snapshot if renewed else None)

    def _draw(self, snapshot: MapSnapshot, renewed: bool) -> None:
        self._shown = snapshot
        panel, lit = self._panel, self._found | ({self._selected} if self._selected else frozenset())
        style = SplatStyle(panel.phase.value, panel.opacity.value, lit)
        if renewed:
            self._scene.show(snapshot, style)
            panel.show_map(snapshot.instances.objects)
            panel.show_selected(self._object(self._selected))
        else:
            self._scene.repaint(snapshot, style)
        self._scene.show_boxes(snapshot.instances.objects, panel.boxes.value, panel.labels.value, lit)

    def _ask(self, text: str) -> None:
        self._found, self._selected = frozenset(), 0
        self._panel.show_selected(None)
        if not text.strip():
            self._panel.show_answer("", None)
            return
        try:
            result = self._source.query(text[:LONGEST], ANSWERS)
        except IgError as error:
            self._panel.show_answer(text, None, str(error))
            return
        self._found = frozenset(hit.object.id for hit in result.hits)
        self._panel.show_answer(text, result)

    def _click(self, origin: tuple[float, float, float], direction: tuple[float, float, float]) -> None:
        snapshot = self._source.snapshot()
        if snapshot is not None:
            self._selected = pick(snapshot, np.array(origin), np.array(direction))
            self._panel.show_selected(self._object(self._selected))

    def _clear(self) -> None:
        self._panel.text.value = ""  # type: ignore[misc]  # viser's setter stands apart from its getter
        self._ask("")

    def _object(self, number: int) -> ObjectInstance | None:
        snapshot = self._source.snapshot()
        objects = snapshot.instances.objects if snapshot else ()
        return next((o for o in objects if o.id == number), None)

    def _count(self, renewed: MapSnapshot | None) -> None:
        """Counters now and then; a rendering for every new snapshot."""
        if time.monotonic() - self._counted > COUNT and (stats := self._source.stats()) is not None:
            self._counted = time.monotonic()
            self._panel.show_training(stats)
        if renewed is not None and (quality := self._source.quality(renewed)) is not None:
            self._panel.show_quality(renewed.step, quality)


def view(source: Source, host: str = "127.0.0.1", port: int = 0, most: int = MOST) -> Page:
    """Serve a source on a web page; the caller stops it. Raises IgError when the port is taken."""
    return Page(source, host, port, most)

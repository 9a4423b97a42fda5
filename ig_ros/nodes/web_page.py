"""The web page of a running node: parameter `viewer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ig_ros.config import NodeConfig
from ig_ros.errors import viewer_missing
from ig_ros.types import Frame

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper

WATCH_EVERY = 20  # frames; the curves judge the map by the newest of these


class WebPage:
    """Serves a mapper's map while the node is configured."""

    def __init__(self, config: NodeConfig, mapper: LiveMapper, log: Any) -> None:
        """Raises IgError when the port is taken or viser is not installed."""
        try:
            from ig_ros.viewer import LiveSource, view
        except ModuleNotFoundError as error:
            raise viewer_missing(error) from error
        self._source = LiveSource("live map", mapper)
        self._page = view(self._source, config.viewer_host, config.viewer_port)
        self._frames = 0
        log.info(
            f"the map is at {self._page.address}, on this machine"
            + ("" if config.viewer_host == "127.0.0.1" else f" and on others that reach {config.viewer_host}")
        )

    @property
    def address(self) -> str:
        """What to open in a browser on this machine."""
        return self._page.address

    def note(self, frame: Frame) -> None:
        """A frame goes to the mapper; some are kept to judge it by."""
        if self._frames % WATCH_EVERY == 0:
            self._source.watch(frame)
        self._frames += 1

    def stop(self) -> None:
        """Close every connection."""
        self._page.stop()

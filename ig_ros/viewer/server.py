"""viser's server, made to fit a robot: the port that was asked for or none, no banner, no tunnel to the outside."""

from __future__ import annotations

import contextlib
import io
import logging
import socket

import viser

from ig_ros.errors import IgError

log = logging.getLogger(__name__)


class Server(viser.ViserServer):
    """Refuses what any browser could otherwise ask of viser: to publish the page through a third party's tunnel."""

    def request_share_url(self, verbose: bool = True) -> str | None:  # noqa: ARG002  # viser's signature
        """Always None."""
        log.warning("a browser asked for a public address of this page: refused")
        return None

    def stop(self) -> None:
        """Close every connection, without a word on stdout."""
        with contextlib.redirect_stdout(io.StringIO()):
            super().stop()


def start(host: str, port: int) -> Server:
    """Serve on exactly this port, 0 = any free one. Raises IgError when it is taken."""
    port = _reserve(host, port)
    with contextlib.redirect_stdout(io.StringIO()):  # its banner; results of ours go to stdout
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

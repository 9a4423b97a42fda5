"""Ctrl-C as a wish to stop: what is there is still saved."""

from __future__ import annotations

import signal
from types import TracebackType
from typing import Any

from ig_ros.cli.app import console


class StopSign:
    """A context in which the first Ctrl-C only raises a flag; the second one ends the command at once."""

    def __init__(self) -> None:
        self.raised = False
        self._before: Any = signal.SIG_DFL

    def __call__(self) -> bool:
        """Whether the user wants to stop."""
        return self.raised

    def __enter__(self) -> StopSign:
        self._before = signal.signal(signal.SIGINT, lambda *_: self._stop())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _stop(self) -> None:
        if self.raised:
            raise KeyboardInterrupt
        self.raised = True
        console.print("[yellow]stopping: what is there will be saved (Ctrl-C again to lose it)[/yellow]")

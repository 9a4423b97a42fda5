"""What one thread asks another one to do between two pieces of its work."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Commands:
    """Commands in line, each with the future of its result; put on any thread, obeyed on one."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()

    def put(self, command: Callable[[], T]) -> Future[T]:
        """Get in line; never blocks."""
        future: Future[T] = Future()
        self._waiting.put((command, future))
        return future

    def obey(self) -> None:
        """Do all that waits. What a command raises is its future's."""
        for command, future in self._taken():
            try:
                future.set_result(command())
            except Exception as error:
                future.set_exception(error)

    def refuse(self, error: Exception) -> None:
        """Let all that wait fail; on any thread, on several at once too."""
        for _, future in self._taken():
            future.set_exception(error)

    def _taken(self) -> Iterator[tuple[Callable[[], Any], Future[Any]]]:
        """Those in line, without the cancelled ones, until none is left."""
        while True:
            try:
                command, future = self._waiting.get_nowait()  # between a look and a get another thread may take it
            except queue.Empty:
                return
            if future.set_running_or_notify_cancel():
                yield command, future

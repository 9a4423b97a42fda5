"""A thread that does, in order, what callbacks have no time for; its queue is bounded and drops the oldest job."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ig_ros.errors import FrameError
from ig_ros.nodes.diagnostics import Problems


class Worker:
    """Jobs in, results by side effect; whatever a job raises is counted and reported."""

    def __init__(self, name: str, capacity: int, problems: Problems, full: tuple[str, str] | None = None) -> None:
        """`full` is the cause and the message with which a dropped job is counted, None = it is no problem."""
        self._jobs: deque[Callable[[], None]] = deque()
        self._capacity, self._problems, self._full = capacity, problems, full
        self._filled = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Callable[[], None]) -> None:
        """Never blocks: the oldest waiting job makes room."""
        with self._filled:
            dropped = len(self._jobs) >= self._capacity
            if dropped:
                self._jobs.popleft()
            self._jobs.append(job)
            self._filled.notify()
        if dropped and self._full is not None:
            self._problems.add(*self._full)

    def clear(self) -> None:
        """Forget what waits."""
        with self._filled:
            self._jobs.clear()

    def stop(self, timeout: float = 0.5) -> None:
        """Forget what waits and end after the present job; waits for that at most `timeout` seconds."""
        with self._filled:
            self._stopping = True
            self._jobs.clear()
            self._filled.notify()
        self._thread.join(timeout)

    def _work(self) -> None:
        while True:
            with self._filled:
                while not self._jobs and not self._stopping:
                    self._filled.wait()
                if self._stopping:
                    return
                job = self._jobs.popleft()
            try:
                job()
            except FrameError as error:
                self._problems.add_error(error)
            except Exception as error:  # the border: one bad message must not end the stream
                self._problems.add("internal", f"message dropped by an internal error: {type(error).__name__}: {error}")

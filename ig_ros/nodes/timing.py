"""How late callbacks are: from the arrival of a message in DDS to the end of its callback."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

WINDOW = 6000  # newest callbacks that are judged: a minute of a camera with depth and masks at 30 Hz


class Delays:
    """Delays of the newest callbacks; thread safe."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=WINDOW)
        self._lock = threading.Lock()

    def timed(self, callback: Callable[[Any], None]) -> Callable[[Any, Mapping[str, Any]], None]:
        """The callback, with its delay noted."""

        def run(message: Any, info: Mapping[str, Any]) -> None:
            callback(message)
            self.add((time.time_ns() - int(info["received_timestamp"])) * 1e-9)

        return run

    def add(self, seconds: float) -> None:
        """Note a delay; a clock that was set meanwhile says nothing."""
        if seconds >= 0:
            with self._lock:
                self._seconds.append(seconds)

    def p99_ms(self) -> float:
        """99th percentile in milliseconds, 0 before the first callback."""
        with self._lock:
            seconds = list(self._seconds)
        return 1000 * float(np.percentile(seconds, 99)) if seconds else 0.0

"""How often a worker that fails is started again: once, and once more after each long time without a failure."""

from __future__ import annotations

import time
from collections.abc import Callable

SPARE = 1  # restarts
HEALTHY = 600.0  # s: who has worked for so long since has recovered; two errors within it are a fault that stays


class Watchdog:
    """The restarts that one worker has left, from now on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds."""
        self._clock = clock
        self._left, self._begin = SPARE, clock()

    def restarts(self) -> bool:
        """The worker has failed now: whether it is to be started again."""
        now = self._clock()
        if now - self._begin >= HEALTHY:
            self._left = SPARE
        self._left, self._begin = self._left - 1, now
        return self._left >= 0

"""Time, measured the same way by every part."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np


def seconds(function: Callable[[], object], repeats: int, warm_up: int = 1) -> float:
    """Median wall time of a call."""
    for _ in range(warm_up):
        function()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def exponent(sizes: list[float], times: list[float]) -> float:
    """Slope of the line through log(time) over log(size): 1 = cost grows as the work does."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(times, 1e-9)), 1)[0])

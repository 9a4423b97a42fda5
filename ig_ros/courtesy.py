"""How threads that compute make room for others: by priority, by sparing the collector, by giving memory back."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

NICENESS = 10  # of the threads that compute


def step_back() -> None:
    """Let other threads go before the calling one. Linux alone gives a thread a priority of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def keep_for_good() -> None:
    """Search what lives now no more for garbage: half a million objects of the models, and every thread waits for it.

    Such a search takes a quarter of a second, every few seconds. To be called once everything is loaded.
    """
    gc.collect()
    gc.freeze()


def lean(work: Callable[[], T]) -> T:
    """What `work` returns, which needs much memory for a while; that is then given back to the system.

    Without this a day's peaks add up in the allocator. glibc alone can be told.
    """
    try:
        return work()
    finally:
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
        if trim is not None:
            trim(0)

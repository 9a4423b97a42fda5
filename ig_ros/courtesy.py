"""How threads that compute make room for those that receive and answer: by priority, and by sparing the collector."""

from __future__ import annotations

import gc
import os
import sys
import threading

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

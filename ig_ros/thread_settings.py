"""How threads that compute make room for others: by priority, by sparing the collector, by giving memory back."""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from threadpoolctl import ThreadpoolController

T = TypeVar("T")

NICENESS = 10  # of the threads that compute
# glibc's mallopt: parameters of malloc.h, and what suits a process that holds few large arrays for hours.
ARENAS = -8, 4  # heaps at most: each thread may fill one of its own, and each keeps what it once needed
MAPPED = -3, 32 << 20  # B from which a block is mapped by itself, fixed: else one large block of a rare code path ...
TRIMMED = -1, 64 << 20  # ... raises both for good; B that may lie idle on top of a heap


def step_back() -> None:
    """Let other threads go before the calling one. Linux alone gives a thread a priority of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


@functools.cache
def _helpers() -> ThreadpoolController:
    """The OpenMP libraries that are loaded; each thread has a number of helpers of its own there."""
    return ThreadpoolController().select(user_api="openmp")


def compute_alone() -> None:
    """Have the calling thread, and it alone, compute without helpers: small work is done before they are awake."""
    import torch  # seconds, which those who only look at the node's class need not wait

    torch.get_num_threads()  # the first call in a thread sets the number
    alone().__enter__()


def alone() -> AbstractContextManager[object]:
    """The same for as long as the context lasts."""
    context: AbstractContextManager[object] = _helpers().limit(limits=1)
    return context


def keep_for_good() -> None:
    """Search what lives now no more for garbage: half a million objects of the models, and every thread waits for it.

    Such a search takes a quarter of a second, every few seconds. To be called once everything is loaded.
    """
    gc.collect()
    gc.freeze()


def settle_allocator() -> None:
    """Have the allocator keep as much memory after hours as in the beginning; before threads start. glibc alone can."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in (ARENAS, MAPPED, TRIMMED):
            mallopt(parameter, value)


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

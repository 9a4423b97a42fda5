"""How a thread that computes leaves the processor and memory to others. Acts on the calling thread or for a call."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import ThreadpoolController

T = TypeVar("T")

NICENESS = 10  # of the threads that compute


def step_back() -> None:
    """Lowers the calling thread's priority. Only Linux gives a thread a priority of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


@functools.cache
def _openmp_libraries() -> ThreadpoolController:
    """Returns the OpenMP libraries of the process, looked up once (5 ms); each thread has its own setting in them."""
    return ThreadpoolController().select(user_api="openmp")


@contextmanager
def single_threaded() -> Iterator[None]:
    """Lets the calling thread compute without OpenMP helpers: small work is done before they are awake."""
    import torch  # takes seconds, which those who only read a node's class need not wait for

    torch.get_num_threads()  # a thread's first call sets its number of helpers
    with _openmp_libraries().limit(limits=1):
        yield


def lean(work: Callable[[], T]) -> T:
    """Returns what `work` returns and gives the memory it needed back to the system, which only glibc can.

    Without this a day's peaks add up in the allocator.
    """
    try:
        return work()
    finally:
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
        if trim is not None:
            trim(0)

"""Threads that compute step back, and what lives for good is not searched for garbage."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import pytest
import torch

from ig_ros.nodes.process import freeze_loaded_objects
from ig_ros.thread_settings import NICENESS, lean, single_threaded, step_back


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a thread a priority of its own")
def test_a_thread_steps_back_alone() -> None:
    found: list[int] = []

    def work() -> None:
        step_back()
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [max(NICENESS, before)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_what_lives_is_searched_no_more_and_what_comes_later_is() -> None:
    class Knot:
        pass

    old = [object() for _ in range(3)]
    freeze_loaded_objects()
    try:
        assert not any(seen is old for seen in gc.get_objects())
        knot = Knot()
        knot.self = knot  # type: ignore[attr-defined]
        del knot
        assert gc.collect() > 0
    finally:
        gc.unfreeze()


PEAK = """
import numpy as np, psutil
from ig_ros.thread_settings import lean

def peak():
    held = [np.ones(8_000) for _ in range(4_000)]  # 256 MB in pieces that the allocator keeps
    keep.append(held[-1])  # on top of the heap: the rest is not given back by itself
    return psutil.Process().memory_info().rss

keep = []
before = psutil.Process().memory_info().rss
high = lean(peak)
print(high - before, psutil.Process().memory_info().rss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone gives memory back when told")
def test_memory_of_a_peak_goes_back() -> None:
    """In a process of its own: what earlier tests freed would take the peak in."""
    shown = subprocess.run([sys.executable, "-c", PEAK], check=True, capture_output=True, text=True, timeout=120)
    high, kept = map(int, shown.stdout.split())
    assert high > 200e6
    assert kept < 60e6


def test_what_fails_fails() -> None:
    with pytest.raises(ZeroDivisionError):
        lean(lambda: 1 // 0)


def test_a_thread_that_computes_alone_leaves_the_others_their_helpers() -> None:
    found: list[int] = []

    def work() -> None:
        with single_threaded():
            found.append(torch.get_num_threads())
        found.append(torch.get_num_threads())

    before = torch.get_num_threads()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [1, before]
    assert torch.get_num_threads() == before

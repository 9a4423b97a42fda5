"""Threads that compute step back, and what lives for good is not searched for garbage."""

from __future__ import annotations

import gc
import os
import sys
import threading

import numpy as np
import psutil
import pytest

from ig_ros.courtesy import NICENESS, keep_for_good, lean, step_back


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
    keep_for_good()
    try:
        assert not any(seen is old for seen in gc.get_objects())
        knot = Knot()
        knot.self = knot  # type: ignore[attr-defined]
        del knot
        assert gc.collect() > 0
    finally:
        gc.unfreeze()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone gives memory back when told")
def test_memory_of_a_peak_goes_back() -> None:
    def peak() -> int:
        held = [np.ones(8_000) for _ in range(4_000)]  # 256 MB in pieces that the allocator keeps
        keep.append(held[-1])  # on top of the heap: the rest is not given back by itself
        return psutil.Process().memory_info().rss

    keep: list[np.ndarray] = []
    before = psutil.Process().memory_info().rss
    high = lean(peak)
    assert high - before > 200e6
    assert psutil.Process().memory_info().rss - before < 60e6


def test_what_fails_fails() -> None:
    with pytest.raises(ZeroDivisionError):
        lean(lambda: 1 // 0)

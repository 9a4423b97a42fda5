"""Threads that compute step back, and what lives for good is not searched for garbage."""

from __future__ import annotations

import gc
import os
import sys
import threading

import pytest

from ig_ros.courtesy import NICENESS, keep_for_good, step_back


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

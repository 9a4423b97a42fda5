"""Commands from many threads: each is obeyed or refused once, none is waited for."""

from __future__ import annotations

import queue
import threading

import pytest

from ig_ros.live import Commands


def test_they_are_obeyed_in_order_and_tell_what_came_of_it() -> None:
    commands, done = Commands(), []
    futures = [commands.put(lambda i=i: done.append(i) or i) for i in range(3)]  # type: ignore[misc]
    failing = commands.put(lambda: 1 / 0)
    futures[1].cancel()
    commands.obey()
    assert done == [0, 2]
    assert futures[2].result(0) == 2
    with pytest.raises(ZeroDivisionError):
        failing.result(0)


def test_whoever_refuses_never_waits_for_one_that_another_thread_has_taken() -> None:
    commands = Commands()

    class Stolen(queue.SimpleQueue):  # type: ignore[type-arg]
        """Says that something is there, and then it is gone."""

        def empty(self) -> bool:
            return False

    commands._waiting = Stolen()
    refusing = threading.Thread(target=commands.refuse, args=(RuntimeError("nobody is left"),), daemon=True)
    refusing.start()
    refusing.join(10.0)
    assert not refusing.is_alive()


def test_what_waits_is_refused_with_the_reason() -> None:
    commands = Commands()
    cancelled, future = commands.put(lambda: None), commands.put(lambda: None)
    cancelled.cancel()
    commands.refuse(RuntimeError("nobody is left"))
    with pytest.raises(RuntimeError, match="nobody"):
        future.result(0)

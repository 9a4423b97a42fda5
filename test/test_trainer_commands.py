"""Commands from many threads: each is run or refused once, none is waited for."""

from __future__ import annotations

import threading

import pytest

from ig_ros.live import Commands


def test_they_are_run_in_order_and_tell_what_came_of_it() -> None:
    commands, done = Commands(), []
    futures = [commands.put(lambda i=i: done.append(i) or i) for i in range(3)]  # type: ignore[misc]
    failing = commands.put(lambda: 1 / 0)
    futures[1].cancel()
    commands.run()
    assert done == [0, 2]
    assert futures[2].result(0) == 2
    with pytest.raises(ZeroDivisionError):
        failing.result(0)


def test_threads_that_refuse_at_once_answer_every_command_and_never_wait_for_each_other() -> None:
    commands = Commands()
    futures = [commands.put(lambda: None) for _ in range(2000)]
    refusing = [threading.Thread(target=commands.refuse, args=(RuntimeError("gone"),), daemon=True) for _ in range(8)]
    for thread in refusing:
        thread.start()
    for thread in refusing:
        thread.join(10.0)
    assert not any(thread.is_alive() for thread in refusing)
    assert all(isinstance(future.exception(0), RuntimeError) for future in futures)


def test_what_waits_is_refused_with_the_reason() -> None:
    commands = Commands()
    cancelled, future = commands.put(lambda: None), commands.put(lambda: None)
    cancelled.cancel()
    commands.refuse(RuntimeError("nobody is left"))
    with pytest.raises(RuntimeError, match="nobody"):
        future.result(0)

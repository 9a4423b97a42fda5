"""A worker has one life more than a fault that stays would need, and gets it back over hours."""

from __future__ import annotations

from ig_ros.live import HEALTHY, Watchdog


def restarts(*pauses: float) -> list[bool]:
    """Whether a worker is started again, failing each so many seconds after the start or the failure before."""
    now = [100.0]
    dog, found = Watchdog(lambda: now[0]), []
    for pause in pauses:
        now[0] += pause
        found.append(dog.restarts())
    return found


def test_a_fault_that_stays_ends_the_worker_at_the_second_time() -> None:
    assert restarts(1.0, 1.0) == [True, False]
    assert restarts(HEALTHY - 1, HEALTHY - 1) == [True, False]


def test_after_a_long_healthy_time_there_is_a_restart_again() -> None:
    assert restarts(5.0, HEALTHY, HEALTHY, 1.0) == [True, True, True, False]


def test_hours_without_a_failure_are_worth_one_restart_not_many() -> None:
    assert restarts(100 * HEALTHY, 1.0) == [True, False]

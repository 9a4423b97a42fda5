"""Progress bars: how far, how fast, how long still. They write to stderr, and to a terminal only."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.status import Status

from ig_ros.cli.app import console

Item = TypeVar("Item", covariant=True)
WINDOW = 5.0  # s over which a rate is measured


class Items(Sized, Iterable[Item], Protocol[Item]):
    """Something with a length to go through."""


class Rate:
    """Events per second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, count: int, now: float | None = None) -> float:
        """The rate after `count` events in all, at `now` (s, any clock; None = this moment)."""
        now = time.monotonic() if now is None else now
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW:
            self._seen.popleft()
        (then, before) = self._seen[0]
        return (count - before) / (now - then) if now > then else 0.0


def progress_bar() -> Progress:
    """A bar for work with a share done: per cent, time left and one line of details."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    return Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[detail]}"), console=console)


@contextmanager
def counting(total: int, doing: str) -> Iterator[Callable[[int], None]]:
    """A bar for `total` things with their number, rate and time left; call what it gives with the count so far."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    rate = Rate()
    with Progress(*columns, TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(doing, total=total, rate="")
        yield lambda count: bar.update(task, completed=count, rate=f"{rate(count):.1f}/s")


def busy(doing: str) -> Status:
    """A sign of life beside something that says nothing of how far it is; a context."""
    return console.status(doing)


def track(items: Items[Item], doing: str) -> Iterator[Item]:
    """Go through items under such a bar."""
    with counting(len(items), doing) as done:
        for count, item in enumerate(items, 1):
            yield item
            done(count)

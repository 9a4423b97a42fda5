"""What commands print: tables on stdout, progress bars on stderr and to a terminal only."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich import box
from rich.console import Console
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
from rich.table import Column, Table

from ig_ros.cli.app import console

if TYPE_CHECKING:
    from ig_ros.types import ObjectInstance


def print_figures(title: str, figures: dict[str, Any]) -> None:
    """A flat table of every scalar figure; the true names are for scripts."""
    table = Table("figure", "value", title=title)
    for key, value in figures.items():
        if key == "names":
            continue
        if isinstance(value, dict):
            for inner, v in value.items():
                if not isinstance(v, dict | list):
                    table.add_row(f"{key}.{inner}", str(v))
        else:
            table.add_row(key, str(value))
    Console().print(table)


def print_objects(title: str, rows: Sequence[tuple[ObjectInstance, float | None]]) -> None:
    """A row per object, with its score where it answers a question."""
    scored = any(score is not None for _, score in rows)
    names = ("id", "name", *(("score",) if scored else ()), "confidence", "views", "position (m)", "size (m)")
    table = Table(*(Column(name, no_wrap=name != "name") for name in names), title=title, box=box.SIMPLE_HEAD)
    for thing, score in rows:
        position, size = (" ".join(f"{v:.2f}" for v in a) for a in (thing.T_world_box[:3, 3], thing.size))
        shown = (f"{score:.2f}",) if score is not None else ()
        table.add_row(str(thing.id), thing.label, *shown, f"{thing.confidence:.2f}", str(thing.views), position, size)
    Console().print(table)


Item = TypeVar("Item")
WINDOW = 5.0  # s over which a rate is measured


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


def track(items: Sequence[Item], doing: str) -> Iterator[Item]:
    """Go through items under such a bar."""
    with counting(len(items), doing) as done:
        for count, item in enumerate(items, 1):
            yield item
            done(count)

"""Results as tables for people, on stdout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Column, Table

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

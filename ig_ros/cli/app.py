"""What all commands share: the Typer application, the two consoles, the exit codes."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any

import typer
from rich.console import Console


class Exit(IntEnum):
    """How a command ends; scripts may rely on it."""

    OK = 0
    NO = 1  # it ran, and the answer is no: nothing found, a goal missed
    ERROR = 2  # a mistake in what was asked or read; one line on stderr says which
    INTERRUPTED = 130  # Ctrl-C; what was there has been saved


EPILOG = (
    "Exit codes: 0 done; 1 it ran and the answer is no (nothing found, a goal missed); 2 a mistake, named in one line; "
    "130 interrupted by Ctrl-C."
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Online open-vocabulary 3D instance mapping.",
    epilog=EPILOG,
)
console = Console(stderr=True)  # progress and complaints; results go to stdout


def examples(*lines: str) -> str:
    """The end of a command's help: lines a reader can type."""
    return "\n\n".join(["[bold]Examples[/bold]", *lines])


def print_json(value: Any) -> None:
    """One line of JSON on stdout, for scripts."""
    typer.echo(json.dumps(value))

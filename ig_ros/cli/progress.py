"""Progress bars: how far, how fast, how long still."""

from __future__ import annotations

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from ig_ros.cli.app import console


def progress_bar() -> Progress:
    """A bar with the time left and one line of details, on stderr."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[detail]}"), console=console)

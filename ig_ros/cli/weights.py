"""`ig weights`: what segmenters and encoders need, and where it comes from; `ig weights fetch` downloads it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from ig_ros.cli.app import AsJson, app, console, examples, print_json
from ig_ros.weights import WEIGHTS, fetch, find_weights

weights = typer.Typer(rich_markup_mode="rich")
app.add_typer(
    weights, name="weights", rich_help_panel="Setup",
    help="List the weights of segmenters and encoders, or fetch them.",
)  # fmt: skip


@weights.callback(
    invoke_without_command=True, epilog=examples("ig weights", "ig weights fetch sam2_tiny --out ~/weights")
)
def listing(context: typer.Context, as_json: AsJson = False) -> None:
    """List name, size, licence, origin and the parameter that takes the path."""
    if context.invoked_subcommand is not None:
        return
    if as_json:
        print_json([dataclasses.asdict(w) for w in WEIGHTS])
        return
    for w in WEIGHTS:
        size = f"{w.megabytes:g} MB" if w.megabytes else "-"
        typer.echo(f"{w.name:15s} {w.serves:20s} {size:>8s}  {w.licence:10s}  {w.parameter or '-'}")
        typer.echo("".join(f"{'':16s}{line}\n" for line in (w.url, w.note) if line), nl=False)


@weights.command("fetch", epilog=examples("ig weights fetch sam2_tiny --out ~/weights"))
def fetching(
    name: Annotated[str, typer.Argument(help="one of `ig weights`")],
    out: Annotated[Path, typer.Option(help="folder for the file")] = Path("weights"),
) -> None:
    """Download weights; a broken download is gone on with."""
    chosen = find_weights(name)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(chosen.file, total=None)
        path = fetch(chosen, out.expanduser(), lambda had, total: bar.update(task, completed=had, total=total or None))
    typer.echo(f"{path}: {chosen.note}" if chosen.note else f"{path}: set {chosen.parameter} (the first to this path)")

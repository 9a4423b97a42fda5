"""`ig eval`: a saved map against the truth of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ig_ros.cli.app import AsJson, Exit, SavedMap, app, console, examples, map_home, print_json
from ig_ros.cli.output import print_figures, track
from ig_ros.cli.saved_maps import grouped, open_map, with_objects
from ig_ros.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from ig_ros.datasets import Dataset, SelectionTruth
    from ig_ros.evaluation.held_out import HeldOutView
    from ig_ros.mapper import Mapper

EXAMPLES = examples(
    "ig eval out/map --truth sim:tabletop",
    "ig eval out/map --truth ~/scannet/scene0000_00 --json",
    "ig eval out/figurines --truth ~/lerf_ovs/figurines --goal selection.miou=40",
    "ig eval out/map --truth sim:tabletop --goal instance.miou=80   (exit code 1 below 80 %)",
)


@app.command("eval", epilog=EXAMPLES)
def eval_command(
    directory: SavedMap,
    truth: Annotated[
        str,
        typer.Option(help="The dataset that was mapped, with its truth: sim:..., a ScanNet, Replica or LERF folder"),
    ],
    views: Annotated[bool, typer.Option(help="Also render and score the held-out views")] = True,
    queries: Annotated[bool, typer.Option(help="Also ask what the truth knows answers to")] = True,
    goal: Annotated[
        list[str] | None, typer.Option(help="NAME=LEAST, e.g. instance.miou=80 or psnr=25 (repeatable)")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a saved map with the exact truth: objects, names, held-out views. Exit code 1 when a goal is missed.

    Where views are annotated with texts, the objects that each text selects are drawn into them and compared.
    """
    from ig_ros.datasets import open_dataset
    from ig_ros.evaluation.offline import query_score

    goals = dict(map(parse_goal, goal or []))
    dataset = open_dataset(truth)
    selection = annotated_views(dataset, views and queries)
    home = map_home(directory)
    mapper, _ = open_map(home, queries)
    figures = judge(mapper, home, dataset, views, selection)
    if queries and dataset.truth is not None:
        figures["language"] = query_score(mapper, dataset, with_objects(mapper.latest, home))
    missed = {name: (value(figures, name), least) for name, least in goals.items() if value(figures, name) < least}
    figures["goals_missed"] = sorted(missed)
    if as_json:
        print_json(figures)
    else:
        print_figures(f"{directory} against {dataset.name}", figures)
    for name, (got, least) in sorted(missed.items()):
        console.print(f"[red]goal missed:[/red] {name} is {got:g}, wanted {least:g}", highlight=False)
    raise typer.Exit(Exit.NO if missed else Exit.OK)


def annotated_views(dataset: Dataset, wanted: bool) -> SelectionTruth | None:
    """The views for select-and-render: the dataset's own, else the held-out ones; None where there are none.

    Raises DatasetError for a dataset without any truth, ConfigError where the views are all the truth and not `wanted`.
    """
    from ig_ros.datasets import missing_truth, selection_truth, split

    selection = selection_truth(dataset, split(len(dataset))[1])
    if dataset.truth is None and selection is None:
        lacking = "; ".join(missing_truth(dataset)) or "nobody has annotated it"
        raise DatasetError(f"{dataset.name} has no truth to compare with: {lacking}")
    if dataset.truth is None and not wanted:
        raise ConfigError(
            f"{dataset.name} knows only what texts select in its views: leave out --no-views and --no-queries"
        )
    return selection if wanted and selection is not None and selection.places else None


def judge(
    mapper: Mapper, home: Path, dataset: Dataset, with_views: bool, selection: SelectionTruth | None
) -> dict[str, Any]:
    """Figures of a loaded map. One that trained on after its objects were found is grouped anew for its views."""
    from ig_ros.datasets import split
    from ig_ros.evaluation.held_out import render_all, selection_figures
    from ig_ros.evaluation.offline import score

    snapshot = with_objects(mapper.latest, home)
    _, held_out = split(len(dataset))
    shown: dict[int, HeldOutView] = {}
    chosen: dict[str, Any] = {}
    if with_views:
        frozen, snapshot = grouped(mapper, home)
        shown = render_all(mapper, frozen, snapshot, dataset, track(held_out, "held-out views"))
        if selection is not None:
            chosen = {"selection": selection_figures(mapper, snapshot, dataset, selection)}
    return score(mapper, dataset, snapshot, shown) | chosen


def parse_goal(text: str) -> tuple[str, float]:
    """NAME=LEAST. Raises ConfigError."""
    name, _, least = text.partition("=")
    try:
        return name, float(least)
    except ValueError as error:
        raise ConfigError(f"--goal wants name=number, got {text!r}") from error


def value(figures: dict[str, Any], name: str) -> float:
    """A figure by its dotted name, as the table prints it. Raises ConfigError for one that is not there."""
    found: Any = figures
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, int | float):
        raise ConfigError(f"--goal {name}: there is no such figure here; the table names them all")
    return float(found)

"""`ig export`: a saved map in the formats of other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ig_ros.cli.app import app, examples, print_json
from ig_ros.cli.maps import load, load_snapshot
from ig_ros.cli.options import AsJson, SavedMap, make_folder, map_home
from ig_ros.errors import ConfigError


class Format(StrEnum):
    """What to write."""

    SPLAT = "splat"
    PLY = "ply"
    PCD = "pcd"
    OBJECTS = "objects"
    MCAP = "mcap"


class Up(StrEnum):
    """Mirror of `ig_ros.export.Axes` for the command line, which must not wait for torch to print its help."""

    MAP = "map"
    VIEWER = "viewer"


PLACES = {
    Format.SPLAT: "splat.ply",
    Format.PLY: "labelled.ply",
    Format.PCD: "labelled.pcd",
    Format.OBJECTS: "objects",
    Format.MCAP: "results.mcap",
}  # below the map's folder

EXAMPLES = examples(
    "ig export out/map splat --axes viewer",
    "ig export out/map pcd --out table.pcd",
    "ig export out/map objects --json",
    "ig export out/map mcap --out results.mcap",
)


@app.command("export", epilog=EXAMPLES)
def export_command(
    directory: SavedMap,
    kind: Annotated[
        Format,
        typer.Argument(
            metavar="FORMAT",
            help="splat: 3DGS PLY for SuperSplat and nerfstudio; ply, pcd: labelled cloud; objects: a PLY each; "
            "mcap: what the node would publish, as a rosbag2",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="File or folder; default: MAP/export/...")] = None,
    axes: Annotated[
        Up, typer.Option(help="splat: which way is up; map: z, in metres; viewer: -y, as splat viewers show it upright")
    ] = Up.MAP,
    as_json: AsJson = False,
) -> None:
    """Write a saved map as splats, labelled cloud, a file per object, or a bag."""
    target = out if out is not None else directory / "export" / PLACES[kind]
    if axes is not Up.MAP and kind is not Format.SPLAT:
        raise ConfigError("--axes turns splats only: all other formats are in the map's frame")
    make_folder(target.parent)
    count, what = write(kind, map_home(directory), target, axes)
    if as_json:
        print_json({"format": kind.value, "path": str(target), what: count})
    else:
        typer.echo(f"{count} {what} written to {target}")


def write(kind: Format, home: Path, target: Path, axes: Up) -> tuple[int, str]:
    """Write `target`; returns how many of what. Raises StorageError, also for a map that has no objects yet."""
    from ig_ros import export

    if kind is Format.SPLAT:
        gaussians = load(home).mapper.freeze().gaussians
        return export.write_splats(target, gaussians, export.Axes(axes.value)), "gaussians"
    if kind is Format.MCAP:
        return write_bag(home, target), "messages"
    snapshot = load_snapshot(home)
    if kind is Format.OBJECTS:
        return len(export.write_objects(target, snapshot)), "objects"
    points = export.labelled_points(snapshot)
    if kind is Format.PLY:
        return export.write_ply(target, points, export.names_of(snapshot)), "points"
    return export.write_pcd(target, points), "points"


def write_bag(home: Path, target: Path) -> int:
    """The messages the node would publish; returns how many."""
    from ig_ros.nodes.environment import prepare_process

    prepare_process()
    from ig_ros.nodes.results_bag import write_results

    mapper, snapshot, _ = load(home)
    return write_results(target, snapshot, mapper.keyframes.items)

"""`ig export`: a saved map in the formats of other programs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ig_ros.cli.app import app, examples, print_json
from ig_ros.cli.maps import open_map, read_objects, with_objects
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
    "ig export out/map splat --only 3 --paint --out mug.ply",
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
    paint: Annotated[bool, typer.Option("--paint", help="splat: every object in the colour of its id")] = False,
    only: Annotated[list[int] | None, typer.Option(help="splat: the object of this id alone (repeatable)")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a saved map as splats, labelled cloud, a file per object, or a bag."""
    target = out if out is not None else directory / "export" / PLACES[kind]
    if kind is not Format.SPLAT and (axes is not Up.MAP or paint or only):
        raise ConfigError("--axes, --paint and --only are for splats: other formats hold the whole map in its frame")
    make_folder(target.parent)
    home = map_home(directory)
    if kind is Format.SPLAT:
        count, what = write_splats(home, target, Look(axes, paint, tuple(only or ()))), "gaussians"
    else:
        count, what = write(kind, home, target)
    if as_json:
        print_json({"format": kind.value, "path": str(target), what: count})
    else:
        typer.echo(f"{count} {what} written to {target}")


@dataclass(frozen=True, slots=True)
class Look:
    """How splats are written."""

    axes: Up
    paint: bool
    only: tuple[int, ...]  # ids, empty = everything


def write_splats(home: Path, target: Path, look: Look) -> int:
    """Write the Gaussians; returns how many. Raises StorageError, ConfigError for an object that is not there.

    A map that trained on after its objects were found is grouped anew where its objects are asked for.
    """
    from ig_ros import export

    mapper, _ = open_map(home)
    frozen = mapper.freeze()
    gaussians = frozen.gaussians
    if look.paint or look.only:
        snapshot = with_objects(mapper.latest, home)
        ids = (snapshot if snapshot.step == frozen.step else mapper.instantiate(frozen)).instances.point_ids
        absent = set(look.only) - set(ids.tolist())
        if absent:
            raise ConfigError(f"there is no object {', '.join(map(str, sorted(absent)))} in {home}: see ig info {home}")
        gaussians = export.painted(gaussians, ids) if look.paint else gaussians
        gaussians = export.chosen(gaussians, np.isin(ids, look.only)) if look.only else gaussians
    return export.write_splats(target, gaussians, export.Axes(look.axes.value))


def write(kind: Format, home: Path, target: Path) -> tuple[int, str]:
    """Write anything but splats; returns how many of what. Raises StorageError."""
    from ig_ros import export

    if kind is Format.MCAP:
        return write_bag(home, target), "messages"
    snapshot = read_objects(home)
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

    mapper, _ = open_map(home)
    return write_results(target, with_objects(mapper.latest, home), mapper.keyframes.items)

"""`ig export`: a saved map in the formats of other programs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ig_ros.cli.app import AsJson, SavedMap, app, examples, make_folder, map_home, print_json
from ig_ros.cli.output import busy
from ig_ros.cli.saved_maps import grouped, open_map, read_objects, with_objects
from ig_ros.errors import ConfigError


class Format(str, Enum):
    """What to write."""

    SPLAT = "splat"
    PLY = "ply"
    PCD = "pcd"
    OBJECTS = "objects"
    MCAP = "mcap"
    ONTO = "onto"


class Up(str, Enum):
    """Mirror of `ig_ros.export.Axes` for the command line, which must not wait for torch to print its help."""

    MAP = "map"
    VIEWER = "viewer"


PLACES = {
    Format.SPLAT: "splat.ply",
    Format.PLY: "labelled.ply",
    Format.PCD: "labelled.pcd",
    Format.OBJECTS: "objects",
    Format.MCAP: "results.mcap",
    Format.ONTO: "onto.ply",
}  # below the map's folder

EXAMPLES = examples(
    "ig export out/map splat --axes viewer",
    "ig export out/map splat --only 3 --paint --out mug.ply",
    "ig export out/map pcd --out table.pcd",
    "ig export out/map objects --json",
    "ig export out/map mcap --out results.mcap",
    "ig export out/map onto --cloud mesh.ply --out labelled_mesh.ply",
)


@app.command("export", epilog=EXAMPLES)
def export_command(
    directory: SavedMap,
    kind: Annotated[
        Format,
        typer.Argument(
            metavar="FORMAT",
            help="splat: 3DGS PLY, opens in SuperSplat; ply, pcd: labelled cloud; objects: a PLY each; "
            "mcap: what the node would publish, as a rosbag2; onto: the objects on a cloud or mesh of yours",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="File or folder; default: MAP/export/...")] = None,
    axes: Annotated[
        Up, typer.Option(help="splat: which way is up; map: z, in metres; viewer: -y, as splat viewers show it upright")
    ] = Up.MAP,
    paint: Annotated[bool, typer.Option("--paint", help="splat, onto: every object in the colour of its id")] = False,
    only: Annotated[list[int] | None, typer.Option(help="splat: the object of this id alone (repeatable)")] = None,
    cloud: Annotated[
        Path | None, typer.Option(help="onto: the PLY (cloud or mesh) or PCD to label, in the map's frame, in metres")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="onto: by the vote of the nearest points instead of the smoothing MLP")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a saved map as splats, labelled cloud, a file per object, a bag, or onto another cloud."""
    target = out if out is not None else directory / "export" / PLACES[kind]
    refuse_mixture(kind, axes is not Up.MAP or bool(only), paint, cloud is not None, plain)
    refuse_ending(kind, target)
    make_folder(target.parent)
    home = map_home(directory)
    facts: dict[str, float] = {}
    with busy(f"writing {target}"):
        if kind is Format.SPLAT:
            count, what = write_splats(home, target, axes, paint, only or ()), "gaussians"
        elif cloud is not None:
            count, coverage = write_onto(home, target, cloud, plain, paint)
            what, facts = "points", {"coverage": round(coverage, 4)}
        else:
            count, what = write(kind, home, target)
    if as_json:
        print_json({"format": kind.value, "path": str(target), what: count} | facts)
    else:
        covered = f", {100 * facts['coverage']:.1f} % of them on an object" if facts else ""
        typer.echo(f"{count} {what} written to {target}{covered}")


def refuse_ending(kind: Format, target: Path) -> None:
    """Raises ConfigError for a file name that says another format than what is written."""
    usual = Path(PLACES[kind]).suffix
    if target.suffix.lower() in {Path(place).suffix for place in PLACES.values()} - {usual}:
        name = f"end in {usual}" if usual else "be the name of a folder"
        raise ConfigError(f"{kind.value} is not written to a file called {target.name}: --out must {name}")


def refuse_mixture(kind: Format, turned: bool, paint: bool, cloud: bool, plain: bool) -> None:
    """Raise ConfigError for an option that the format does not know, or one that it lacks."""
    if kind is not Format.SPLAT and turned:
        raise ConfigError("--axes and --only are for splats: other formats hold the whole map in its frame")
    if kind not in (Format.SPLAT, Format.ONTO) and paint:
        raise ConfigError("--paint is for splat and onto: other formats have a column of ids beside the colours")
    if kind is not Format.ONTO and (cloud or plain):
        raise ConfigError("--cloud and --plain are for onto: other formats write the map's own points")
    if kind is Format.ONTO and not cloud:
        raise ConfigError("onto wants --cloud FILE: the PLY or PCD that gets the labels")


def write_splats(home: Path, target: Path, axes: Up, paint: bool, only: Sequence[int]) -> int:
    """Write the Gaussians; returns how many. Raises StorageError, ConfigError for an object that is not there.

    A map that trained on after its objects were found is grouped anew where its objects are asked for.
    """
    from ig_ros import export

    mapper, _ = open_map(home)
    gaussians = mapper.freeze().gaussians
    if paint or only:
        _, snapshot = grouped(mapper, home)
        ids = snapshot.instances.point_ids
        absent = set(only) - set(ids.tolist())
        if absent:
            raise ConfigError(f"there is no object {', '.join(map(str, sorted(absent)))} in {home}: see ig info {home}")
        gaussians = export.painted(gaussians, ids) if paint else gaussians
        gaussians = export.chosen(gaussians, np.isin(ids, only)) if only else gaussians
    return export.write_splats(target, gaussians, export.Axes(axes.value))


def write_onto(home: Path, target: Path, given: Path, plain: bool, paint: bool) -> tuple[int, float]:
    """Label a given cloud; returns its number of points and the share on an object. Raises StorageError, ConfigError.

    A map that trained on after its objects were found is grouped anew.
    """
    from ig_ros import export

    if target.resolve() == given.resolve():
        raise ConfigError(f"{given} would be overwritten by its labelled copy: choose another --out")
    cloud = export.read_cloud(given)
    mapper, settings = open_map(home)
    frozen, snapshot = grouped(mapper, home)
    found = export.label_cloud(cloud, frozen, snapshot, None if plain else settings.language.accept)
    if found.coverage == 0:
        raise ConfigError(
            f"no point of {given} lies near an object of {home}: it must be in the map's frame and in metres"
        )
    points = export.labelled_cloud(cloud, found, paint)
    return export.write_ply(target, points, export.names_of(snapshot), cloud.faces), found.coverage


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
    from ig_ros.nodes.bag_writer import write_results

    mapper, _ = open_map(home)
    return write_results(target, with_objects(mapper.latest, home), mapper.keyframes.items)

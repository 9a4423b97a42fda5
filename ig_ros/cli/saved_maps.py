"""`ig info`, `ig query`, `ig ask`: what is in a saved map, and where in it an object is."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.markup import escape

from ig_ros.cli.app import AsJson, Exit, SavedMap, app, console, examples, map_home, print_json
from ig_ros.cli.output import busy, print_figures, print_objects
from ig_ros.errors import QueryError, StorageError

if TYPE_CHECKING:
    from ig_ros.config import Config
    from ig_ros.mapper import Mapper
    from ig_ros.named_objects import FrozenMap
    from ig_ros.types import MapSnapshot, QueryResult


class OpenMap(NamedTuple):
    """A map as it was saved; its objects are `mapper.latest`, None where none had been found yet."""

    mapper: Mapper  # on the CPU, without segmenter, with an encoder only where it was asked for
    settings: Config  # it was made with


def open_map(home: Path, with_words: bool = False) -> OpenMap:
    """Read a map; `with_words` loads its encoder, which takes seconds. Raises StorageError."""
    from ig_ros.map_io import load_map, read_snapshot
    from ig_ros.mapper import Mapper

    _, settings = read_snapshot(home)
    plain = dataclasses.replace(settings.segmentation, segmenter="none")
    words = settings.language if with_words else dataclasses.replace(settings.language, encoder="none")
    mapper = Mapper(dataclasses.replace(settings, segmentation=plain, language=words, device="cpu"))
    load_map(mapper, home)
    return OpenMap(mapper, settings)


def read_objects(home: Path) -> MapSnapshot:
    """Only the objects and points of a map, which is quicker. Raises StorageError, also where there are none yet."""
    from ig_ros.map_io import read_snapshot

    return with_objects(read_snapshot(home)[0], home)


def with_objects(snapshot: MapSnapshot | None, home: Path) -> MapSnapshot:
    """Raises StorageError for a map that was saved before its objects were found."""
    if snapshot is None:
        raise StorageError(f"{home} was saved before its first instantiation: it has no objects yet")
    return snapshot


def grouped(mapper: Mapper, home: Path) -> tuple[FrozenMap, MapSnapshot]:
    """Returns an open map frozen, and its objects with their Gaussians.

    They are found anew where the map trained on after they were found. Raises StorageError where there are none.
    """
    frozen, snapshot = mapper.freeze(), with_objects(mapper.latest, home)
    if snapshot.step != frozen.step or len(snapshot.xyz) != len(frozen.gaussians.means):
        return frozen, mapper.instantiate(frozen)
    return frozen, dataclasses.replace(snapshot, gaussians=frozen.gaussians)


INFO_EXAMPLES = examples("ig info out/map", "ig info out/map --json")


@app.command("info", epilog=INFO_EXAMPLES)
def info_command(directory: SavedMap, as_json: AsJson = False) -> None:
    """Show what is in a saved map: size, extent, cameras, objects, the parameters that are not the defaults."""
    from ig_ros.export.objects import object_entry

    home = map_home(directory)
    contents = open_map(home)
    objects = contents.mapper.latest.instances.objects if contents.mapper.latest else ()
    figures = describe(home, contents)
    if as_json:
        print_json(figures | {"objects": [object_entry(o, o.confidence) for o in objects]})
        return
    print_figures(str(home), figures)
    print_objects(f"{len(objects)} objects", [(o, None) for o in objects])


def describe(home: Path, contents: OpenMap) -> dict[str, Any]:
    """JSON-ready facts about an open map; lengths in metres, sizes in MB."""
    from ig_ros.config import chosen, to_dict
    from ig_ros.map_io import trained_on

    mapper, settings = contents
    latest = mapper.latest
    things = latest.instances.objects if latest else ()
    means = mapper.freeze().gaussians.means.detach().cpu().numpy()
    cameras = sorted({(k.camera.width, k.camera.height) for k in mapper.keyframes.items})
    return {
        "size_mb": round(sum(p.stat().st_size for p in home.iterdir()) / 1e6, 2),
        "steps": mapper.trainer.step,
        "trained_on": trained_on(home),
        "keyframes": len(mapper.keyframes),
        "images": ", ".join(f"{w}x{h}" for w, h in cameras),
        "with_masks": sum(k.masks is not None for k in mapper.keyframes.items),
        "anchors": len(mapper.scaffold.anchors),
        "gaussians": len(means),
        "extent_m": [round(float(v), 2) for v in np.ptp(means, axis=0)] if len(means) else [],
        "instances": len(things),
        "named": sum(bool(thing.label) for thing in things),
        "encoder": latest.instances.encoder if latest else "",
        "objects_of_step": latest.step if latest else None,
        "parameters": chosen(to_dict(settings)),
    }


QUERY_EXAMPLES = examples(
    'ig query out/map "something to read"',
    'ig query out/map "the mug left of the laptop" --json',
    "ig query out/map -",
)


@app.command("query", epilog=QUERY_EXAMPLES)
def query_command(
    directory: SavedMap,
    text: Annotated[str, typer.Argument(help='For example "the mug"; - reads a question from each line of stdin')],
    max_results: Annotated[int, typer.Option(min=1, help="At most so many objects")] = 3,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Leave out what scores less")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Ask a saved map for an object. Exit code 1 when nothing fits, or several do where one was asked for."""
    with busy(f"asking {directory}"):
        ask = opened(directory, max_results, min_score)
    if text != "-":
        raise typer.Exit(Exit.OK if tell(ask(text), text, as_json) else Exit.NO)
    told = [tell(ask(line), line, as_json) for line in map(str.strip, sys.stdin) if line]
    raise typer.Exit(Exit.OK if all(told) else Exit.NO)


@app.command("ask", epilog=examples("ig ask out/map"))
def ask_command(
    directory: SavedMap,
    max_results: Annotated[int, typer.Option(min=1, help="At most so many objects")] = 3,
) -> None:
    """Ask a saved map as often as you like: it stays loaded. An empty line or Ctrl-D ends."""
    with busy(f"opening {directory}"):
        ask = opened(directory, max_results, 0.0)
    while True:
        try:
            line = input("? ").strip()
        except EOFError:
            line = ""
        if not line:
            return
        try:
            tell(ask(line), line, False)
        except QueryError as error:
            console.print(f"[yellow]{escape(str(error))}[/yellow]", highlight=False, soft_wrap=True)


def opened(directory: Path, max_results: int, min_score: float) -> Callable[[str], QueryResult]:
    """Returns what answers questions about a saved map; its encoder is loaded. Raises StorageError."""
    from ig_ros.language import make_encoder, rank
    from ig_ros.map_io import read_snapshot

    snapshot, settings = read_snapshot(map_home(directory))
    words = settings.language
    encoder = make_encoder(words)
    return lambda text: rank(snapshot, text, encoder, words, max_results, min_score)


def tell(result: QueryResult, text: str, as_json: bool) -> bool:
    """Prints an answer; returns whether it is one."""
    from ig_ros.export.objects import query_entry
    from ig_ros.types import QueryStatus

    if as_json:
        print_json(query_entry(result))
    else:
        print_objects(result.message or text, [(hit.object, hit.score) for hit in result.hits])
    return result.status is QueryStatus.FOUND

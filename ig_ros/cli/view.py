"""`ig view`: a map on a web page, saved or while it is being made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ig_ros.cli.app import ConfigFile, Exit, Overrides, Segmenter, app, console, examples, map_home, read_config
from ig_ros.cli.output import busy
from ig_ros.cli.saved_maps import grouped, open_map
from ig_ros.errors import viewer_missing

if TYPE_CHECKING:
    from ig_ros.config import Config
    from ig_ros.viewer import LiveSource, SavedSource

POLL = 0.2  # s

EXAMPLES = examples(
    "ig view out/map", "ig view out/map --host 0.0.0.0 --port 9000", "ig view --live sim:tabletop --out out/map"
)


@app.command("view", epilog=EXAMPLES)
def view_command(
    what: Annotated[str, typer.Argument(metavar="MAP", help="A saved map; with --live a scene as for `ig map`")],
    live: Annotated[bool, typer.Option("--live", help="Map MAP, a scene, while it is looked at")] = False,
    host: Annotated[
        str, typer.Option(help="0.0.0.0: other machines may look, ask and click; no password")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 = any free one")] = 8080,
    most: Annotated[int, typer.Option(min=1, help="Gaussians sent at most; fewer for a weak browser")] = 200_000,
    seconds: Annotated[float, typer.Option(min=0, help="End after this long; 0 = at Ctrl-C")] = 0.0,
    rate: Annotated[float, typer.Option(min=0.01, help="--live: frames per second")] = 4.0,
    out: Annotated[Path | None, typer.Option(help="--live: save the map here at the end")] = None,
    segmenter: Segmenter = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Show a map on a web page: turn it, ask it, click an object. Ctrl-C ends it, with exit code 130.

    Everybody who opens the page shares query, selection and sliders.
    """
    try:
        from ig_ros.viewer import view
    except ModuleNotFoundError as error:
        raise viewer_missing(error) from error

    deadline = time.monotonic() + seconds if seconds else float("inf")
    extra = {"segmentation.segmenter": segmenter} if segmenter else {}
    settings = read_config(config, overrides, extra) if live else None
    with mapping(what, settings, rate, out) if settings else saved(Path(what)) as (source, feed):
        page, interrupted = view(source, host, port, most), False
        try:
            console.print(f"open {page.address} in a browser (Ctrl-C ends it)", highlight=False, soft_wrap=True)
            while time.monotonic() < deadline:
                feed()
        except KeyboardInterrupt:
            console.print("bye")
            interrupted = True
        finally:
            page.stop()
    if interrupted:
        raise typer.Exit(Exit.INTERRUPTED)


@contextmanager
def saved(directory: Path) -> Iterator[tuple[SavedSource, Callable[[], None]]]:
    """A map from disk with its Gaussians; where it was trained on after its objects were found, they are found anew."""
    from ig_ros.viewer import SavedSource

    home = map_home(directory)
    with busy(f"opening {directory}"):
        mapper, settings = open_map(home, with_words=True)
        _, snapshot = grouped(mapper, home)
    yield SavedSource(str(directory), snapshot, mapper.encoder, settings), lambda: time.sleep(POLL)


@contextmanager
def mapping(
    scene: str, settings: Config, rate: float, out: Path | None
) -> Iterator[tuple[LiveSource, Callable[[], None]]]:
    """A map that is made from a scene's frames: every call of the second value waits, then hands over the next one.

    Held-out frames only judge. Saved to `out` at the end, where that is given.
    """
    from ig_ros.datasets import open_dataset, split
    from ig_ros.live import LiveMapper
    from ig_ros.viewer import LiveSource

    dataset = open_dataset(scene)
    held_out = set(split(len(dataset))[1])
    mapper = LiveMapper(settings)
    source = LiveSource(dataset.name, mapper)
    places = iter(range(len(dataset)))

    def feed() -> None:
        time.sleep(1 / rate)
        place = next(places, None)
        if place is None:
            return
        if place in held_out:
            source.watch(dataset[place])
        else:
            mapper.submit(dataset[place])

    mapper.start()
    try:
        yield source, feed
        if out is not None:
            mapper.pause()  # objects and Gaussians of the same step
            mapper.instantiate().result()
            console.print(f"saved to {mapper.save(out / 'map').result()}", highlight=False)
    finally:
        mapper.stop()

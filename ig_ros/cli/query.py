"""`ig query`: ask a saved map for an object."""

from __future__ import annotations

from typing import Annotated

import typer

from ig_ros.cli.app import Exit, app, examples, print_json
from ig_ros.cli.options import AsJson, SavedMap, map_home
from ig_ros.cli.progress import busy
from ig_ros.cli.tables import print_objects

EXAMPLES = examples('ig query out/map "something to read"', 'ig query out/map "the mug left of the laptop" --json')


@app.command("query", epilog=EXAMPLES)
def query_command(
    directory: SavedMap,
    text: Annotated[str, typer.Argument(help='For example "the mug"')],
    max_results: Annotated[int, typer.Option(min=1, help="At most so many objects")] = 3,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Leave out what scores less")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Ask a saved map for an object. Exit code 1 when nothing fits."""
    from ig_ros.evaluation.outputs import query_entry
    from ig_ros.language import make_encoder
    from ig_ros.mapper import answer
    from ig_ros.storage import read_snapshot

    with busy(f"asking {directory}"):
        snapshot, settings = read_snapshot(map_home(directory))
        result = answer(snapshot, text, make_encoder(settings.language), settings, max_results, min_score)
    if as_json:
        print_json(query_entry(result))
    else:
        print_objects(result.message or text, [(hit.object, hit.score) for hit in result.hits])
    raise typer.Exit(Exit.OK if result.hits else Exit.NO)

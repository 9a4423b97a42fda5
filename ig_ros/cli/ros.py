"""The commands that need ROS: `ig play`, `ig node`, `ig demo`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ig_ros.cli.app import AsJson, SceneArgument, Segmenter, app, examples, print_json
from ig_ros.cli.output import counting
from ig_ros.errors import ConfigError

TO_ROS = {"allow_extra_args": True, "ignore_unknown_options": True}  # --ros-args and what follows

PLAY_EXAMPLES = examples(
    "ig play sim:tabletop --rate 10",
    "ig play sim:tabletop --record out/tabletop.mcap",
    "ig play FOLDER --hold-out --no-masks --ros-args -r image:=/camera/color/image_raw",
)
NODE_EXAMPLES = examples("ig node", "ig node --ros-args --params-file config/mapping.yaml -p segmenter:=geometric")
DEMO_EXAMPLES = examples("ig demo", "ig demo --scene FOLDER --segmenter geometric --seconds 240")


@app.command("play", epilog=PLAY_EXAMPLES, context_settings=TO_ROS)
def play_command(
    context: typer.Context,
    scene: SceneArgument,
    rate: Annotated[float | None, typer.Option(help="Frames per second (10 unless told)")] = None,
    loops: Annotated[int | None, typer.Option(min=1, help="Times through the dataset (once unless told)")] = None,
    max_frames: Annotated[int | None, typer.Option(min=0, help="Stop after so many, 0 = all")] = None,
    wait: Annotated[float | None, typer.Option(min=0, help="Seconds to wait for somebody who listens")] = None,
    record: Annotated[
        Path | None, typer.Option(help="Write a bag, OUT.mcap or a folder, as fast as it goes, instead of publishing")
    ] = None,
    hold_out: Annotated[bool, typer.Option("--hold-out", help="Leave out every 8th frame")] = False,
    depth: Annotated[bool, typer.Option(help="Depth images, where there are any")] = True,
    masks: Annotated[bool, typer.Option(help="Masks, where there are any")] = True,
    as_json: AsJson = False,
) -> None:
    """Publish a dataset over ROS as a robot would, or record it; --ros-args and what follows goes to ROS.

    Ctrl-C ends it with exit code 130; a recording keeps what it has.
    """
    from ig_ros.datasets import open_dataset
    from ig_ros.nodes.player import PlayOptions, chosen_places, play
    from ig_ros.nodes.player import record as write_bag

    given: dict[str, Any] = {"rate": rate, "loops": loops, "max_frames": max_frames, "wait": wait}
    options = replace(
        PlayOptions(hold_out=hold_out, depth=depth, masks=masks, record=str(record or "")),
        **{name: value for name, value in given.items() if value is not None},
    )
    if options.rate <= 0:
        raise ConfigError(f"--rate {options.rate:g}: frames per second must be positive")
    dataset = open_dataset(scene)
    total = sum(1 for _ in chosen_places(len(dataset), options))
    with counting(total, f"{'recording' if record else 'playing'} {dataset.name}") as done:
        frames = write_bag(dataset, options, done) if record else play(dataset, options, context.args, done)
    if as_json:
        print_json({"frames": frames, "record": options.record or None})
    else:
        typer.echo(f"{frames} frames {f'written to {record}' if record else 'published'}")


@app.command("node", epilog=NODE_EXAMPLES, context_settings=TO_ROS)
def node_command(context: typer.Context) -> None:
    """Run the mapping node; arguments go to ROS, e.g. ig node --ros-args --params-file config/mapping.yaml."""
    from ig_ros.nodes.mapping_node import main as node_main

    node_main(context.args)


@app.command("demo", epilog=DEMO_EXAMPLES)
def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the table and pictures")] = Path("out"),
    scene: Annotated[str, typer.Option(help="What the robot looks at")] = "sim:tabletop?width=320",
    seconds: Annotated[float, typer.Option(min=10, help="How long to map")] = 100.0,
    segmenter: Segmenter = None,
) -> None:
    """A robot camera, the mapping node and a planner that asks for an object: three processes over DDS."""
    from ig_ros.cli.demo import run_demo

    raise typer.Exit(run_demo(scene, seconds, out, segmenter or "none"))

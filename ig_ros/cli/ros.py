"""The commands that need ROS: `ig play`, `ig node`, `ig demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ig_ros.cli.app import app
from ig_ros.cli.options import Segmenter


@app.command("play", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def play_command(context: typer.Context) -> None:
    """Publish a dataset over ROS: ig play SCENE [--rate 10] [--hold-out] [--no-depth] [--no-masks] [--loops 1].

    With --record OUT.mcap the same messages go into a bag instead, as fast as they come.
    """
    from ig_ros.nodes.environment import prepare_process

    prepare_process()
    from ig_ros.nodes.player import main as player_main

    raise typer.Exit(player_main(context.args))


@app.command("node", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def node_command(context: typer.Context) -> None:
    """Run the mapping node; arguments go to ROS, e.g. ig node --ros-args --params-file config/mapping.yaml."""
    from ig_ros.nodes.environment import prepare_process

    prepare_process()
    from ig_ros.nodes.mapping_node import main as node_main

    raise typer.Exit(node_main(context.args))


@app.command("demo")
def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the table and pictures")] = Path("out"),
    scene: Annotated[str, typer.Option(help="What the robot looks at")] = "sim:tabletop?width=320",
    seconds: Annotated[float, typer.Option(min=10, help="How long to map")] = 100.0,
    segmenter: Segmenter = None,
) -> None:
    """A robot camera, the mapping node and a planner that asks for an object: three processes over DDS."""
    from ig_ros.nodes.environment import prepare_process

    prepare_process()
    from ig_ros.demo import run_demo

    raise typer.Exit(run_demo(scene, seconds, out, segmenter or "none"))

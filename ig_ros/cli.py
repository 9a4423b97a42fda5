"""The `ig` command: map a dataset, ask a saved map, play a dataset over ROS, run the node, run the demo.

Heavy imports happen inside the commands, after the environment they depend on is set.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ig_ros.config import Config, build
from ig_ros.errors import ConfigError, IgError, StorageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Online open-vocabulary 3D instance mapping.",
)
console = Console(stderr=True)

Scene = Annotated[
    str,
    typer.Argument(
        help="A recorded folder, a rosbag2 (.mcap, .db3) or a simulated scene: sim:tabletop, sim:room?seed=3"
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Any parameter, e.g. --set training.seed=3 (repeatable)")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of parameters, plain or as for the node")]
Segmenter = Annotated[str | None, typer.Option(help="Masks for frames without any: none, geometric or sam")]


@app.command("map")
def map_command(
    scene: Scene,
    out: Annotated[Path, typer.Option(help="Folder for the results")] = Path("out/map"),
    seconds: Annotated[float, typer.Option(min=0, help="Map for this long")] = 0.0,
    steps: Annotated[int, typer.Option(min=0, help="... or for this many training steps")] = 0,
    depth: Annotated[bool, typer.Option(help="Use the depth images")] = True,
    segmenter: Segmenter = None,
    image: Annotated[str | None, typer.Option(help="Bags: colour image topic, raw or compressed")] = None,
    pose: Annotated[str | None, typer.Option(help="Bags: topic of poses or odometry, or tf")] = None,
    depth_image: Annotated[str | None, typer.Option(help="Bags: depth topic, or none")] = None,
    camera_info: Annotated[str | None, typer.Option(help="Bags: calibration topic")] = None,
    masks: Annotated[str | None, typer.Option(help="Bags: topic of SegmentedImage, or none")] = None,
    pose_frame: Annotated[
        str | None, typer.Option(help="Bags: whose poses: optical (z forward), body (x forward) or a tf frame")
    ] = None,
    map_frame: Annotated[str | None, typer.Option(help="Bags: frame of the map, with --pose tf")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON instead of a table")] = False,
) -> None:
    """Map a dataset without ROS and write the labelled cloud, objects, held-out pictures and figures.

    Every eighth frame (place i with i % 8 == 7) is held out. Without --seconds or --steps it maps for 120 s.
    """
    from ig_ros.datasets import open_dataset, split, with_topics
    from ig_ros.evaluation.offline import Budget, MappingProgress, evaluate, map_dataset, query_score
    from ig_ros.evaluation.outputs import write_outputs
    from ig_ros.evaluation.pictures import write_pictures
    from ig_ros.mapper import Mapper
    from ig_ros.storage import save_map

    settings = read_config(
        config, overrides, {"input.use_depth": depth} | ({"segmentation.segmenter": segmenter} if segmenter else {})
    )
    topics = {
        "image": image, "pose": pose, "depth": depth_image, "camera_info": camera_info, "masks": masks,
        "pose_frame": pose_frame, "map_frame": map_frame,
    }  # fmt: skip
    dataset = open_dataset(with_topics(scene, topics))
    make_folder(out)  # before minutes of mapping, not after
    mapper = Mapper(settings)
    train, _ = split(len(dataset))
    budget = Budget(seconds=0.0 if steps else (seconds or 120.0), steps=steps)
    with progress_bar() as bar:
        task = bar.add_task(f"mapping {dataset.name}", total=1.0, detail="")

        def report(p: MappingProgress) -> None:
            detail = f"{p.frames}/{len(train)} frames, step {p.steps}, loss {p.loss:.3f}, {p.anchors} anchors"
            bar.update(task, completed=p.share, detail=detail)

        dropped = map_dataset(mapper, dataset, train, budget, report)
    snapshot, views, figures = evaluate(mapper, dataset)
    figures["dropped"] = dropped
    figures["language"] = query_score(mapper, dataset, snapshot)
    write_outputs(out, snapshot, views, figures)
    write_pictures(out, snapshot, views)
    save_map(mapper, out / "map")
    if as_json:
        print(json.dumps(figures))
        return
    print_figures(f"{dataset.name} -> {out}", figures)


@app.command("query")
def query_command(
    directory: Annotated[Path, typer.Argument(help="What `ig map --out` or the node's save_map wrote")],
    text: Annotated[str, typer.Argument(help='For example "the mug"')],
    max_results: Annotated[int, typer.Option(min=1)] = 3,
    min_score: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Ask a saved map for an object. Exit code 1 when nothing fits."""
    from ig_ros.evaluation.outputs import query_entry
    from ig_ros.language import make_encoder
    from ig_ros.mapper import answer
    from ig_ros.storage import MANIFEST, read_snapshot

    home = directory if (directory / MANIFEST).exists() else directory / "map"
    snapshot, settings = read_snapshot(home)
    result = answer(snapshot, text, make_encoder(settings.language), settings, max_results, min_score)
    if as_json:
        print(json.dumps(query_entry(result)))
    else:
        table = Table(
            "id", "label", "score", "confidence", "views", "position (m)", "size (m)", title=result.message or text
        )
        for hit in result.hits:
            o = hit.object
            position, size = (" ".join(f"{v:.3f}" for v in a) for a in (o.T_world_box[:3, 3], o.size))
            table.add_row(str(o.id), o.label, f"{hit.score:.2f}", f"{o.confidence:.2f}", str(o.views), position, size)
        Console().print(table)
    raise typer.Exit(0 if result.hits else 1)


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


def make_folder(path: Path) -> None:
    """Create a folder for results. Raises StorageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {path}: {error.strerror or error}: choose another --out") from error


def progress_bar() -> Progress:
    """A bar with the time left and one line of details, on stderr."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[detail]}"), console=console)


def read_config(path: Path | None, overrides: list[str] | None, extra: dict[str, Any]) -> Config:
    """Defaults, then the file, then --set, then the command's own options. Raises ConfigError."""
    import yaml

    from ig_ros.config import read_yaml

    values = read_yaml(path) if path else {}
    for item in overrides or []:
        key, equals, text = item.partition("=")
        if not equals:
            raise ConfigError(f"--set wants name=value, got {item!r}")
        values[key] = yaml.safe_load(text)
    config: Config = build(Config, {**values, **extra})
    return config


def print_figures(title: str, figures: dict[str, Any]) -> None:
    """A flat table of every scalar figure."""
    table = Table("figure", "value", title=title)
    for key, value in figures.items():
        if isinstance(value, dict):
            for inner, v in value.items():
                if not isinstance(v, dict | list):
                    table.add_row(f"{key}.{inner}", str(v))
        else:
            table.add_row(key, str(value))
    Console().print(table)


def main() -> None:
    """Entry point: every expected error becomes one line and exit code 2; Ctrl-C is exit code 130."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: spinning threads starve the other processes
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except IgError as error:
        console.print(f"[red]ig:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()

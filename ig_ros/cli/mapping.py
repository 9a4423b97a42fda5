"""`ig map`: map a dataset without ROS, judge the map, leave everything in one folder."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from ig_ros.cli.app import (
    AsJson,
    ConfigFile,
    Exit,
    Overrides,
    SceneArgument,
    Segmenter,
    StopSign,
    app,
    console,
    examples,
    make_folder,
    print_json,
    read_config,
)
from ig_ros.cli.output import Rate, print_figures, progress_bar, track
from ig_ros.errors import DatasetError

if TYPE_CHECKING:
    from ig_ros.datasets import Dataset
    from ig_ros.evaluation.offline import Budget
    from ig_ros.mapper import Mapper
    from ig_ros.report import History

WATCHED = 2  # unseen views that are rendered now and then while the map trains, for the report's curve

EXAMPLES = examples(
    "ig map sim:tabletop --seconds 120",
    "ig map BAG.mcap --image /camera/color/image_raw --pose /slam/pose --out out/lab",
    "ig map FOLDER --no-depth --set training.seed=3 --json",
)


@app.command("map", epilog=EXAMPLES)
def map_command(
    scene: SceneArgument,
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
    ignore_mask: Annotated[
        Path | None, typer.Option(help="Image whose pixels other than 0 never show the scene: the robot's own arm")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    report: Annotated[bool, typer.Option(help="Leave report.html: curves, pictures, objects, timings")] = True,
    strict: Annotated[bool, typer.Option(help="Exit code 1 where a frame or its depth had to be left out")] = False,
    as_json: AsJson = False,
) -> None:
    """Map a dataset without ROS and write the labelled cloud, objects, held-out pictures, figures and a report.

    Every eighth frame (place i with i % 8 == 7) is held out. Without --seconds or --steps it maps for 120 s. Ctrl-C
    ends the mapping early: what is there is judged and saved, and the exit code is 130. Broken and missing files are
    left out, counted and said at the end.
    """
    from ig_ros.datasets import faults_of, open_dataset, with_topics
    from ig_ros.datasets.ignoring import IgnoringDataset
    from ig_ros.evaluation.offline import Budget
    from ig_ros.ignored import IgnoreMask
    from ig_ros.mapper import Mapper

    settings = read_config(
        config, overrides, {"input.use_depth": depth} | ({"segmentation.segmenter": segmenter} if segmenter else {})
    )
    topics = {
        "image": image, "pose": pose, "depth": depth_image, "camera_info": camera_info, "masks": masks,
        "pose_frame": pose_frame, "map_frame": map_frame,
    }  # fmt: skip
    dataset = open_dataset(with_topics(scene, topics))
    if ignore_mask is not None:
        dataset = IgnoringDataset(dataset, IgnoreMask.read(str(ignore_mask), "--ignore-mask"))
    if chosen := getattr(dataset, "chosen", ""):
        console.print(chosen, highlight=False, soft_wrap=True)
    make_folder(out)  # before minutes of mapping, not after
    budget = Budget(seconds=0.0 if steps else (seconds or 120.0), steps=steps)
    figures = run(Mapper(settings), dataset, budget, out, report)
    if as_json:
        print_json(figures)
    else:
        print_figures(f"{dataset.name} -> {out}", figures)
        if report:
            console.print(f"report: {out}/report.html", highlight=False)
    faults = faults_of(dataset)
    if faults.found:
        console.print(f"[yellow]left out:[/yellow] {escape(str(faults))}", highlight=False, soft_wrap=True)
    failed = Exit.NO if strict and faults.found else Exit.OK
    raise typer.Exit(Exit.INTERRUPTED if figures["interrupted"] else failed)


def run(mapper: Mapper, dataset: Dataset, budget: Budget, out: Path, report: bool) -> dict[str, Any]:
    """Map, group, save, judge and write; returns the figures. The map is saved before anything else can fail."""
    from ig_ros.datasets import faults_of, split
    from ig_ros.evaluation.held_out import render_all
    from ig_ros.evaluation.offline import query_score, score
    from ig_ros.map_io import save_map
    from ig_ros.report import History, Report, write_report
    from ig_ros.report.outputs import write_outputs, write_pictures

    stopwatch = Stopwatch()
    train, held_out = split(len(dataset))
    faults, watched = faults_of(dataset), held_out[:: max(1, len(held_out) // WATCHED)][:WATCHED]
    frames = (faults.attempt(partial(dataset.__getitem__, i)) for i in watched)
    history = History(mapper, [frame for frame in frames if frame is not None])
    with StopSign() as stop:
        dropped = train_under_bar(mapper, dataset, train, budget, history, stop)
    stopwatch.lap("mapping")
    if not len(mapper.keyframes) and not stop.raised:
        raise DatasetError(f"no frame of {dataset.name} could be used: {str(faults) or dropped or 'it has none'}")
    frozen = mapper.freeze()
    snapshot = mapper.instantiate(frozen)
    stopwatch.lap("instantiation")
    save_map(mapper, out / "map")
    stopwatch.lap("saving")
    seen = render_all(mapper, frozen, snapshot, dataset, track(held_out, "held-out views"))
    views = list(seen.values())
    stopwatch.lap("held_out")
    figures = score(mapper, dataset, snapshot, seen)
    figures |= {
        "dropped": dropped | faults.counts(),
        "interrupted": stop.raised,
        "language": query_score(mapper, dataset, snapshot),
    }
    stopwatch.lap("scoring")
    figures["seconds"] = stopwatch.seconds
    figures["steps_per_second"] = round(mapper.trainer.step / max(stopwatch.seconds["mapping"], 1e-3), 2)
    write_outputs(out, snapshot, views, figures)
    write_pictures(out, snapshot, views)
    if report:
        write_report(out, Report(dataset.name, shlex.join(["ig", *sys.argv[1:]]), figures, history), mapper, views)
    return figures


def train_under_bar(
    mapper: Mapper, dataset: Dataset, places: Sequence[int], budget: Budget, history: History, stop: StopSign
) -> dict[str, int]:
    """Feed and train behind a progress bar; returns frames dropped by cause."""
    from ig_ros.evaluation.offline import MappingProgress, map_dataset

    rate = Rate()
    with progress_bar() as bar:
        task = bar.add_task(f"mapping {dataset.name}", total=1.0, detail="")

        def show(p: MappingProgress) -> None:
            history.note(p)
            detail = (
                f"{rate(p.steps):.1f} steps/s, {p.frames}/{len(places)} frames, step {p.steps}, loss {p.loss:.3f}, "
                f"{p.anchors} anchors"
            )
            bar.update(task, completed=p.share, detail=detail)

        return map_dataset(mapper, dataset, places, budget, show, stop)


class Stopwatch:
    """Seconds that each part of a command took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """Everything since the last lap was `part`."""
        now = time.perf_counter()
        self.seconds[part] = round(now - self._last, 3)
        self._last = now

"""`ig map`: map a dataset without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ig_ros.cli.app import app, print_json
from ig_ros.cli.options import AsJson, ConfigFile, Overrides, Scene, Segmenter, make_folder, read_config
from ig_ros.cli.progress import progress_bar
from ig_ros.cli.tables import print_figures


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
    as_json: AsJson = False,
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
        print_json(figures)
        return
    print_figures(f"{dataset.name} -> {out}", figures)

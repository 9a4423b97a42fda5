"""The geometric segmenter on the kitchen's Kinect frames: a table, out/segmenter.json, and pictures.

    python -m benchmarks.segmenter [--data shared/data/kitchen] [--steps 400] [--pictures docs]

First every fourth image by itself (are the things apart from the table? how fast?), then a map of all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
from rich.console import Console
from rich.table import Table

from benchmarks.segmenter.kitchen import FOLDER, THINGS
from benchmarks.segmenter.pictures import mask_picture, object_picture
from benchmarks.segmenter.single import Single, color_rate, look
from benchmarks.segmenter.whole import Whole, judge, map_kitchen
from ig_ros.config import SegmentationConfig
from ig_ros.datasets import open_dataset
from ig_ros.segmentation import make_segmenter

GOAL_HZ = 5.0  # images per second of the wall clock, on two cores
SHOWN = (0, 54, 68, 82)  # frames in the pictures: the whole table, both mugs, box, controller


def main() -> int:
    """Print the table and write the figures; 1 where there is no data, or below GOAL_HZ with depth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--steps", type=int, default=400, help="training steps of the map, 0 = no map")
    parser.add_argument("--out", type=Path, default=Path("out/segmenter.json"))
    parser.add_argument("--pictures", type=Path, help="folder for segmenter_kitchen*.png")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.stderr.write(f"no kitchen frames at {arguments.data}: see shared/data\n")
        return 1
    dataset = open_dataset(arguments.data)
    segmenter = make_segmenter(SegmentationConfig(segmenter="geometric"))
    assert segmenter is not None
    frames = [dataset[i] for i in range(0, len(dataset), 4)]
    single, without_depth = look(segmenter, frames), color_rate(segmenter, frames[:8])
    shown = [dataset[i] for i in SHOWN if i < len(dataset)]
    pictures = {"segmenter_kitchen.png": mask_picture(shown, segmenter)}
    whole = None
    if arguments.steps:
        _, snapshot, seconds = map_kitchen(dataset, arguments.steps)
        whole = judge(snapshot, seconds)
        pictures["segmenter_kitchen_map.png"] = object_picture(shown, snapshot)
    if arguments.pictures:
        for name, picture in pictures.items():
            cv2.imwrite(str(arguments.pictures / name), picture[..., ::-1])
    report(single, without_depth, whole, arguments.out)
    if single.rate < GOAL_HZ:
        sys.stderr.write(f"{single.rate:.1f} images per second, the goal is {GOAL_HZ:g}\n")
        return 1
    return 0


def report(single: Single, without_depth: float, whole: Whole | None, out: Path) -> None:
    """Table and file."""
    figures = {"rate_hz": round(single.rate, 1), "cpu_rate_hz": round(single.cpu_rate, 1),
               "rgb_only_rate_hz": round(without_depth, 1),
               "table_in_one_mask": "{} of {} images that show two points of it or more".format(*single.table),
               "frames": len(single.tables), "seen": single.seen, "apart": single.apart}  # fmt: skip
    table = Table("thing", "images that show it", "a mask of its own", "an object of its own", "its Gaussians")
    for name in THINGS:
        mapped = ("-", "-") if whole is None else ("yes" if whole.apart[name] else "no", str(whole.shares[name]))
        table.add_row(name, str(single.seen[name]), str(single.apart[name]), *mapped)
    if whole is not None:
        figures |= {"objects": whole.ids, "table": whole.table, "map_seconds": round(whole.seconds, 1),
                    "things_apart": sum(whole.apart.values())}  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=1))
    console = Console(width=120)
    console.print(table)
    console.print(figures)


if __name__ == "__main__":
    sys.exit(main())

"""python -m benchmarks.bench.gpu [--device cuda] [--out docs/gpu_report.md]: the same functions on a CUDA GPU.

Training steps a second on a map of 300,000 Gaussians at 648x484, the time that a 30,000-step schedule would take at
that rate, and the time of an instantiation. Without a GPU the report says so, and what it would have measured.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.bench.instantiation import scene_of
from ig_ros.config import Config
from ig_ros.datasets import open_dataset, split
from ig_ros.evaluation.offline import Budget, map_dataset
from ig_ros.instances import Identity, Instantiator
from ig_ros.mapper import Mapper
from ig_ros.raster import cuda

SCENE = "sim:room?seed=1&width=648"
GOALS = {
    "steps_per_s": "training steps a second at 648 px, 300,000 Gaussians: >= 100",
    "schedule_s": "30,000 steps at that rate, s: <= 300",
    "instantiation_s": "instantiation of that map, s (goal for 1,000,000 Gaussians: <= 0.3)",
    "gaussians": "Gaussians of the map",
    "peak_mb": "memory held on the GPU, MB",
}


def measure(
    device: str, scene: str = SCENE, frames: int = 40, voxel: float = 0.015, steps: int = 300
) -> dict[str, float]:
    """Figures of one machine; runs on any device, so that tests can hold it to work without a GPU."""
    config = Config.from_dict({"device": device, "language.encoder": "none", "seeding.voxel": voxel})
    mapper = Mapper(config)
    dataset = open_dataset(scene)
    train, _ = split(len(dataset))
    map_dataset(mapper, dataset, train[:: max(1, len(train) // frames)], Budget(steps=max(steps // 3, 1)))
    _finish(device)
    begin = time.perf_counter()
    for _ in range(steps):
        mapper.train_step()
    _finish(device)
    rate = steps / (time.perf_counter() - begin)
    found = scene_of(mapper)
    begin = time.perf_counter()
    Instantiator().run(found.points, found.children, found.views, Identity(), config.instances)
    took = time.perf_counter() - begin
    memory = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else 0.0
    return {
        "steps_per_s": rate,
        "schedule_s": 30_000 / rate,
        "instantiation_s": took,
        "gaussians": len(mapper.scaffold.anchors) * config.scaffold.children,
        "peak_mb": memory,
    }


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def report(figures: dict[str, float] | None, reason: str = "") -> str:
    """The page."""
    lines = ["# GPU report", "", "Written by `scripts/gpu_check.sh` (`python -m benchmarks.bench.gpu`).", ""]
    if figures is None:
        lines += [f"**Not measured**: {reason}. What would have been:", ""]
        lines += [f"- {text}" for text in GOALS.values()]
    else:
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "CPU"
        lines += [f"On {name}, torch {torch.__version__}.", "", "| figure | measured |", "| --- | ---: |"]
        lines += [f"| {text} | {figures[key]:.4g} |" for key, text in GOALS.items()]
    return "\n".join([*lines, ""])


def why_not() -> str:
    """What keeps this machine from measuring, "" if nothing does."""
    if not torch.cuda.is_available():
        return "this machine has no CUDA GPU that torch can use"
    if not cuda.installed():
        return "gsplat is not installed"
    return ""


def main(arguments: Sequence[str]) -> int:
    """Write the report; 1 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/gpu_report.md"))
    given = parser.parse_args(arguments)
    reason = why_not()
    text = report(None, reason) if reason else report(measure("cuda"))
    given.out.write_text(text)
    print(text)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

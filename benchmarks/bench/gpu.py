"""python -m benchmarks.bench.gpu [--device cuda] [--out docs/gpu_report.md]: the same functions on a CUDA GPU.

Training steps a second on a map of 300,000 Gaussians at 648x484, the time that a 30,000-step schedule would take at
that rate, instantiations of that map and of 1,000,000 Gaussians, and how many frames a second a stream brings in while
the map trains. Without a GPU the report says so, and what it would have measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.bench.instantiation import Scene, cut, scene_of, tiled
from ig_ros.config import Config
from ig_ros.datasets import Dataset, open_dataset, split
from ig_ros.evaluation.offline import Budget, map_dataset
from ig_ros.instances import Instantiator, ObjectTracker
from ig_ros.live import LiveMapper
from ig_ros.mapper import Mapper
from ig_ros.raster import gsplat_backend

EXISTS = (
    ("one projection and sort for colour and gated features", "gsplat's own Python, its kernels played on the host"),
    ("whole training steps: gsplat, decoder, losses and Adam in torch", "the same, held to the CPU's kernels"),
    ("mapping, objects, saving, rendering, these measurements", "a pretended device that refuses what a GPU refuses"),
    ("largest contributor of a pixel, and instantiation", "computed on the CPU"),
    ("gsplat's packed form, mixed precision, CUDA graphs", "not there"),
)
SCENE = "sim:room?seed=1&width=648"  # trained at that width
RATE = 30.0  # Hz, of the stream


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    gaussians: int = 300_000  # of the map: no anchors are added beyond them
    many: int = 1_000_000  # of the large instantiation
    frames: int = 40
    voxel: float = 0.01  # m, fine enough that the map fills its budget
    steps: int = 300
    stream_s: float = 20.0


PLAN = Plan()
GOALS = {
    "steps_per_s": "training steps a second at 648 px, 300,000 Gaussians: >= 200",
    "schedule_s": "30,000 steps at that rate, s: <= 180",
    "instantiation_s": "instantiation of that map, s",
    "instantiation_many_s": "instantiation of 1,000,000 Gaussians (copies of that map side by side), s: <= 0.5",
    "stream_fps": "frames a second taken from a stream while training: >= 30",
    "gaussians": "Gaussians of the map",
    "gaussians_many": "Gaussians of the large instantiation",
    "peak_mb": "memory held on the GPU, MB",
}


def measure(device: str, scene: str = SCENE, plan: Plan = PLAN) -> dict[str, float]:
    """Figures of one machine; runs on any device, so that tests can hold it to work without a GPU."""
    dataset = open_dataset(scene)
    settings = {
        "device": device,
        "language.encoder": "none",
        "seeding.voxel": plan.voxel,
        "input.max_width": dataset[0].camera.width,
    }
    children = Config().scaffold.children
    config = Config.from_dict(settings | {"seeding.max_anchors": plan.gaussians // children})
    mapper, steps, frames = Mapper(config), plan.steps, plan.frames
    train, _ = split(len(dataset))
    map_dataset(mapper, dataset, train[:: max(1, len(train) // frames)], Budget(steps=max(steps // 3, 1)))
    _finish(device)
    begin = time.perf_counter()
    for _ in range(steps):
        mapper.train_step()
    _finish(device)
    rate = steps / (time.perf_counter() - begin)
    found = scene_of(mapper)
    many = cut(tiled(found, plan.many), plan.many)
    memory = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else 0.0
    return {
        "steps_per_s": rate,
        "schedule_s": 30_000 / rate,
        "instantiation_s": instantiated(found, config),
        "instantiation_many_s": instantiated(many, config),
        "stream_fps": streamed(mapper, config, dataset, plan.stream_s),
        "gaussians": len(mapper.scaffold.anchors) * children,
        "gaussians_many": len(many.children.xyz),
        "peak_mb": memory,
    }


def instantiated(scene: Scene, config: Config) -> float:
    """Seconds of a first run."""
    begin = time.perf_counter()
    Instantiator().run(scene.points, scene.children, scene.views, ObjectTracker(), config.instances)
    return time.perf_counter() - begin


def streamed(mapper: Mapper, config: Config, dataset: Dataset, seconds: float) -> float:
    """Frames a second that the mapper takes in while it trains, of a stream of 30 Hz."""
    frames = [dataset[i] for i in range(min(len(dataset), 60))]
    newest = max((keyframe.stamp for keyframe in mapper.keyframes.items), default=0)
    live = LiveMapper(config, mapper)
    live.start()
    sent, begin = 0, time.perf_counter()
    while (now := time.perf_counter() - begin) < seconds:
        if now * RATE < sent:
            time.sleep(sent / RATE - now)
        stamp = newest + round((sent + 1) / RATE * 1e9)
        live.submit(dataclasses.replace(frames[sent % len(frames)], stamp=stamp))
        sent += 1
    stats, took = live.stats(), time.perf_counter() - begin
    live.stop(10.0)
    return (stats.frames_in - stats.dropped.get("inbox_full", 0)) / took


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
    lines += ["", "What exists for CUDA, and what it was tried on:", "", "| part | tried on |", "| --- | --- |"]
    lines += [f"| {part} | {tried} |" for part, tried in EXISTS]
    return "\n".join([*lines, ""])


def why_not() -> str:
    """What keeps this machine from measuring, "" if nothing does."""
    if not torch.cuda.is_available():
        return "this machine has no CUDA GPU that torch can use"
    if not gsplat_backend.installed():
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

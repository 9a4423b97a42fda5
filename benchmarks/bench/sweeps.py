"""Cost as work grows: time and memory over Gaussians, resolution, instances and keyframes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullLocator

from benchmarks.bench.clock import exponent, seconds
from benchmarks.bench.instantiation import SUB_OBJECTS, Scene, cut, scene_of, tiled
from benchmarks.bench.maps import ROOM, trained
from benchmarks.bench.memory import peak_growth
from benchmarks.bench.raster import both_ways, ours, scene
from ig_ros.config import Config, InstanceConfig
from ig_ros.instances import Instantiator, ObjectTracker
from ig_ros.language import make_encoder, rank
from ig_ros.types import Instances, MapSnapshot, ObjectInstance


@dataclass(frozen=True, slots=True)
class Sweep:
    """One cost over one size."""

    name: str
    unit: str  # of the size
    sizes: Sequence[float]
    measure: Callable[[float], tuple[float, float]]  # size -> seconds, MB


def measure(quick: bool) -> dict[str, Any]:
    """{sweep: {size: [...], ms: [...], mb: [...], exponent: e}}."""
    mapper = trained(ROOM, 20 if quick else 500, 24 if quick else 400)
    whole, config = scene_of(mapper), dataclasses.replace(mapper.config.instances, sub_objects=SUB_OBJECTS)
    few = quick
    sweeps = [
        Sweep("raster, Gaussians", "Gaussians", [1e4, 3e4] if few else [1e4, 3e4, 1e5, 2.5e5, 5e5], rastered),
        Sweep(
            "raster, pixels",
            "pixels",
            [w * w * 0.75 for w in ((160, 320) if few else (160, 320, 640, 960, 1280))],
            lambda pixels: rastered(2e4, pixels),
        ),
        Sweep(
            "instantiation, Gaussians",
            "Gaussians",
            [5e3, 1e4] if few else [1e4, 3e4, 1e5, len(whole.children.xyz), 5e5],
            lambda n: instantiated(of_size(whole, int(n)), config),
        ),
        Sweep(
            "instantiation, sub-objects",
            "sub-objects",
            [100, 200] if few else [250, 500, 1000, 2000, 4000],
            lambda s: instantiated(whole, dataclasses.replace(config, sub_objects=int(s))),
        ),
        Sweep(
            "instantiation, keyframes",
            "keyframes",
            [10, 20] if few else [10, 30, 100, 300, 1000],
            lambda n: instantiated(of_views(whole, int(n)), config),
        ),
        Sweep("query, instances", "instances", [10, 100] if few else [10, 30, 100, 300, 1000], queried),
    ]
    return {"sweeps": {sweep.name: swept(sweep) for sweep in sweeps}}


def swept(sweep: Sweep) -> dict[str, Any]:
    """Times, memory and the fitted exponent."""
    rows = [sweep.measure(size) for size in sweep.sizes]
    times = [time for time, _ in rows]
    return {
        "unit": sweep.unit,
        "size": [int(s) for s in sweep.sizes],
        "ms": [1e3 * t for t in times],
        "mb": [mb for _, mb in rows],
        "exponent": exponent(list(sweep.sizes), times),
    }


def rastered(gaussians: float, pixels: float = 320 * 240) -> tuple[float, float]:
    """Forward and backward over as many visible Gaussians and pixels (4:3)."""
    width = round(float(np.sqrt(pixels / 0.75)))
    size = (width, round(0.75 * width))
    g, T, view, _ = scene(int(gaussians), size)
    run = both_ways(ours(T, view), g, size)
    mb = peak_growth(run)
    return seconds(run, 5, 2), mb


def instantiated(scene_: Scene, config: InstanceConfig) -> tuple[float, float]:
    """A first run."""

    def run() -> None:
        Instantiator().run(scene_.points, scene_.children, scene_.views, ObjectTracker(), config)

    mb = peak_growth(run)
    return seconds(run, 1, 0), mb


def of_size(scene_: Scene, size: int) -> Scene:
    """A part of the scene, or of copies of it side by side, with about `size` Gaussians."""
    return cut(scene_ if size <= len(scene_.children.xyz) else tiled(scene_, size), size)


def of_views(scene_: Scene, count: int) -> Scene:
    """The scene seen by `count` views, evenly chosen from its own; where those are too few, they are seen again."""
    views = len(scene_.views)
    places = np.linspace(0, views - 1, count).round().astype(int) if count <= views else np.arange(count) % views
    return dataclasses.replace(scene_, views=tuple(scene_.views[i] for i in places.tolist()))


def queried(instances: float) -> tuple[float, float]:
    """A question that was asked before, to a map of as many objects."""
    config = Config().language
    encoder = make_encoder(config)
    assert encoder is not None
    n, random = int(instances), np.random.default_rng(0)
    names = [f"thing {i}" for i in range(n)]
    table = encoder.encode_text(names)
    objects = tuple(
        ObjectInstance(i + 1, name, 1.0, 3, pose_at(random.random(3)), np.full(3, 0.1), 10)
        for i, name in enumerate(names)
    )
    found = Instances(np.zeros(0, np.int32), np.zeros(0, np.float32), objects, table, encoder.name, 0.0)
    snapshot = MapSnapshot(1, 0, 0, np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0, np.float32), found)

    def ask() -> None:
        rank(snapshot, "thing 7", encoder, config, 5)

    mb = peak_growth(ask)
    return seconds(ask, 20, 2), mb


def pose_at(xyz: Any) -> Any:
    """(4, 4) at a place."""
    T = np.eye(4)
    T[:3, 3] = xyz
    return T


def short(size: float) -> str:
    """1234567 as 1.23M."""
    scale, unit = (1e6, "M") if size >= 1e6 else (1e3, "k") if size >= 1e3 else (1, "")
    return f"{size / scale:.3g}{unit}"


def plot(sweeps: dict[str, Any], folder: Path) -> Path:
    """Time and memory over size of every sweep, with the exponent of the time."""
    figure, axes = plt.subplots(2, len(sweeps), figsize=(3.4 * len(sweeps), 5.6), squeeze=False, sharex="col")
    for (above, below), (name, sweep) in zip(axes.T, sweeps.items(), strict=True):
        above.loglog(sweep["size"], sweep["ms"], "o-")
        above.set(title=f"{name}\nexponent {sweep['exponent']:.2f}", ylabel="ms")
        below.loglog(sweep["size"], sweep["mb"], "o-", color="tab:orange")
        below.set(xlabel=sweep["unit"], ylabel="MB")
        shown = sweep["size"][::2]
        below.set_xticks(shown, [short(size) for size in shown])
        below.xaxis.set_minor_locator(NullLocator())
        for axis in (above, below):
            axis.grid(True, which="both", alpha=0.3)
    figure.tight_layout()
    path = folder / "performance_sweeps.png"
    figure.savefig(path, dpi=90)
    plt.close(figure)
    return path

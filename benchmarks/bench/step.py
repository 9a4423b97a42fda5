"""Where a training step's time goes: the rasteriser, other kernels, torch, Python."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.bench.maps import TABLETOP, trained
from ig_ros.raster.library import Library

RASTER = ("ig_raster_forward", "ig_raster_backward")


@contextmanager
def kernels_timed() -> Iterator[dict[str, float]]:
    """Seconds in each compiled kernel while the context lasts."""
    spent: dict[str, float] = defaultdict(float)
    call = Library.call

    def timed(self: Library, name: str, *arguments: object) -> None:
        begin = time.perf_counter()
        call(self, name, *arguments)
        spent[name] += time.perf_counter() - begin

    Library.call = timed  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        Library.call = call  # type: ignore[method-assign]


def measure(quick: bool) -> dict[str, object]:
    """Shares of a step on a tabletop in its last phase, where semantics move geometry."""
    warm, count = (60, 10) if quick else (350, 100)  # 100 steps: the map grows in one of them
    mapper = trained(TABLETOP, warm, 30 if quick else 200)
    with kernels_timed() as spent:
        begin = time.perf_counter()
        for _ in range(count):
            mapper.train_step()
        whole = time.perf_counter() - begin
    kernels = sum(spent.values())
    with profile(activities=[ProfilerActivity.CPU]) as profiler, kernels_timed() as profiled:
        for _ in range(count):
            mapper.train_step()
    operators = [e for e in profiler.key_averages() if e.key.startswith("aten::")]
    torch_seconds = sum(e.self_cpu_time_total for e in operators) / 1e6
    # The profiler slows torch's small operators: its torch time is scaled by what it did to the kernels at the most.
    torch_share = min(
        torch_seconds / whole * min(kernels / max(sum(profiled.values()), 1e-9), 1.0), 1 - kernels / whole
    )
    top = sorted(operators, key=lambda e: -e.self_cpu_time_total)[:8]
    return {
        "step_ms": 1e3 * whole / count,
        "step_raster_share": sum(spent[name] for name in RASTER) / whole,
        "step_other_kernels_share": (kernels - sum(spent[name] for name in RASTER)) / whole,
        "step_torch_share": torch_share,
        "step_python_share": 1 - kernels / whole - torch_share,
        "step_anchors": len(mapper.scaffold.anchors),
        "step_kernels_ms": {name: round(1e3 * s / count, 3) for name, s in sorted(spent.items(), key=lambda x: -x[1])},
        "step_operators_ms": {e.key: round(e.self_cpu_time_total / 1e3 / count, 3) for e in top},
        "threads": torch.get_num_threads(),
    }

"""docs/performance.md from out/bench.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.bench.sweeps import plot

BASE = Path("docs/bench.json")  # committed: in a fresh clone parts that are not measured keep these figures

GOALS = (  # part, key, what it is, bound, whether it is to be at least (else at most) that
    ("raster", "raster_vs_reference", "raster, forward + backward: times faster than tiled torch", 80.0, True),
    (
        "raster",
        "raster_vs_scalar",
        "raster, forward + backward: times faster than plain Numba on one thread",
        6.0,
        True,
    ),
    ("step", "step_raster_share", "training step: share of the raster", 0.6, True),
    ("step", "step_python_share", "training step: share of Python", 0.1, False),
    ("quality", "quality_psnr_vs_noise", "PSNR lost against the slow path, in units of seed-to-seed noise", 1.0, False),
    (
        "quality",
        "quality_miou_vs_noise",
        "instance mIoU lost against the slow path, in units of seed-to-seed noise",
        1.0,
        False,
    ),
    (
        "instantiation",
        "instantiation_vs_hdbscan",
        "instantiation: times faster than HDBSCAN on the same features",
        20.0,
        True,
    ),
    (
        "instantiation",
        "instantiation_vs_500_steps",
        "instantiation: share of the time of 500 training steps",
        0.15,
        False,
    ),
    ("instantiation", "incremental_vs_full", "rerun after training on: times faster than without memory", 1.5, True),
    ("stream", "callback_p99_ms", "stream: delay of callbacks, p99, ms", 33.0, False),
    ("stream", "query_p99_ms", "query over DDS while training, p99, ms", 100.0, False),
    ("stream", "stream_rss_growth", "stream: growth of memory over the last third", 0.05, False),
)


def write_report(figures: dict[str, Any], document: Path) -> None:
    """The document, and beside it the plot and the figures, which a later run of some parts starts from."""
    document.parent.mkdir(parents=True, exist_ok=True)
    picture = plot(figures["sweeps"], document.parent).name if "sweeps" in figures else ""
    document.write_text("\n".join(compose(figures, picture)))
    document.with_name(BASE.name).write_text(json.dumps(figures, indent=1) + "\n")


def compose(figures: dict[str, Any], picture: str) -> Iterator[str]:
    """The document, part by part."""
    yield "# Performance\n"
    yield (
        "Written by `python -m benchmarks.bench`: ratios, the two sides of each taken side by side on this machine's "
        f"CPU ({figures.get('threads', '?')} threads). Absolute times are of a noisy machine. No GPU took part: see "
        "[the GPU report](gpu_report.md).\n"
    )
    taken = [f"{part} {found['code']}" for part, found in figures.get("parts", {}).items() if "code" in found]
    if taken:
        yield f"Each part runs by itself; the commit that it measured last: {', '.join(taken)}.\n"
    for how, text in (
        ("quick", "Only a short look (`--quick`, smaller and noisier) was taken at"),
        ("busy", "Other work kept the machine busy, so ratios are off too, during"),
    ):
        parts = [part for part, found in figures.get("parts", {}).items() if found[how]]
        if parts:
            yield f"{text}: {', '.join(parts)}.\n"
    yield "| figure | measured |\n| --- | ---: |"
    for _, key, text, _, _ in GOALS:
        yield f"| {text} | {f'{figures[key]:.3g}' if key in figures else 'not measured'} |"
    yield ""
    yield from raster(figures)
    yield from step(figures)
    yield from quality(figures)
    yield from instantiation(figures)
    yield from stream(figures)
    if picture:
        yield f"## Cost as work grows\n\n![{picture}]({picture})\n"
        yield "| sweep | size | ms | MB | exponent |\n| --- | --- | --- | --- | ---: |"
        for name, sweep in figures["sweeps"].items():
            cells = (" / ".join(f"{v:.3g}" for v in sweep[k]) for k in ("size", "ms", "mb"))
            yield f"| {name} | {' | '.join(cells)} | {sweep['exponent']:.2f} |"
        yield "\nMB: what the process grows by at the most during a first call, the kernels' workspaces included.\n"


def raster(f: dict[str, Any]) -> Iterator[str]:
    """The kernels."""
    if "raster_ms" not in f:
        return
    yield "## Rasteriser\n"
    yield (
        f"{f['raster_visible']} visible Gaussians, 9 channels + depth + alpha, 320x240, forward and backward: "
        f"{f['raster_ms']:.1f} ms. The references are "
        "test/reference/raster.py (`render_tiled`) and test/reference/raster_numba.py; tests hold both, and ours, to "
        "the same slow truth.\n"
    )
    if "raster_stages_ms" in f:
        whole = sum(f["raster_stages_ms"].values())
        yield "| stage | ms | share |\n| --- | ---: | ---: |"
        yield from (f"| {name} | {ms:.2f} | {100 * ms / whole:.0f} % |" for name, ms in f["raster_stages_ms"].items())
        yield ""


def step(f: dict[str, Any]) -> Iterator[str]:
    """A training step."""
    if "step_ms" not in f:
        return
    yield "## Training step\n"
    yield (
        f"{f['step_ms']:.1f} ms with {f['step_anchors']} anchors: raster {100 * f['step_raster_share']:.0f} %, other "
        f"compiled kernels {100 * f['step_other_kernels_share']:.0f} %, torch {100 * f['step_torch_share']:.0f} %, "
        f"Python {100 * f['step_python_share']:.0f} %. Kernels are timed around their calls, torch by its profiler; "
        "Python is what is left of the wall time.\n"
    )
    for title, key in (("compiled kernel", "step_kernels_ms"), ("torch operator (profiled)", "step_operators_ms")):
        yield f"| {title} | ms a step |\n| --- | ---: |"
        yield from (f"| `{name}` | {ms:.2f} |" for name, ms in f[key].items())
        yield ""


def quality(f: dict[str, Any]) -> Iterator[str]:
    """What is learnt."""
    if "quality_psnr" not in f:
        return
    yield "## Quality\n"
    yield (
        f"A tabletop of 96x72 pixels, {f['quality_steps']} steps without growth, {f['quality_seeds']} seeds, with the "
        "kernels and without them (test/reference/plain_step.py: torch and Numba). Noise is the larger range over "
        "seeds of the two sides.\n"
    )
    yield "| figure | with kernels | slow path | difference of means | range over seeds |"
    yield "| --- | --- | --- | ---: | ---: |"
    for name, text in (("psnr", "PSNR held out, dB"), ("miou", "instance mIoU, %")):
        sides = (" / ".join(f"{v:.2f}" for v in f[f"quality_{name}{side}"]) for side in ("", "_slow"))
        yield (
            f"| {text} | {' | '.join(sides)} | {f[f'quality_{name}_difference']:+.2f} | "
            f"{f[f'quality_{name}_spread']:.2f} |"
        )
    yield ""


def instantiation(f: dict[str, Any]) -> Iterator[str]:
    """The grouping."""
    if "instantiation_s" not in f:
        return
    yield "## Instantiation\n"
    end = "" if f["hdbscan_finished"] else " (stopped there: it had not finished)"
    yield (
        f"{f['instantiation_gaussians']} Gaussians, {f['instantiation_views']} views, S = 1000: "
        f"{f['instantiation_s']:.2f} s; HDBSCAN on the same features {f['hdbscan_s']:.0f} s{end}. On the same map, "
        f"trained on since the run before, a rerun takes {f['incremental_s']:.2f} s: it keeps what its views show "
        "(`prepare_views` in ig_ros/instances/observation.py). HDBSCAN has scikit-learn's default of threads (n_jobs "
        "unset: one).\n"
    )


def stream(f: dict[str, Any]) -> Iterator[str]:
    """The node."""
    if "stream_rate_hz" not in f:
        return
    waiting = f", at most {f['stream_waiting_max']:.0f} waiting" if "stream_waiting_max" in f else ""
    count = f.get("query_count")
    asked = "queries" if count is None else f"{count:.0f} different questions, words and relations, at 5 Hz:"
    yield "## Stream\n"
    yield (
        f"640x480 at {f['stream_rate_hz']:.0f} Hz over DDS, sender and node on the same cores: "
        f"{f['stream_steps_per_s']:.1f} training steps a second beside it, {f['stream_dropped']:.0f} frames dropped "
        f"from full queues{waiting}; {asked} {f['query_p50_ms']:.0f} ms (median). Delays are those of image, depth and "
        "mask callbacks, over the newest 6000 of them.\n"
    )

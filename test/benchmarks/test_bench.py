"""The speed benchmark: its arithmetic, its report, and the same functions on this machine."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import ground_labels

from benchmarks.bench import gpu, quality, raster, stream, sweeps
from benchmarks.bench.__main__ import PARTS, show
from benchmarks.bench.clock import exponent
from benchmarks.bench.instantiation import Scene, cut, tiled
from benchmarks.bench.questions import Asker, questions
from benchmarks.bench.report import GOALS, compose
from ig_ros.instances import Children, PointSet

ROOT = Path(__file__).resolve().parents[2]


def scene(n: int = 4000) -> Scene:
    random = np.random.default_rng(0)
    xyz = np.concatenate([random.uniform(-1, 1, (n, 2)), np.zeros((n, 1))], axis=1)
    feature = np.eye(6)[(ground_labels(*xyz[:, :2].T) > 0).astype(int)] / 2
    points = PointSet(xyz, np.full((n, 3), 0.5), feature, np.full(n, 0.03), np.arange(n))
    anchor = np.repeat(np.arange(n), 2)
    return Scene(points, Children(xyz[anchor], anchor), ())


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_is_found(power: float) -> None:
    sizes = [1e3, 1e4, 1e5]
    assert exponent(sizes, [3e-6 * s**power for s in sizes]) == pytest.approx(power)


def test_a_cut_scene_is_whole() -> None:
    part = cut(scene(), 2000)
    assert len(part.children.xyz) == pytest.approx(2000, rel=0.1)
    np.testing.assert_array_equal(part.children.xyz, part.points.xyz[part.children.anchor])
    assert cut(part, 10**6) is part


def test_a_tiled_scene_is_copies_that_do_not_touch() -> None:
    one = scene(500)
    many = tiled(one, 2 * len(one.children.xyz) + 1)
    n = len(one.points.xyz)
    assert len(many.children.xyz) == 3 * len(one.children.xyz)
    np.testing.assert_allclose(many.children.xyz, many.points.xyz[many.children.anchor])
    assert many.points.xyz[:n, 0].max() < many.points.xyz[n : 2 * n, 0].min()
    assert len(np.unique(many.points.uid)) == 3 * n
    np.testing.assert_array_equal(many.points.feature[2 * n :], one.points.feature)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_gpu_check_without_a_gpu_writes_that_nothing_was_measured(tmp_path: Path) -> None:
    out = tmp_path / "gpu_report.md"
    done = subprocess.run(
        ["scripts/gpu_check.sh"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHON": sys.executable, "OUT": str(out)},
        timeout=120,
    )
    assert done.returncode == 1
    assert "sees no CUDA GPU" in done.stderr
    assert "**Not measured**: this machine has no CUDA GPU" in out.read_text()


def test_missed_goals_are_the_exit_code_and_parts_are_judged_alone(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {key: bound for _, key, _, bound, _ in GOALS}
    assert show(figures, PARTS, []) == 0
    worse = {key: bound * (0.5 if least else 2.0) for _, key, _, bound, least in GOALS}
    for part, key, _, _, _ in GOALS:
        capsys.readouterr()
        assert show(figures | {key: worse[key]}, [part], []) == 1
        printed = capsys.readouterr().out.splitlines()
        assert {line[0] for line in printed if key in line} == {"!"}
        assert len(printed) == sum(goal[0] == part for goal in GOALS), "other parts are not shown"
        assert show(figures | {key: worse[key]}, [p for p in PARTS if p != part], []) == 0
    capsys.readouterr()
    assert show(figures, PARTS, ["stream"]) == 1
    assert "query_p99_ms" not in capsys.readouterr().out, "an older figure does not stand in for a part that failed"


def test_the_report_names_what_is_missing_and_what_was_only_looked_at() -> None:
    parts = {"stream": {"quick": True, "busy": False}, "step": {"quick": False, "busy": True, "code": "0ff1ce+"}}
    page = "\n".join(compose({"query_p99_ms": 12.0, "parts": parts}, ""))
    assert page.count("| not measured |") == len(GOALS) - 1
    assert "was taken at: stream." in page
    assert "during: step." in page
    assert "measured last: step 0ff1ce+." in page


def test_parts_keep_the_figures_of_the_others(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    out.write_text(json.dumps({"query_p99_ms": 12.0}))
    command = [
        sys.executable,
        "-m",
        "benchmarks.bench",
        "--report",
        "--out",
        str(out),
        "--docs",
        str(tmp_path / "p.md"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "query_p99_ms" in done.stdout
    assert "p99, ms | 12 |" in (tmp_path / "p.md").read_text()


def test_a_fresh_clone_keeps_the_committed_figures_of_other_parts(tmp_path: Path) -> None:
    page, parts = tmp_path / "performance.md", {"step": {"quick": False, "busy": False, "code": "0ff1ce"}}
    (tmp_path / "bench.json").write_text(
        json.dumps({"query_p99_ms": 12.0, "raster_vs_reference": 100.0, "parts": parts})
    )
    out = tmp_path / "out" / "bench.json"
    out.parent.mkdir()
    newer = {"raster": {"quick": False, "busy": False, "code": "beef"}}
    out.write_text(json.dumps({"raster_vs_reference": 300.0, "parts": newer}))
    command = [sys.executable, "-m", "benchmarks.bench", "--report", "--out", str(out), "--docs", str(page)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    text = page.read_text()
    assert "p99, ms | 12 |" in text
    assert "tiled torch | 300 |" in text
    assert "step 0ff1ce, raster beef" in text
    assert json.loads((tmp_path / "bench.json").read_text())["raster_vs_reference"] == 300.0


def test_the_stages_of_the_rasteriser_are_reported() -> None:
    g, T, view, _ = raster.scene(300, (48, 36))
    found = raster.stages(g, T, view, 2)
    assert list(found) == list(raster.STAGES)
    assert all(ms > 0 for ms in found.values())
    ms = {"raster_ms": 1.0, "raster_visible": 300, "raster_gflops": 1.0, "peak_gflops": 4.0}
    page = "\n".join(compose(ms | {"raster_stages_ms": found}, ""))
    assert all(f"| {stage} |" in page for stage in raster.STAGES)


@pytest.mark.parametrize("size", [2000, 8000, 20_000])
def test_scenes_of_a_sweep_have_their_size(size: int) -> None:
    assert len(sweeps.of_size(scene(), size).children.xyz) == pytest.approx(size, rel=0.1)


def test_questions_are_words_and_relations_and_never_the_same() -> None:
    texts = list(itertools.islice(questions(), 360))
    assert len(set(texts)) == 360, "more than a minute at 5 Hz"
    assert sum(" the " in text for text in texts) == 180


def test_questions_are_asked_at_their_rate_from_another_thread() -> None:
    seen: list[tuple[str, str]] = []
    asker = Asker(lambda text: seen.append((text, threading.current_thread().name)), rate=50)
    time.sleep(0.5)
    taken = asker.stop()
    assert 3 <= len(taken) == len(seen) <= 27
    assert threading.current_thread().name not in {name for _, name in seen}

    def fail(_: str) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        Asker(fail).stop()


def test_frames_dropped_are_those_of_every_queue() -> None:
    counts = {"queue_full": 1, "decoder_full": 20, "inbox_full": 300, "blurred": 4000}
    robot = SimpleNamespace(count=lambda cause: counts[cause])
    assert stream.dropped(robot) == 321  # type: ignore[arg-type]


def test_quality_is_lost_only_beyond_the_noise_of_seeds() -> None:
    same = quality.compared("psnr", [30.0, 30.4], [30.1, 30.3])
    assert same["quality_psnr_vs_noise"] == pytest.approx(0.0)
    worse = quality.compared("psnr", [29.0, 29.4], [30.0, 30.4])
    assert worse["quality_psnr_difference"] == pytest.approx(-1.0)
    assert worse["quality_psnr_vs_noise"] == pytest.approx(2.5)
    assert quality.compared("miou", [90.0, 90.0], [90.4, 90.4])["quality_miou_vs_noise"] == pytest.approx(0.8)
    better = quality.compared("miou", [95.0, 95.0], [90.0, 90.0])
    assert better["quality_miou_vs_noise"] == 0.0


def test_both_sides_of_the_quality_comparison_are_measured_and_reported() -> None:
    figures = quality.measure(quick=True)
    for name in ("psnr", "miou"):
        assert len(figures[f"quality_{name}"]) == len(figures[f"quality_{name}_slow"]) == 2  # type: ignore[arg-type]
    assert figures["quality_psnr_vs_noise"] <= 1.0  # type: ignore[operator]
    page = "\n".join(compose(figures, ""))
    assert "| PSNR held out, dB |" in page


def test_what_a_gpu_would_run_runs_here() -> None:
    plan = gpu.Plan(gaussians=2000, many=9000, frames=4, voxel=0.03, steps=3, stream_s=1.0)
    figures = gpu.measure("cpu", "sim:tabletop?seed=1&width=96&frames=16", plan)
    assert set(figures) == set(gpu.GOALS)
    assert figures["gaussians"] == 2000
    assert figures["gaussians_many"] == pytest.approx(9000, rel=0.1)
    assert 0 < figures["stream_fps"] <= 1.1 * gpu.RATE
    assert figures["schedule_s"] == pytest.approx(30_000 / figures["steps_per_s"])
    assert "Not measured" not in gpu.report(figures)
    assert "**Not measured**: no GPU" in gpu.report(None, "no GPU")

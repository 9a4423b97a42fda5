"""One tiny map through every part of a job, in process."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks.quality.plan import NEVER, NOISY, RGB, ablation, conditioned, quick_jobs
from benchmarks.quality.pool import run_and_store
from benchmarks.quality.report import Run, write_report
from benchmarks.quality.results import load
from benchmarks.quality.run import NEEDS_DEPTH
from benchmarks.quality.sweeps import OURS, SWEPT

pytest.importorskip("open3d", reason="simulated scenes need Open3D")
SMALL = {"seeding.voxel": 0.08, "instances.sub_objects": 100}


def test_a_job_fills_every_table(tmp_path: Path) -> None:
    first = quick_jobs(64, SMALL, frames=8, steps=4)[0]
    job = dataclasses.replace(first, transfer=False, settings={**first.settings, "language.encoder": "none"})
    entry = run_and_store(job, tmp_path / "out", "code")
    assert entry["status"] == "done", entry
    assert json.loads(json.dumps(entry)) == entry
    ours = entry["methods"][OURS]
    assert 0 < ours["miou"] <= ours["ma25"] + 25
    assert ours["true"] > 5
    assert "semantic" not in ours  # nobody embeds
    assert {p: len(found) for p, found in entry["sweeps"][OURS].items()} == {p: len(v) for p, v in SWEPT.items()}
    assert "table" in entry["structure"]
    results = load(tmp_path / "out", [job])
    write_report(tmp_path / "docs" / "quality.md", tmp_path / "out", results, Run("test", 1, 1))
    text = (tmp_path / "docs" / "quality.md").read_text()
    for part in ("## Table 1", "## Table 5", "S =", f"quality_{job.scene}.png"):
        assert part in text
    assert (tmp_path / "docs" / f"quality_{job.scene}.png").stat().st_size > 0


def test_a_job_that_fails_is_one_line_and_not_a_figure(tmp_path: Path) -> None:
    broken = dataclasses.replace(quick_jobs(64, SMALL)[0], spec="sim:nowhere")
    entry = run_and_store(broken, tmp_path, "code")
    assert entry["status"] == "failed"
    assert entry["error"].startswith("DatasetError: unknown simulated scene")
    assert load(tmp_path, [broken]).failed == {broken.key: entry["error"]}


def test_without_depth_the_rows_that_need_it_say_so(tmp_path: Path) -> None:
    first = quick_jobs(64, SMALL | {"language.encoder": "none"}, frames=4, steps=2)[0]
    job = dataclasses.replace(
        conditioned(dataclasses.replace(first, spec="sim:tabletop?width=64&frames=4"), RGB, 2, False),
        rows=("mask fusion", "two-level codebook"),
    )
    entry = run_and_store(job, tmp_path, "code")
    assert entry["methods"]["mask fusion"] == {"cannot": NEEDS_DEPTH}
    assert "miou" in entry["methods"]["two-level codebook"]


def test_the_ablation_trains_once_with_and_once_without_the_joint_phase() -> None:
    rows = ablation(quick_jobs(64, SMALL)[0], 90)
    assert [r.settings["training.joint_visits"] for r in rows] == [NEVER, 60]
    assert {r.settings["training.warmup_visits"] for r in rows} == {30}
    assert {r.condition for r in rows} == {NOISY}
    assert len({r.key for r in rows}) == 2

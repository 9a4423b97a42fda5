"""The paper's scenes from a folder in ScanNet layout: what is planned, what is said about it, and one job run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from scannet_writer import write_scannet_layout

from benchmarks.quality.__main__ import parse, plan
from benchmarks.quality.plan import NOISY, RGB, SCANNET, nameless, scannet_jobs
from benchmarks.quality.pool import run_and_store
from benchmarks.quality.report import Run, write_report
from benchmarks.quality.results import load
from benchmarks.quality.scoring import CLASSES_10, CLASSES_15, CLASSES_19
from benchmarks.quality.sweeps import OURS
from ig_ros.datasets import open_dataset
from ig_ros.datasets.scannet_truth import NYU40

pytest.importorskip("open3d", reason="simulated scenes need Open3D")
SMALL = {"seeding.voxel": 0.08, "instances.sub_objects": 100, "keyframes.max_speed": 1000.0, "language.encoder": "none"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the ten scenes: the first with named masks, the second without any."""
    folder: Path = tmp_path_factory.mktemp("scannet")
    for name, masks in zip(SCANNET, ("exact", "none"), strict=False):
        write_scannet_layout(open_dataset(f"sim:tabletop?width=64&frames=9&masks={masks}"), folder / name)
    return folder


def unnamed(folder: Path) -> None:
    """Take the names out of all masks."""
    for path in (folder / "masks").glob("*.json"):
        about = {i: {**mask, "label": ""} for i, mask in json.loads(path.read_text()).items()}
        path.write_text(json.dumps(about))


def test_a_scene_is_planned_with_and_without_its_depth_and_absent_ones_are_named(root: Path) -> None:
    jobs, missing = scannet_jobs(root, {"training.seed": 3})
    assert [(j.scene, j.condition) for j in jobs] == [(s, c) for s in SCANNET[:2] for c in (NOISY, RGB)]
    assert missing == list(SCANNET[2:])
    assert [j.settings.get("input.use_depth", True) for j in jobs] == [True, False] * 2
    assert [j.settings.get("segmentation.segmenter") for j in jobs] == [None, None, "geometric", "geometric"]
    assert all(j.settings["training.seed"] == 3 for j in jobs)
    assert [j.picture for j in jobs] == [True, False, False, False]
    assert len({j.key for j in jobs}) == 4


def test_the_report_says_where_semantics_cannot_be_had(root: Path) -> None:
    def notes(*more: str) -> str:
        return "\n".join(plan(parse(["--scannet", str(root), *more]))[1])

    first, second = SCANNET[:2]
    assert "no mask has a name" in notes()
    assert next(line for line in notes().splitlines() if "no mask has a name" in line).endswith(f": {second}")
    assert "no mask has a name" not in notes("--set", "language.encoder=open_clip")
    named = scannet_jobs(root, {})[0][0]
    assert named.scene == first
    assert not nameless(named)


def test_masks_without_a_single_name_are_nameless(root: Path, tmp_path: Path) -> None:
    write_scannet_layout(open_dataset("sim:tabletop?width=64&frames=2&masks=exact"), tmp_path / SCANNET[0])
    job = scannet_jobs(tmp_path, {})[0][0]
    assert not nameless(job)
    unnamed(tmp_path / SCANNET[0])
    assert nameless(job)


@pytest.mark.parametrize("place", [0, 1])
def test_a_shortened_job_on_a_folder_has_figures(root: Path, tmp_path: Path, place: int) -> None:
    planned = scannet_jobs(root, SMALL)[0][place]
    job = dataclasses.replace(planned, steps=4, sweeps=False, transfer=False, rows=("mask fusion",))
    entry = run_and_store(job, tmp_path / "out", "code")
    assert entry["status"] == "done", entry
    assert entry["methods"][OURS]["true"] > 5
    assert ("miou" in entry["methods"]["mask fusion"]) == (place == 0), "without depth there is nothing to project"
    assert "selection" not in entry, "nobody embeds a text"
    results = load(tmp_path / "out", [job])
    write_report(tmp_path / "quality.md", tmp_path / "out", results, Run("test", 1, 1, ("a note",)))
    text = (tmp_path / "quality.md").read_text()
    assert "a note" in text
    assert "scannet" in text


def test_the_class_lists_are_those_of_the_papers() -> None:
    assert [len(classes) for classes in (CLASSES_19, CLASSES_15, CLASSES_10)] == [19, 15, 10]
    assert set(CLASSES_10) < set(CLASSES_15) < set(CLASSES_19) < set(range(1, len(NYU40)))
    dropped = {NYU40[i] for i in set(CLASSES_19) - set(CLASSES_15)}
    assert dropped == {"picture", "refrigerator", "shower curtain", "bathtub"}
    assert {NYU40[i] for i in set(CLASSES_15) - set(CLASSES_10)} == {"cabinet", "counter", "desk", "curtain", "sink"}

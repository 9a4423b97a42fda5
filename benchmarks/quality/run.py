"""One job: map a scene, then judge every row on that map."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.baselines import Material, Method, material_of
from benchmarks.baselines.registry import METHODS
from benchmarks.quality.ceiling import ceilings
from benchmarks.quality.onto_cloud import transfers
from benchmarks.quality.pictures import write_picture
from benchmarks.quality.plan import Job
from benchmarks.quality.scoring import Judge, Judged
from benchmarks.quality.structure import iou_by_size, whole_structure
from benchmarks.quality.sweeps import OURS, PAPER, OwnRuns, as_prediction, sweep_ours, sweep_paper, witnesses
from benchmarks.quality.views import mean_appearance, unseen_views
from ig_ros.config import Config
from ig_ros.datasets import Dataset, SceneTruth, open_dataset, split
from ig_ros.datasets.base import selection_truth
from ig_ros.errors import DatasetError
from ig_ros.evaluation.held_out import selection_figures
from ig_ros.evaluation.offline import Budget, map_dataset
from ig_ros.mapper import Mapper

NEEDS_DEPTH = "needs measured depth"


def run_job(job: Job, pictures: Path) -> dict[str, Any]:
    """Everything measured on one map, JSON-ready. Raises IgError where the scene or a setting cannot be used."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    dataset = open_dataset(job.spec)
    if dataset.truth is None:
        raise DatasetError(f"{job.spec} has no truth to judge by")
    mapper = Mapper(Config.from_dict({"threads": 1, "device": "cpu"} | job.settings))
    train, held_out = split(len(dataset))
    dropped = map_dataset(mapper, dataset, train, Budget(steps=job.steps))
    mapped = time.perf_counter()
    material = material_of(mapper)
    views = unseen_views(mapper, material.frozen, dataset, held_out)
    judge = Judge(dataset.truth, material, views)
    judged = {OURS: ours(mapper, material, judge)} | baselines(job, material, judge)
    done = {name: row for name, row in judged.items() if isinstance(row, Judged)}
    rows = time.perf_counter()
    result: dict[str, Any] = {
        "map": map_figures(mapper, material, len(dataset), dropped) | mean_appearance(views),
        "methods": {name: row.figures if isinstance(row, Judged) else row for name, row in judged.items()},
        **own_detail(done[OURS], dataset.truth),
    }
    if not job.variant:
        result |= selection(mapper, dataset, held_out) | ceiling(material, dataset.truth)
    own = OwnRuns(material, judge, done[OURS])
    if job.sweeps:
        result["sweeps"] = {OURS: sweep_ours(own, material.config), PAPER: sweep_paper(material, judge)}
    if job.witnesses:
        result["witnesses"] = witnesses(own, material.config)
    if job.transfer:
        result["transfer"] = transfers(done[OURS], material, dataset.truth)
    if job.picture:
        write_picture(pictures / f"{job.scene}.png", views, done)
    cpu = time.process_time() - begin_cpu  # beside the wall times: what they would be on an idle machine
    seconds = {"mapping": mapped - begin, "rows": rows - mapped, "rest": time.perf_counter() - rows, "cpu": cpu}
    return result | {"seconds": {part: round(s, 2) for part, s in seconds.items()}}


def ours(mapper: Mapper, material: Material, judge: Judge) -> Judged:
    """Our own instantiation with its own words; it becomes the mapper's latest."""
    if material.encoder is not None:
        material.encoder.encode_text([""])  # it loads at first use, which is no part of grouping
    begin = time.perf_counter()
    found = mapper.instantiate(material.frozen).instances
    seconds = time.perf_counter() - begin
    row = judge.judge(*as_prediction(material, found))
    row.figures["seconds"] = seconds
    return row


def selection(mapper: Mapper, dataset: Dataset, held_out: list[int]) -> dict[str, Any]:
    """The paper's select-and-render task: names of true things drawn into held-out views."""
    truth = selection_truth(dataset, held_out)
    if truth is None or mapper.latest is None or mapper.encoder is None:
        return {}
    return {"selection": selection_figures(mapper, mapper.latest, dataset, truth)}


def ceiling(material: Material, truth: SceneTruth) -> dict[str, Any]:
    """What nobody can exceed on a cloud of measured depth with these masks."""
    return {"ceiling": ceilings(material, truth)} if material.has_depth else {}


def baselines(job: Job, material: Material, judge: Judge) -> dict[str, Judged | dict[str, Any]]:
    """Every other row that is asked for; one that cannot run says why."""
    chosen = METHODS if job.rows is None else [m for m in METHODS if m.name in job.rows]
    if material.has_depth and any(m.needs_depth for m in chosen):
        _ = material.measured.observed  # made once for all of them: no row's seconds hold it
    return {
        m.name: baseline(m, material, judge) if material.has_depth or not m.needs_depth else {"cannot": NEEDS_DEPTH}
        for m in chosen
    }


def baseline(row: Method, material: Material, judge: Judge) -> Judged:
    """One row; if it classifies points itself, it is asked once per list of classes."""
    semantic = {}
    for classes in judge.lists:
        begin = time.perf_counter()
        prediction = row(dataclasses.replace(material, classes=classes.texts), np.random.default_rng(0))
        seconds = time.perf_counter() - begin
        if prediction.classes is None:
            break
        semantic[classes.name] = judge.point_semantics(prediction, classes)
    judged = judge.judge(prediction)
    judged.figures.update({"seconds": seconds} | ({"semantic": semantic} if semantic else {}))
    return judged


def own_detail(row: Judged, truth: SceneTruth) -> dict[str, Any]:
    """What is told of our own row only."""
    return {"structure": whole_structure(row.on_truth, truth, row.score), "sizes": iou_by_size(truth, row.score)}


def map_figures(mapper: Mapper, material: Material, frames: int, dropped: dict[str, int]) -> dict[str, Any]:
    """How large the map became."""
    return {
        "frames": frames,
        "dropped": dropped,
        "keyframes": len(mapper.keyframes),
        "steps": mapper.trainer.step,
        "anchors": len(mapper.scaffold.anchors),
        "gaussians": len(material.children.xyz),
    }

"""One simulated scene with perturbed frames: mapped, aligned with the truth, judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.baselines import material_of
from benchmarks.baselines.registry import method
from benchmarks.quality.scoring import Judge, Judged
from benchmarks.quality.sweeps import as_prediction
from benchmarks.quality.views import UnseenView, mean_appearance, unseen_views
from benchmarks.reality.perturbations import Perturbed, alignment, pose_errors
from benchmarks.reality.rows import FUSION, Row
from ig_ros.config import Config
from ig_ros.datasets import Dataset, open_dataset, split
from ig_ros.datasets.base import SceneTruth
from ig_ros.evaluation.offline import Budget, map_dataset
from ig_ros.geometry import transform
from ig_ros.mapper import Mapper
from ig_ros.report.pictures import paint
from ig_ros.types import FloatArray, Frame


class Clean:
    """The frames as they were before they were perturbed, at their true poses moved into the map."""

    def __init__(self, dataset: Dataset, T_map_true: FloatArray) -> None:
        self.name, self.truth, self._dataset, self._T = dataset.name, dataset.truth, dataset, T_map_true

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, i: int) -> Frame:
        frame = self._dataset[i]
        return replace(frame, T_world_camera=self._T @ frame.T_world_camera)


def run_perturbed(row: Row, pictures: Path) -> dict[str, Any]:
    """Returns instance and colour figures of one map of a perturbed scene, and the errors of its poses."""
    dataset = open_dataset(row.scene)
    frames = Perturbed(dataset, row.strength)
    assert dataset.truth is not None
    mapper = Mapper(Config.from_dict({"threads": 1, "device": "cpu", "language.encoder": "none"} | row.settings))
    train, held_out = split(len(dataset))
    dropped = map_dataset(mapper, frames, train, Budget(steps=row.steps))
    true, used = trajectories(mapper, frames)
    T_map_true = alignment(true, used)
    material = material_of(mapper)
    clean = Clean(dataset, T_map_true)
    views = unseen_views(mapper, material.frozen, clean, held_out)
    judge = Judge(placed(dataset.truth, T_map_true), material, views)
    ours = judge.judge(*as_prediction(material, mapper.instantiate(material.frozen).instances))
    rows = {"map": ours}
    if material.has_depth:
        rows[FUSION] = judge.judge(method(FUSION)(material, np.random.default_rng(0)))
    write_picture(pictures / f"{row.key}.jpg", views, ours)
    shift, turn = pose_errors(true, used)
    return {
        "methods": {name: figures(judged) for name, judged in rows.items()}, **mean_appearance(views),
        "keyframes": len(mapper.keyframes), "anchors": len(mapper.scaffold.anchors), "dropped": dropped,
        "pose_error_cm": round(100 * shift, 2), "pose_error_deg": round(turn, 2),
    }  # fmt: skip


def trajectories(mapper: Mapper, frames: Perturbed) -> tuple[FloatArray, FloatArray]:
    """Returns the true poses of the keyframes and those that the map uses, (n, 4, 4) each."""
    items = mapper.keyframes.items
    return np.stack([frames.true_poses[k.index] for k in items]), np.stack([k.T_world_camera for k in items])


def placed(truth: SceneTruth, T_map_true: FloatArray) -> SceneTruth:
    """Returns the truth where the map has it."""
    return replace(truth, points=transform(T_map_true, truth.points))


def figures(judged: Judged) -> dict[str, float]:
    """Returns the figures of a row that the table shows."""
    return {name: round(float(judged.figures[name]), 2) for name in ("miou", "ma50", "predicted", "true")}


def write_picture(path: Path, views: Sequence[UnseenView], judged: Judged) -> None:
    """Writes the middle held-out view as photograph | render | objects."""
    view = views[len(views) // 2]
    ids = np.append(judged.on_gaussians, -1)[view.top]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.hstack([view.photograph, view.rendered, paint(ids)])[..., ::-1])

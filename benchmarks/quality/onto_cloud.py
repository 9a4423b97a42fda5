"""Labels of a map on a cloud that is not its own: the plain ways and the paper's MLP (A.3), for our own row."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.baselines import Material
from benchmarks.quality.scoring import Judged
from ig_ros.config import LanguageConfig
from ig_ros.datasets import SceneTruth
from ig_ros.evaluation.label_transfer import ColoredPoints, Transfer, smooth_onto, transfer_by_vote, trusted_points
from ig_ros.evaluation.metrics import instance_score
from ig_ros.export.external_cloud import NEIGHBOURS
from ig_ros.types import IntArray


def transfers(row: Judged, material: Material, truth: SceneTruth) -> dict[str, dict[str, Any]]:
    """Way of transfer -> figures of the row's instances at the truth's points."""
    xyz, ids = material.children.xyz, row.on_gaussians

    def learnt() -> Transfer:
        return smoothed(ids, material, truth)

    ways: dict[str, Callable[[], Transfer]] = {
        "nearest point": lambda: transfer_by_vote(xyz, ids, truth.points),
        f"vote of {NEIGHBOURS} nearest": lambda: transfer_by_vote(xyz, ids, truth.points, neighbours=NEIGHBOURS),
        "smoothing MLP": learnt,
    }
    return {name: _figures(way, truth) for name, way in ways.items()}


def smoothed(ids: IntArray, material: Material, truth: SceneTruth) -> Transfer:
    """The paper's MLP, with colour where the truth's points have one."""
    gaussians = material.frozen.gaussians
    trusted = trusted_points(gaussians, ids, material.keyframes, LanguageConfig().accept)
    color = gaussians.features[:, :3].cpu().numpy().clip(0, 1)
    cloud = ColoredPoints(material.children.xyz, color)
    targets = ColoredPoints(truth.points, truth.colors / 255.0 if truth.colors is not None else None)
    return smooth_onto(cloud, ids, trusted, targets, torch.Generator().manual_seed(0))


def _figures(way: Callable[[], Transfer], truth: SceneTruth) -> dict[str, Any]:
    begin = time.perf_counter()
    found = way()
    seconds = time.perf_counter() - begin
    score = instance_score(found.ids, truth.ids)
    return {"miou": score.miou, "ma50": score.ma50, "coverage": 100 * found.coverage, "seconds": seconds}

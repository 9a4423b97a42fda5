"""python -m benchmarks.quality.ceiling --meshes FOLDER: what nobody can exceed on these scenes with these masks.

Two ceilings, on the cloud of measured depth, without any training. *Points*: every point of the cloud bears the id of
the truth next to it; what is lost is what no camera saw, and borders. *Masks*: the grouping is the true one, masks go
to the true instance they show most of, and every point believes the vote of its masks, averaged over its neighbours as
in the consensus row; what is lost is lost by the segmenter's errors. A method that labels the cloud by these masks can
beat the second only by what it knows beyond them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.spatial import cKDTree

from benchmarks.quality.plan import NOISY, REPEATING, Job, simulated_jobs
from ig_ros.baselines import Material, material_of
from ig_ros.baselines.cloud import depth_cloud
from ig_ros.baselines.consensus_cloud import ConsensusCloud, instance_of_masks, voted
from ig_ros.config import Config
from ig_ros.datasets import SceneTruth, open_dataset, split
from ig_ros.errors import DatasetError
from ig_ros.evaluation.metrics import instance_score, transfer_ids
from ig_ros.evaluation.offline import Budget, map_dataset
from ig_ros.instances.observations import observe
from ig_ros.mapper import Mapper
from ig_ros.types import IntArray

NEAR = 0.05  # m from a point of the cloud to the truth whose id it bears
ROWS = ("points", "masks", "consensus")


def ceilings(material: Material, truth: SceneTruth) -> dict[str, dict[str, float]]:
    """mIoU and mA50 (percent) of the two ceilings and of the consensus row on the same cloud."""
    rules = ConsensusCloud()
    cloud = depth_cloud(material)
    observed = observe(cloud.xyz, material.views, material.config.instances.depth_tolerance)
    distance, nearest = cKDTree(truth.points).query(cloud.xyz, workers=-1)
    true = np.where(distance <= NEAR, truth.ids[nearest], 0)
    _, neighbor = cKDTree(cloud.xyz).query(cloud.xyz, k=rules.neighbors, workers=-1)
    by_masks = voted(true, instance_of_masks(true, observed), observed, neighbor, rules.rounds)
    found = rules(material, np.random.default_rng(0))
    rows = ((cloud.xyz, np.where(true > 0, true, -1)), (cloud.xyz, by_masks), (found.xyz, found.ids))
    return {name: _score(*row, truth) for name, row in zip(ROWS, rows, strict=True)}


def _score(xyz: Any, ids: IntArray, truth: SceneTruth) -> dict[str, float]:
    score = instance_score(transfer_ids(xyz, ids, truth.points), truth.ids)
    return {"miou": score.miou, "ma50": score.ma50}


def seen(job: Job) -> tuple[Material, SceneTruth]:
    """The keyframes of a job's scene, untrained, and its truth. Raises DatasetError where there is none."""
    dataset = open_dataset(job.spec)
    if dataset.truth is None:
        raise DatasetError(f"{job.spec} has no truth to judge by")
    mapper = Mapper(Config.from_dict({"threads": 1, "device": "cpu", "language.encoder": "none"}))
    map_dataset(mapper, dataset, split(len(dataset))[0], Budget(steps=0))
    return material_of(mapper), dataset.truth


def main(arguments: Sequence[str]) -> int:
    """Print the table and write it for docs/quality.md."""
    parser = argparse.ArgumentParser(prog="ceiling", description=__doc__)
    parser.add_argument("--meshes", type=Path, default=Path("../shared/data/ycb"))
    parser.add_argument("--only", default="", help="scenes whose name begins with this")
    parser.add_argument("--out", type=Path, default=Path("out/quality/ceiling.json"))
    options = parser.parse_args(arguments)
    jobs = [
        job
        for job in simulated_jobs(options.meshes, 320, {})
        if not job.variant and job.condition in (NOISY, REPEATING) and job.scene.startswith(options.only)
    ]
    figures: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for job in jobs:
        figures[job.key] = {"kind": job.kind, "condition": job.condition, "rows": ceilings(*seen(job))}
        print(job.key, figures[job.key]["rows"], file=sys.stderr, flush=True)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(figures, indent=1))
    table = Table("scenes", "masks", *(f"{row} mIoU / mA50" for row in ROWS))
    for line in lines(figures):
        table.add_row(*line)
    Console().print(table)
    return 0


def lines(figures: dict[str, Any]) -> list[list[str]]:
    """Means by kind and condition, as cells."""
    pairs = sorted({(f["kind"], f["condition"]) for f in figures.values()})
    result = []
    for kind, condition in pairs:
        rows = [f["rows"] for f in figures.values() if (f["kind"], f["condition"]) == (kind, condition)]
        means = [[float(np.mean([r[name][m] for r in rows])) for m in ("miou", "ma50")] for name in ROWS]
        result.append([f"{kind} ({len(rows)})", condition, *(f"{miou:.1f} / {ma50:.1f}" for miou, ma50 in means)])
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

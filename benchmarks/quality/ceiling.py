"""What nobody can exceed on a scene with its masks, on the cloud of measured depth and without any training.

*Points*: every point of the cloud bears the id of the truth next to it; what is lost is what no camera saw, and
borders. *Masks*: the grouping is the true one, masks go to the true instance they show most of, and every point
believes the vote of its masks, averaged over its neighbours as in the consensus row; what is lost is lost by the
segmenter's errors. A method that labels the cloud by these masks can beat the second only by what it knows beyond them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.baselines import Material
from benchmarks.baselines.consensus_cloud import ConsensusCloud, instance_of_masks, voted
from ig_ros.datasets import SceneTruth
from ig_ros.evaluation.label_transfer import transfer_ids
from ig_ros.evaluation.metrics import instance_score
from ig_ros.types import IntArray

NEAR = 0.05  # m from a point of the cloud to the truth whose id it bears
ROWS = ("points", "masks")


def ceilings(material: Material, truth: SceneTruth) -> dict[str, dict[str, float]]:
    """mIoU and mA50 (percent) of the two ceilings."""
    rules = ConsensusCloud()
    cloud, observed = material.measured.points, material.measured.observed
    distance, nearest = cKDTree(truth.points).query(cloud.xyz, workers=-1)
    true = np.where(distance <= NEAR, truth.ids[nearest], 0)
    _, neighbor = cKDTree(cloud.xyz).query(cloud.xyz, k=rules.neighbors, workers=-1)
    by_masks = voted(true, instance_of_masks(true, observed), observed, neighbor, rules.rounds)
    rows = (np.where(true > 0, true, -1), by_masks)
    return {name: _score(cloud.xyz, row, truth) for name, row in zip(ROWS, rows, strict=True)}


def _score(xyz: Any, ids: IntArray, truth: SceneTruth) -> dict[str, float]:
    score = instance_score(transfer_ids(xyz, ids, truth.points), truth.ids)
    return {"miou": score.miou, "ma50": score.ma50}

"""Progressive training [IG 3.2(2)]: which anchors' semantics learn, and which may also move geometry."""

from __future__ import annotations

import torch

from ig_ros.config import TrainingConfig


def phase_masks(visits: torch.Tensor, step: int, config: TrainingConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Two (n,) bool masks for anchors seen `visits` (n,) times before training step `step`.

    awake: the instance feature is trained (phases 2 and 3); mature: the feature losses also move offsets, scales,
    embedding and the opacity and covariance MLPs (phase 3). By the anchor's own age, so that new ground starts in
    phase 1 while old ground is in phase 3 (METHOD 3), or by the step of the whole map as in the paper.
    """
    age = visits if config.phases == "age" else torch.full_like(visits, step)
    mature = age >= config.joint_visits
    return age >= config.warmup_visits, mature if config.joint else torch.zeros_like(mature)

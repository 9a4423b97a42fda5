"""The three phases: by an anchor's own age or by the step of the map,."""

from __future__ import annotations

import dataclasses

import torch
from hypothesis import given
from hypothesis import strategies as st

from ig_ros.config import TrainingConfig
from ig_ros.scaffold.trainer import phase_masks

COUNTS = st.integers(0, 200)
CONFIG = TrainingConfig(warmup_visits=20, joint_visits=50)


@given(visits=st.lists(COUNTS, max_size=8), step=COUNTS, warmup=COUNTS, joint=COUNTS)
def test_by_age_every_anchor_has_its_own_phase(visits: list[int], step: int, warmup: int, joint: int) -> None:
    config = TrainingConfig(warmup_visits=warmup, joint_visits=joint)
    awake, mature = phase_masks(torch.tensor(visits, dtype=torch.int32), step, config)
    assert awake.tolist() == [v >= warmup for v in visits]
    assert mature.tolist() == [v >= joint for v in visits]


@given(visits=st.lists(COUNTS, max_size=8), step=COUNTS)
def test_by_step_all_anchors_share_one(visits: list[int], step: int) -> None:
    config = dataclasses.replace(CONFIG, phases="step")
    awake, mature = phase_masks(torch.tensor(visits, dtype=torch.int32), step, config)
    assert awake.tolist() == [step >= 20] * len(visits)
    assert mature.tolist() == [step >= 50] * len(visits)

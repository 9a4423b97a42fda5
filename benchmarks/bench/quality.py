"""What is learnt with the kernels beside what is learnt without them: the same scene, the same seeds.

The slow side trains in plain torch and plain Numba (test/reference/plain_step.py). Both are judged the same way: PSNR
of held-out views, and mIoU of the objects on the truth's points. The noise is what another seed makes of the same side.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test"))

from reference.plain_step import plain_everything

from ig_ros.config import Config
from ig_ros.datasets import open_dataset, split
from ig_ros.evaluation.held_out import render_held_out
from ig_ros.evaluation.offline import Budget, map_dataset, truth_score
from ig_ros.mapper import Mapper

SCENE = "sim:tabletop?seed=5&width=96&frames=24"
SEEDS, STEPS = 3, 200
SETTINGS = {
    "device": "cpu",
    "language.encoder": "none",
    "seeding.voxel": 0.08,  # m: few Gaussians, or the slow side would take an hour
    "training.growth_from": 10_000_000,  # no growth: the slow raster has no gradients of projected means
    "training.warmup_visits": 5,
    "training.joint_visits": 30,
    "keyframes.max_speed": 1000.0,
}
LEAST_NOISE = {"psnr": 0.05, "miou": 0.5}  # dB and per cent: seeds that happen to agree prove no smaller noise


def measure(quick: bool) -> dict[str, object]:
    """Figures of both sides over all seeds, and their difference in units of the noise."""
    seeds, steps = (2, 8) if quick else (SEEDS, STEPS)
    fast = [learnt(nullcontext, seed, steps) for seed in range(seeds)]
    slow = [learnt(plain_everything, seed, steps) for seed in range(seeds)]
    figures: dict[str, object] = {"quality_seeds": seeds, "quality_steps": steps}
    for place, name in enumerate(LEAST_NOISE):
        ours, truth = ([row[place] for row in side] for side in (fast, slow))
        figures |= {f"quality_{name}": ours, f"quality_{name}_slow": truth} | compared(name, ours, truth)
    return figures


def compared(name: str, ours: Sequence[float], slow: Sequence[float]) -> dict[str, float]:
    """Difference of the means, the larger side's range over seeds, and how the first compares with the second."""
    difference = float(np.mean(ours) - np.mean(slow))
    spread = float(max(np.ptp(ours), np.ptp(slow)))
    noise = max(spread, LEAST_NOISE[name])
    return {
        f"quality_{name}_difference": difference,
        f"quality_{name}_spread": spread,
        f"quality_{name}_vs_noise": max(-difference, 0.0) / noise,  # better than the slow path is no loss
    }


def learnt(path: Callable[[], AbstractContextManager[None]], seed: int, steps: int) -> tuple[float, float]:
    """PSNR of held-out views, dB, and mIoU of objects, per cent, of a map trained along a path."""
    dataset = open_dataset(SCENE)
    train, held = split(len(dataset))
    mapper = Mapper(Config.from_dict(SETTINGS | {"training.seed": seed}))
    with path():
        map_dataset(mapper, dataset, train, Budget(steps=steps))
    frozen = mapper.freeze()
    snapshot = mapper.instantiate(frozen)
    views = [render_held_out(mapper, frozen, snapshot, dataset[i]) for i in held]
    assert dataset.truth is not None
    return float(np.mean([v.psnr for v in views])), float(truth_score(snapshot, dataset.truth)["instance"]["miou"])

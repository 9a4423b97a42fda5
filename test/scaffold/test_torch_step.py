"""A training step in plain torch, as on other devices, teaches the map what the compiled kernels teach it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import orbit, small_config
from reference.gsplat_host import host_kernels
from reference.plain_step import plain_everything, plain_torch

from ig_ros.mapper import Mapper
from ig_ros.raster import gsplat_backend
from ig_ros.raster.request import make_request
from ig_ros.scaffold import trainer
from ig_ros.types import RenderResult

STEPS = 12


def curve(steps: int = STEPS, **changes: object) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Colour losses of some steps through all phases, and everything learnt."""
    m = Mapper(small_config(**{"training__warmup_visits": 2, "training__joint_visits": 6, **changes}))
    for frame in orbit(4):
        m.add_frame(frame)
    results = [m.train_step() for _ in range(steps)]
    return [r.loss for r in results if r is not None], m.scaffold.anchors.state() | m.scaffold.decoder.state_dict()


@pytest.mark.parametrize("changes", [{}, {"training__joint_visits": 1000}])
def test_plain_torch_trains_the_same_map(changes: dict[str, object]) -> None:
    ours, learnt = curve(**changes)
    with plain_torch():
        truth, expected = curve(**changes)
    assert len(ours) == len(truth) == STEPS
    assert ours[:2] == pytest.approx(truth[:2], rel=1e-5)
    assert ours == pytest.approx(truth, rel=1e-2)
    for name, tensor in expected.items():
        assert learnt[name].shape == tensor.shape, name
        if name.startswith(("data.visits", "data.lessons", "data.uid")):
            assert torch.equal(learnt[name], tensor), name
        elif tensor.is_floating_point() and not name.startswith(("moment", "data.gradient")):
            # Adam turns the sign of a tiny gradient into a whole step: most values agree closely, not all.
            gap = (learnt[name] - tensor).abs().flatten()
            assert float(gap.median()) <= 1e-3 * max(float(tensor.abs().max()), 1e-3), name


def test_the_slow_side_of_the_quality_comparison_learns_the_same_beyond_noise() -> None:
    """The same first losses with gated semantics; afterwards rounding takes its own way."""
    ours, _ = curve(training__growth_from=1000)
    with plain_everything():
        slow, _ = curve(training__growth_from=1000)
    assert slow[:2] == pytest.approx(ours[:2], rel=1e-4)
    assert slow == pytest.approx(ours, rel=2e-2)
    assert slow[-1] != ours[-1], "another code has run"


def test_the_steps_of_a_gpu_learn_what_the_kernels_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """gsplat's Python on host kernels, torch's decoder, losses and Adam: growth's statistics too."""

    def on_gpu(g: Any, T: Any, camera: Any, *, near: float, screen: Any, **gate: Any) -> RenderResult:
        return gsplat_backend.render(
            make_request(g, T, camera, near, gate["gated_channels"], gate["geometry_gate"]), screen
        )

    changes = {"seeding__voxel": 0.1, "training__warmup_visits": 1, "training__joint_visits": 2}
    ours, learnt = curve(4, **changes)
    monkeypatch.setattr(trainer, "rasterize", on_gpu)
    with plain_torch(), host_kernels():
        truth, expected = curve(4, **changes)
    assert ours == pytest.approx(truth, rel=5e-3)
    assert ours != truth, "another code has run"
    # Visible is what reaches a tile here, what reaches a pixel there: the counts differ by Gaussians at the border.
    for name, tolerance in (("gradient_sum", 0.02), ("gradient_count", 0.1), ("opacity", 0.02)):
        found, wanted = learnt[f"data.{name}"], expected[f"data.{name}"]
        assert float((found - wanted).norm() / wanted.norm()) < tolerance, name

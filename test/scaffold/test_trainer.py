"""Training on a textured ground: losses fall, phases follow the anchors' age, the same seed gives the same map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import ground_labels, orbit, small_config

from ig_ros.mapper import Mapper
from ig_ros.scaffold.trainer import decay


def mapper(**changes: object) -> Mapper:
    made = Mapper(small_config(**changes))
    for frame in orbit(4):
        made.add_frame(frame)
    return made


def losses(m: Mapper, steps: int) -> list[float]:
    results = [m.train_step() for _ in range(steps)]
    return [r.loss for r in results if r is not None]


def test_training_lowers_the_loss_and_counts_steps() -> None:
    m = mapper()
    curve = losses(m, 80)
    assert m.trainer.step == len(curve) == 80
    assert np.mean(curve[-10:]) < 0.4 * np.mean(curve[:3])
    view = m.keyframes.items[1]
    rendered = m.scaffold.render(view.camera, view.T_world_camera)
    error = (rendered.features[..., :3] - view.rgb.float() / 255).abs()
    assert float(error.median()) < 0.05
    assert view.depth is not None
    off = ((rendered.depth - rendered.alpha * view.depth.float()) / view.depth.float()).abs()
    assert float(off.median()) < 0.02
    for name, p in m.scaffold.anchors.parameters.items():
        assert bool(torch.isfinite(p).all()), name


def test_nothing_to_train_is_no_step() -> None:
    m = Mapper(small_config())
    assert m.train_step() is None
    assert m.trainer.step == 0
    m.add_frame(orbit(2, depth=False)[0])
    assert m.train_step() is None  # a keyframe, but no anchors yet


def test_young_anchors_keep_their_feature_then_it_learns() -> None:
    m = mapper(training__warmup_visits=10, training__joint_visits=10_000)
    before = m.scaffold.anchors.parameters["feature"].clone()
    losses(m, 9)
    assert torch.equal(m.scaffold.anchors.parameters["feature"], before)
    losses(m, 20)
    moved = (m.scaffold.anchors.parameters["feature"] - before).norm(dim=1)
    x, y = m.scaffold.anchors.data["position"][:, :2].unbind(1)
    labels = torch.from_numpy(ground_labels(x.numpy(), y.numpy()))
    assert float((moved[labels > 0] > 0.01).float().mean()) > 0.8
    assert not moved[(y.abs() > 0.3)].any()  # no mask has ever shown that ground


STARTS_JOINT = {"training__warmup_visits": 0, "training__joint_visits": 3}


def trained(steps: int = 15, **changes: object) -> dict[str, torch.Tensor]:
    """Everything a mapper has learnt after some steps."""
    m = mapper(**changes)
    losses(m, steps)
    return m.scaffold.anchors.state() | m.scaffold.decoder.state_dict()


def moved_by_masks(weight: float = 5.0, **changes: object) -> set[str]:
    """Names of what differs when the contrast loss counts from when it does not, after up to five steps of phase 3."""
    with_masks, without = (trained(8, training__contrast_weight=w, **changes) for w in (weight, 0.0))
    return {name for name, tensor in with_masks.items() if not torch.equal(tensor, without[name])}


def test_phase_2_moves_features_alone() -> None:
    """Geometry stays bit for bit where colour and depth put it."""
    moved = moved_by_masks(training__warmup_visits=0, training__joint_visits=10_000)
    assert moved == {"parameter.feature", "moment0.feature", "moment1.feature"}


def test_phase_3_moves_geometry_but_masks_have_no_say_in_colour() -> None:
    moved = moved_by_masks(**STARTS_JOINT, training__smooth_weight=0.0)
    geometry = {f"parameter.{n}" for n in ("feature", "offsets", "log_scale", "embedding")}
    mlps = {
        f"{mlp}.{layer}.{kind}" for mlp in ("opacity", "covariance") for layer in (0, 2) for kind in ("weight", "bias")
    }
    assert geometry | mlps <= moved


def test_the_first_joint_step_leaves_the_colour_mlp_alone() -> None:
    """Later ones see another picture, so colour follows; the feature losses themselves never move it."""
    changes = {"training__warmup_visits": 0, "training__joint_visits": 0}
    first = [trained(1, training__contrast_weight=w, **changes) for w in (5.0, 0.0)]
    moved = {name for name, tensor in first[0].items() if not torch.equal(tensor, first[1][name])}
    assert "parameter.offsets" in moved
    assert not any(name.startswith("color.") or name == "parameter.color" for name in moved)


@pytest.mark.parametrize(("steps", "phase"), [(9, 1), (19, 2), (24, 3)])
def test_phases_by_step_begin_for_the_whole_map_at_once(steps: int, phase: int) -> None:
    changes = {"training__phases": "step", "training__warmup_visits": 10, "training__joint_visits": 20}
    ends = [trained(steps, training__contrast_weight=w, **changes) for w in (5.0, 0.0)]
    lessons = ends[0]["data.lessons"]
    assert bool(lessons.any()) == (phase > 1)
    assert int(lessons.max()) <= max(steps - 10, 0)
    assert torch.equal(ends[0]["parameter.feature"], ends[1]["parameter.feature"]) == (phase == 1)
    assert torch.equal(ends[0]["parameter.offsets"], ends[1]["parameter.offsets"]) == (phase < 3)


def test_a_late_start_of_the_features_is_no_leap() -> None:
    """Adam's first step is the rate whatever the anchor's age: the bias is corrected by the feature's own steps."""
    m = mapper(training__warmup_visits=0, training__joint_visits=10_000, training__lr_feature=0.01)
    m.scaffold.anchors.data["visits"] += 5000
    before = m.scaffold.anchors.parameters["feature"].clone()
    losses(m, 1)
    step = (m.scaffold.anchors.parameters["feature"] - before).abs()
    assert float(step.max()) == pytest.approx(0.01, rel=1e-3)


def test_what_is_counted_before_growth_begins_does_not_count() -> None:
    eager = {"training__growth_every": 10, "training__growth_gradient": 1e-6}
    late = mapper(**eager, training__growth_from=30)
    started = len(late.scaffold.anchors)
    losses(late, 20)
    assert len(late.scaffold.anchors) == started
    assert not late.scaffold.anchors.data["gradient_count"].any()
    losses(late, 10)
    assert len(late.scaffold.anchors) > started


def test_trained_features_separate_the_cards() -> None:
    m = mapper(training__growth_from=1000)
    losses(m, 150)
    position = m.scaffold.anchors.data["position"]
    feature = torch.nn.functional.normalize(m.scaffold.anchors.parameters["feature"], dim=1) / 2
    red, blue = ((position[:, :2] - torch.tensor([x, 0.0])).abs().amax(1) < 0.11 for x in (-0.25, 0.25))
    between = (feature[red].mean(0) - feature[blue].mean(0)).norm()
    within = max(float((feature[s] - feature[s].mean(0)).norm(dim=1).mean()) for s in (red, blue))
    assert float(between) > 3 * within
    assert float(between) > 0.15


def test_the_same_seed_trains_the_same_map_and_another_seed_another() -> None:
    curves = []
    for seed in (0, 0, 1):
        m = mapper(training__seed=seed)
        curves.append((losses(m, 25), m.scaffold.anchors.state()))
    assert curves[0][0] == curves[1][0]
    for name, tensor in curves[0][1].items():
        assert torch.equal(tensor, curves[1][1][name]), name
    assert curves[0][0] != curves[2][0]


def test_growth_keeps_within_max_anchors() -> None:
    eager = {"training__growth_from": 0, "training__growth_every": 10, "training__growth_gradient": 1e-6}
    free = mapper(**eager)
    started = len(free.scaffold.anchors)
    losses(free, 20)
    assert len(free.scaffold.anchors) > started
    tight = mapper(**eager, seeding__max_anchors=started + 5)
    losses(tight, 20)
    assert len(tight.scaffold.anchors) == started + 5
    assert len(tight.scaffold.anchors.data["uid"].unique()) == started + 5


def test_a_view_of_nothing_is_a_step_without_gaussians() -> None:
    m = mapper()
    for keyframe in m.keyframes.items:
        keyframe.T_world_camera[2, 3] = -5.0  # below the ground, looking further down
    result = m.train_step()
    assert result is not None
    assert result.gaussians == 0
    assert result.step == 1


@pytest.mark.parametrize(("step", "expected"), [(0, 1e-2), (50, 1e-3), (100, 1e-4), (1000, 1e-4)])
def test_rates_decay_exponentially_to_a_floor(step: int, expected: float) -> None:
    config = small_config(training__decay_steps=100).training
    assert decay(1e-2, 1e-4, step, config) == pytest.approx(expected)
    assert decay(0.0, 1e-4, step, config) == 0.0

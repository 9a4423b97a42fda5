"""Refinement of a codebook: sub-objects of one mask move together, those of different masks apart, others stay."""

from __future__ import annotations

import pytest
import torch
from helpers import CARDS, HALF, orbit, small_config

from ig_ros.mapper import Mapper
from ig_ros.scaffold.codebook_refinement import refine

STEPS = 60
OUTSIDE = 4  # sub-object of everything that is on no card


@pytest.fixture(scope="module")
def world() -> tuple[Mapper, torch.Tensor]:
    """A mapped ground and the sub-object of each Gaussian: both cards cut into halves (0, 1 and 2, 3), the rest."""
    mapper = Mapper(small_config(instances__refine_steps=STEPS))
    for frame in orbit(4):
        mapper.add_frame(frame)
    for _ in range(40):
        mapper.train_step()
    means = mapper.scaffold.canonical().means
    sub = torch.full((len(means),), OUTSIDE)
    for number, (_, (x, y)) in CARDS.items():
        inside = ((means[:, :2] - torch.tensor([x, y])).abs() < HALF).all(1)
        sub = torch.where(inside, 2 * (number - 1) + (means[:, 1] > y).long(), sub)
    return mapper, sub


def start() -> torch.Tensor:
    """Half-space features: the two halves of a card as unlike as the two cards."""
    return torch.nn.functional.normalize(torch.rand(5, 6, generator=torch.Generator().manual_seed(3)), dim=1) / 2


def run(world: tuple[Mapper, torch.Tensor], seed: int = 0, keyframes: int = 4) -> torch.Tensor:
    mapper, sub = world
    items = mapper.keyframes.items[:keyframes]
    random = torch.Generator().manual_seed(seed)
    return refine(mapper.scaffold.canonical(), sub, start(), items, mapper.config, random)


def test_parts_of_a_thing_meet_and_things_part(world: tuple[Mapper, torch.Tensor]) -> None:
    before, after = (torch.cdist(f, f) for f in (start(), run(world)))
    assert after[0, 1] < 0.7 * before[0, 1]
    assert after[2, 3] < 0.7 * before[2, 3]
    assert after[:2, 2:4].min() > 1.2 * torch.maximum(after[0, 1], after[2, 3])
    assert after[:2, 2:4].mean() > before[:2, 2:4].mean()


def test_what_no_mask_shows_stays_and_all_are_half_space(world: tuple[Mapper, torch.Tensor]) -> None:
    after = run(world)
    assert after.shape == (5, 6)
    assert torch.allclose(after.norm(dim=1), torch.full((5,), 0.5), atol=1e-5)
    moved = (after - start()).norm(dim=1)
    assert float(moved[:4].min()) > 0.01
    assert torch.equal(run(world), after)
    assert not torch.equal(run(world, seed=1), after)


def test_without_masks_or_steps_features_come_back(world: tuple[Mapper, torch.Tensor]) -> None:
    assert torch.allclose(run(world, keyframes=0), start(), atol=1e-6)


def test_gaussians_without_a_sub_object_teach_nothing(world: tuple[Mapper, torch.Tensor]) -> None:
    mapper, sub = world
    none = torch.full_like(sub, -1)
    random = torch.Generator().manual_seed(0)
    after = refine(mapper.scaffold.canonical(), none, start(), mapper.keyframes.items, mapper.config, random)
    assert torch.allclose(after, start(), atol=1e-6)


def test_the_map_is_left_alone(world: tuple[Mapper, torch.Tensor]) -> None:
    before = {n: t.clone() for n, t in world[0].scaffold.anchors.state().items()}
    features = start()
    run(world)
    assert torch.equal(features, start())
    for name, tensor in world[0].scaffold.anchors.state().items():
        assert torch.equal(tensor, before[name]), name

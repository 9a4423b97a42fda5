"""Growth plants where children are pulled about, pruning removes what is not drawn; both keep the rows in step."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from ig_ros.config import ScaffoldConfig, SeedingConfig, TrainingConfig
from ig_ros.scaffold import AnchorStore, NewAnchors
from ig_ros.scaffold.growth import grow, prune

CONFIG = TrainingConfig()
MANY = dataclasses.replace(SeedingConfig(), max_anchors=1_000_000)


def line(n: int = 10) -> AnchorStore:
    """n anchors, ten voxels apart, their children pulled outwards into empty ground."""
    anchors = AnchorStore(ScaffoldConfig(), torch.device("cpu"), torch.Generator().manual_seed(0))
    position = torch.zeros(n, 3)
    position[:, 0] = torch.arange(n) * 0.2 + 0.01
    color = torch.linspace(0.1, 0.9, n)[:, None].expand(n, 3)
    anchors.append(NewAnchors(position, color, torch.full((n,), 0.02), torch.arange(n)))
    anchors.parameters["offsets"] = torch.tensor([0.0, 1.5, 0]) + anchors.parameters["offsets"]
    return anchors


def pull(anchors: AnchorStore, row: int, strength: float, steps: int = 10) -> None:
    anchors.data["gradient_sum"][row] = strength * steps
    anchors.data["gradient_count"][row] = steps


def run(anchors: AnchorStore, seeding: SeedingConfig = MANY, config: TrainingConfig = CONFIG, seed: int = 0) -> int:
    return grow(anchors, config, seeding, torch.Generator().manual_seed(seed))


def assert_in_step(anchors: AnchorStore) -> None:
    lengths = {len(t) for t in (*anchors.parameters.values(), *anchors.data.values())}
    lengths |= {len(m) for pair in anchors.moments.values() for m in pair}
    assert lengths == {len(anchors)}
    assert len(anchors.data["uid"].unique()) == len(anchors)


def test_nothing_grows_where_nothing_pulls() -> None:
    anchors = line()
    pull(anchors, 3, 0.5 * CONFIG.growth_gradient)
    pull(anchors, 5, 100 * CONFIG.growth_gradient, steps=CONFIG.growth_seen)
    assert run(anchors) == 0
    assert len(anchors) == 10


def test_a_pulled_anchor_multiplies_near_itself_and_hands_its_nature_on() -> None:
    anchors = line()
    pull(anchors, 4, 100 * CONFIG.growth_gradient)
    planted = run(anchors)
    assert planted == len(anchors) - 10 > 0
    assert_in_step(anchors)
    parent = anchors.data["position"][4]
    assert float((anchors.data["position"][10:] - parent).norm(dim=1).max()) < 3 * 0.02
    assert anchors.data["owner"][10:].tolist() == [4] * planted
    assert torch.allclose(
        anchors.parameters["feature"][10:], anchors.parameters["feature"][4].expand(planted, -1), atol=1e-6
    )
    assert torch.allclose(
        anchors.parameters["color"][10:], anchors.parameters["color"][4].expand(planted, -1), atol=1e-4
    )
    assert set((anchors.data["edge"][10:] / 0.02).log2().round().int().tolist()) <= {0, -1, -2}


def test_a_new_count_starts_after_growth() -> None:
    anchors = line()
    pull(anchors, 4, 100 * CONFIG.growth_gradient)
    run(anchors)
    assert not anchors.data["gradient_sum"].any()
    assert not anchors.data["gradient_count"].any()
    before = len(anchors)
    assert run(anchors) == 0
    assert len(anchors) == before


def test_one_anchor_per_cell_however_often_it_pulls() -> None:
    anchors = line()
    for i in range(30):
        pull(anchors, 4, 100 * CONFIG.growth_gradient)
        grow(anchors, CONFIG, MANY, torch.Generator().manual_seed(i))
    saturated = len(anchors)
    for i in range(30):
        pull(anchors, 4, 100 * CONFIG.growth_gradient)
        grow(anchors, CONFIG, MANY, torch.Generator().manual_seed(100 + i))
    assert len(anchors) == saturated
    assert saturated - 10 <= 3 * 5  # five children, three levels
    cells = torch.cat(
        [(anchors.data["position"] / anchors.data["edge"][:, None]).floor(), anchors.data["edge"][:, None]], 1
    )
    assert len(cells.unique(dim=0)) == len(anchors)


@pytest.mark.parametrize("limit", [3, 10, 12, 25])
def test_max_anchors_is_honoured(limit: int) -> None:
    anchors = line()
    for row in range(10):
        pull(anchors, row, 100 * CONFIG.growth_gradient)
    planted = run(anchors, dataclasses.replace(MANY, max_anchors=limit))
    assert len(anchors) == max(10, min(limit, 10 + planted))
    assert planted == max(0, limit - 10)
    assert_in_step(anchors)


def test_only_visited_and_transparent_anchors_are_pruned() -> None:
    anchors = line()
    config = dataclasses.replace(CONFIG, prune_opacity=0.01, prune_visits=80)
    anchors.data["visits"][:] = torch.tensor([0, 0, 100, 100, 100, 81, 80, 200, 5, 5])
    anchors.data["opacity"][:] = torch.tensor([0, 1, 0, 1, 0.02, 0.001, 0.0, 0.009, 0, 1.0])
    uids = anchors.data["uid"].tolist()
    assert prune(anchors, config) == 3
    assert anchors.data["uid"].tolist() == [u for u in uids if u not in (2, 5, 7)]
    assert_in_step(anchors)
    assert prune(anchors, config) == 0

"""Growth plants where children are pulled about, pruning removes what is not drawn; both keep the rows in step."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from ig_ros.config import ScaffoldConfig, SeedingConfig, TrainingConfig
from ig_ros.scaffold import AnchorStore, NewAnchors
from ig_ros.scaffold.densification import CELLS, PRUNE_VISITS, SEEN, grow, prune

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
    pull(anchors, 5, 100 * CONFIG.growth_gradient, steps=SEEN)
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
    config = dataclasses.replace(CONFIG, prune_opacity=0.01)
    assert PRUNE_VISITS == 80
    anchors.data["visits"][:] = torch.tensor([0, 0, 100, 100, 100, 81, 80, 200, 5, 5])
    anchors.data["opacity"][:] = torch.tensor([0, 1, 0, 1, 0.02, 0.001, 0.0, 0.009, 0, 1.0])
    uids = anchors.data["uid"].tolist()
    assert prune(anchors, config) == 3
    assert anchors.data["uid"].tolist() == [u for u in uids if u not in (2, 5, 7)]
    assert_in_step(anchors)
    assert prune(anchors, config) == 0


def test_children_propose_at_level_m_with_probability_1_minus_half_to_the_m_plus_1() -> None:
    """A level fills the cell of a child that no level before it has filled."""
    anchors = line(2000)
    anchors.parameters["offsets"][:, 1] += 4.0  # one child of each pulls, out in free ground
    anchors.data["gradient_sum"][:, 1], anchors.data["gradient_count"][:, 1] = 10 * 5.0 * CONFIG.growth_gradient, 10.0
    grow(anchors, CONFIG, MANY, torch.Generator().manual_seed(1))
    size = (anchors.data["edge"][2000:] / 0.02).tolist()
    shares = [size.count(cell) / 2000 for cell in CELLS]
    assert shares == pytest.approx([0.5, 0.75 * 0.5, 0.875 * 0.5 * 0.25], abs=0.03)


def test_children_drawn_too_rarely_go_on_counting() -> None:
    anchors = line()
    pull(anchors, 4, 100 * CONFIG.growth_gradient, steps=SEEN - 1)
    assert run(anchors) == 0
    assert bool((anchors.data["gradient_count"][4] == SEEN - 1).all())
    pull(anchors, 4, 100 * CONFIG.growth_gradient, steps=SEEN + 1)
    assert run(anchors) > 0
    assert not anchors.data["gradient_count"].any()


def test_old_anchors_propose_none() -> None:
    for age, grows in ((500, True), (501, False)):
        anchors = line()
        anchors.data["visits"] += age
        pull(anchors, 4, 100 * CONFIG.growth_gradient, steps=100)
        assert (run(anchors) > 0) == grows


def test_survivors_of_growth_and_pruning_keep_everything_and_new_rows_start_fresh() -> None:
    anchors = line()
    random = torch.Generator().manual_seed(5)
    for name, (first, second) in anchors.moments.items():
        first.copy_(torch.rand(first.shape, generator=random))
        second.copy_(torch.rand(second.shape, generator=random))
        assert anchors.parameters[name].shape == first.shape
    anchors.data["visits"] += torch.arange(10, dtype=torch.int32) + 100
    anchors.data["lessons"] += torch.arange(10, dtype=torch.int32) + 10
    anchors.data["opacity"][[2, 7]] = 0.0
    pull(anchors, 4, 100 * CONFIG.growth_gradient)
    pull(anchors, 5, 100 * CONFIG.growth_gradient, steps=SEEN)
    before = {n: t.clone() for n, t in anchors.state().items()}
    planted = run(anchors)
    assert planted > 0
    assert prune(anchors, CONFIG) == 2
    after, kept = anchors.state(), [0, 1, 3, 4, 5, 6, 8, 9]
    assert len(anchors) == 8 + planted
    for name, tensor in after.items():
        if name not in ("next_uid", "origin", "data.gradient_sum", "data.gradient_count"):
            assert torch.equal(tensor[:8], before[name][kept]), name
        if name.startswith("moment") or name in ("data.visits", "data.lessons", "data.gradient_sum"):
            assert not tensor[8:].any(), name
    assert bool((anchors.data["gradient_count"][4] == SEEN).all())  # uid 5, two rows up
    assert after["data.uid"][8:].tolist() == list(range(10, 10 + planted))

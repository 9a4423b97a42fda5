"""Anchor rows: whatever adds, removes or moves them keeps parameters, moments and bookkeeping in step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_ros.config import ScaffoldConfig
from ig_ros.scaffold.anchors import AnchorStore, NewAnchors

CPU = torch.device("cpu")


def store(seed: int = 0, config: ScaffoldConfig | None = None) -> AnchorStore:
    return AnchorStore(config or ScaffoldConfig(), CPU, torch.Generator().manual_seed(seed))


def seeds(n: int, at: float = 0.0, owner: int = 3) -> NewAnchors:
    random = torch.Generator().manual_seed(n)
    position = torch.rand(n, 3, generator=random) + at
    return NewAnchors(position, torch.rand(n, 3, generator=random), torch.full((n,), 0.02), torch.full((n,), owner))


def assert_in_step(anchors: AnchorStore) -> None:
    n = len(anchors)
    for name, p in anchors.parameters.items():
        assert len(p) == n, name
        assert [m.shape for m in anchors.moments[name]] == [p.shape, p.shape], name
    assert {name: len(d) for name, d in anchors.data.items()} == dict.fromkeys(anchors.data, n)
    uid = anchors.data["uid"]
    assert len(uid.unique()) == n


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2**12 - 1)), min_size=1, max_size=6))
def test_any_sequence_keeps_rows_in_step_and_never_reuses_a_uid(moves: list[tuple[int, int]]) -> None:
    anchors = store()
    born: set[int] = set()
    for n, bits in moves:
        before = set(anchors.data["uid"].tolist())
        anchors.append(seeds(n))
        new = set(anchors.data["uid"].tolist()) - before
        assert len(new) == n
        assert not new & born
        born |= new
        assert_in_step(anchors)
        kept = torch.tensor([bool(bits >> i & 1) for i in range(len(anchors))], dtype=torch.bool)
        left = anchors.data["uid"][kept].tolist()
        anchors.keep(kept)
        assert anchors.data["uid"].tolist() == left
        assert_in_step(anchors)


def test_append_leaves_old_rows_alone_and_starts_new_ones_fresh() -> None:
    anchors = store()
    anchors.append(seeds(5))
    for name in anchors.parameters:
        anchors.moments[name][0].fill_(0.5)
    anchors.data["visits"].fill_(9)
    old = {n: p.clone() for n, p in anchors.parameters.items()}
    new = seeds(3, at=5.0, owner=8)
    anchors.append(new)
    for name, p in anchors.parameters.items():
        assert torch.equal(p[:5], old[name])
        assert not anchors.moments[name][0][5:].any()
        assert bool((anchors.moments[name][0][:5] == 0.5).all())
    assert torch.equal(anchors.data["position"][5:], new.position)
    assert anchors.data["owner"][5:].tolist() == [8, 8, 8]
    assert anchors.data["visits"].tolist() == [9] * 5 + [0] * 3
    assert torch.allclose(torch.sigmoid(anchors.parameters["color"][5:]), new.color.clamp(0.02, 0.98), atol=1e-6)
    assert torch.allclose(anchors.parameters["log_scale"][5:].exp(), torch.full((3, 6), 0.02))


def test_keep_drops_the_same_rows_everywhere() -> None:
    anchors = store()
    anchors.append(seeds(6))
    for name, (first, second) in anchors.moments.items():
        first.copy_(torch.rand_like(first))
        second.copy_(torch.rand_like(second))
        assert anchors.parameters[name].shape == first.shape
    before = anchors.state()
    mask = torch.tensor([True, False, True, False, False, True])
    anchors.keep(mask)
    after = anchors.state()
    for name in before:
        expected = before[name] if name in ("next_uid", "origin") else before[name][mask]
        assert torch.equal(after[name], expected), name


def test_given_features_and_embeddings_are_taken_over_and_others_vary_smoothly() -> None:
    anchors = store()
    position = torch.tensor([[0.0, 0, 0], [0.005, 0, 0], [1.0, 0.7, 0.4]])
    anchors.append(NewAnchors(position, torch.rand(3, 3), torch.full((3,), 0.02), torch.zeros(3)))
    f = anchors.parameters["feature"]
    assert torch.allclose(f.norm(dim=1), torch.ones(3), atol=1e-5)
    assert (f >= 0).all()
    assert (f[0] - f[1]).norm() < 0.1 * (f[0] - f[2]).norm()
    feature, embedding = torch.rand(2, 6), torch.rand(2, 32)
    anchors.append(
        NewAnchors(torch.rand(2, 3), torch.rand(2, 3), torch.full((2,), 0.02), torch.zeros(2), embedding, feature)
    )
    assert torch.equal(anchors.parameters["feature"][3:], feature)
    assert torch.equal(anchors.parameters["embedding"][3:], embedding)


@pytest.mark.parametrize("keep", [0, 2, 9])
def test_first_cuts_every_column(keep: int) -> None:
    n = 4
    full = seeds(n)
    rows = NewAnchors(full.position, full.color, full.edge, full.owner, torch.rand(n, 32), torch.rand(n, 6))
    cut = rows.first(keep)
    assert cut.embedding is not None
    assert cut.feature is not None
    columns = (cut.position, cut.color, cut.edge, cut.owner, cut.embedding, cut.feature)
    assert {len(c) for c in columns} == {min(keep, n)}
    assert torch.equal(cut.position, rows.position[:keep])


@pytest.mark.parametrize("name", ["offsets", "log_scale", "embedding", "color", "feature"])
def test_adam_step_is_torch_adam_on_the_rows_in_view(name: str) -> None:
    anchors = store()
    anchors.append(seeds(7))
    rows = torch.tensor([1, 4, 6])
    truth = anchors.parameters[name][rows].clone().requires_grad_()
    adam = torch.optim.Adam([truth], lr=0.01, betas=(0.9, 0.999), eps=1e-15)
    untouched = [0, 2, 3, 5]
    before = anchors.state()
    for i in range(4):
        gradient = torch.randn(truth.shape, generator=torch.Generator().manual_seed(i))
        anchors.data["lessons" if name == "feature" else "visits"][rows] += 1
        anchors.adam_step(rows, {name: gradient}, {name: 0.01})
        truth.grad = gradient
        adam.step()
    assert torch.allclose(anchors.parameters[name][rows], truth.detach(), atol=1e-6)
    after = anchors.state()
    for key in ("parameter", "moment0", "moment1"):
        assert torch.equal(after[f"{key}.{name}"][untouched], before[f"{key}.{name}"][untouched])
    assert_in_step(anchors)


def test_state_round_trip_goes_on_counting_uids() -> None:
    anchors = store()
    anchors.append(seeds(4))
    anchors.keep(torch.tensor([True, True, False, False]))
    copy = store(seed=1)
    copy.load_state(anchors.state())
    for name, tensor in anchors.state().items():
        assert torch.equal(copy.state()[name], tensor), name
    copy.append(seeds(2))
    assert copy.data["uid"].tolist() == [0, 1, 4, 5]


def test_empty_rows_are_harmless() -> None:
    anchors = store()
    anchors.append(seeds(0))
    anchors.keep(torch.zeros(0, dtype=torch.bool))
    assert len(anchors) == 0
    anchors.append(seeds(2))
    before = anchors.parameters["color"].clone()
    anchors.adam_step(torch.zeros(0, dtype=torch.int64), {"color": torch.zeros(0, 3)}, {"color": 0.1})
    assert torch.equal(anchors.parameters["color"], before)
    assert np.isfinite(before.numpy()).all()

"""Kernels on the anchors in view against plain torch: culling, gathering, book-keeping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import CAMERA, look_at

from ig_ros.config import ScaffoldConfig
from ig_ros.raster.view_rows import account_view, gather_rows, rows_in_view
from ig_ros.scaffold import NewAnchors, Scaffold
from ig_ros.scaffold.model import BORDER, NEAR
from ig_ros.scaffold.trainer import account_view_torch


@pytest.mark.parametrize("n", [0, 1, 31, 33, 5000])
def test_rows_in_view_are_those_of_torch_in_order(n: int) -> None:
    rng = np.random.default_rng(n)
    model = Scaffold(ScaffoldConfig(), torch.device("cpu"), seed=0)
    position = torch.from_numpy(rng.uniform(-2, 2, (n, 3))).float()
    edge = torch.from_numpy(rng.uniform(0.01, 0.2, n)).float()
    for _ in range(5):
        T = look_at(tuple(rng.uniform(-1, 1, 3)), tuple(rng.uniform(-1, 1, 3)))
        ours = rows_in_view(position, edge, CAMERA, T, NEAR, BORDER)
        assert torch.equal(ours, model._in_view_torch(position, edge, CAMERA, T))
    if n > 1000:
        assert 0 < len(ours) < n


def test_an_anchor_that_is_nowhere_is_not_in_view() -> None:
    position = torch.tensor([[torch.nan, 0.0, 0.0], [0.0, 0.0, 0.0]])
    T = look_at((0.0, -0.3, 1.0), (0.0, 0.0, 0.0))
    assert rows_in_view(position, torch.full((2,), 0.02), CAMERA, T, NEAR, BORDER).tolist() == [1]


@pytest.mark.parametrize("n", [0, 1, 77])
def test_gathering_is_indexing(n: int) -> None:
    tables = [torch.rand(100, *shape) for shape in [(), (3,), (5, 3), (32,)]]
    rows = torch.randperm(100)[:n]
    for found, table in zip(gather_rows(tables, rows), tables, strict=True):
        assert torch.equal(found, table[rows])


def test_what_is_gathered_is_a_copy() -> None:
    model = Scaffold(ScaffoldConfig(), torch.device("cpu"), seed=0)
    model.anchors.append(NewAnchors(torch.rand(4, 3), torch.rand(4, 3), torch.full((4,), 0.02), torch.zeros(4)))
    leaves, position, edge = model.anchors.gather(torch.tensor([2, 0]))
    assert torch.equal(edge, model.anchors.data["edge"][[2, 0]])
    assert torch.equal(position, model.anchors.data["position"][[2, 0]])
    leaves["embedding"].fill_(9.0)
    assert not model.anchors.parameters["embedding"].any()


@pytest.mark.parametrize("growing", [False, True])
@pytest.mark.parametrize("n", [0, 1, 60])
def test_the_books_are_those_of_torch(n: int, growing: bool) -> None:
    random = torch.Generator().manual_seed(n)
    data = {
        "opacity": torch.rand(100, generator=random),
        "gradient_sum": torch.rand(100, 5, generator=random),
        "gradient_count": torch.rand(100, 5, generator=random),
    }
    truth = {name: t.clone() for name, t in data.items()}
    rows = torch.randperm(100, generator=random)[:n]
    opacities = torch.rand(5 * n, generator=random)
    screen = (torch.randn(5 * n, 2, generator=random), torch.rand(5 * n, generator=random) > 0.3) if growing else None
    account_view(data, rows, opacities, 0.95, screen, (320, 240))
    account_view_torch(truth, rows, opacities, 0.95, screen, (320, 240))
    for name, expected in truth.items():
        assert torch.allclose(data[name], expected, rtol=1e-5), name

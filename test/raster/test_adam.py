"""Compiled Adam on rows against its torch reference and against torch.optim.Adam."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_ros.raster import RowStep, adam_rows
from ig_ros.raster.adam import adam_rows_torch

Table = tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor]


def table(n: int, width: tuple[int, ...], seed: int) -> Table:
    """Parameter, moments and visits of a table in the middle of its training."""
    random = torch.Generator().manual_seed(seed)
    parameter, first, second = (torch.randn(n, *width, generator=random) for _ in range(3))
    return parameter, (first, second.square()), torch.randint(1, 50, (n,), generator=random, dtype=torch.int32)


def compiled(rows: torch.Tensor, step: RowStep) -> None:
    adam_rows(rows, [step])


def copy(t: Table) -> Table:
    return t[0].clone(), (t[1][0].clone(), t[1][1].clone()), t[2].clone()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 300),
    width=st.sampled_from([(), (1,), (3,), (6,), (5, 3), (32,), (33,)]),
    share=st.floats(0.0, 1.0),
    per_row=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_compiled_equals_the_reference_and_spares_other_rows(
    n: int, width: tuple[int, ...], share: float, per_row: bool, seed: int
) -> None:
    ours, truth, before = (table(n, width, seed) for _ in range(3))
    random = torch.Generator().manual_seed(seed + 1)
    rows = torch.randperm(n, generator=random)[: int(share * n)]
    gradient = torch.randn(len(rows), *width, generator=random)
    rate = torch.rand(len(rows), generator=random) * 0.1 if per_row else 0.01
    compiled(rows, RowStep(*ours[:2], gradient, ours[2], rate))
    adam_rows_torch(rows, RowStep(*truth[:2], gradient, truth[2], rate))
    for mine, theirs in zip((ours[0], *ours[1]), (truth[0], *truth[1]), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-6)
    rest = torch.ones(n, dtype=torch.bool)
    rest[rows] = False
    for mine, old in zip((ours[0], *ours[1]), (before[0], *before[1]), strict=True):
        assert torch.equal(mine[rest], old[rest])
    assert torch.equal(ours[2], before[2])


@pytest.mark.parametrize("step", [compiled, adam_rows_torch])
def test_many_steps_are_torch_adam(step: object) -> None:
    parameter = torch.randn(20, 7, generator=torch.Generator().manual_seed(0))
    truth = parameter.clone().requires_grad_()
    adam = torch.optim.Adam([truth], lr=0.02, eps=1e-15)
    moments = (torch.zeros(20, 7), torch.zeros(20, 7))
    visits = torch.zeros(20, dtype=torch.int32)
    for i in range(10):
        gradient = torch.randn(20, 7, generator=torch.Generator().manual_seed(i + 1))
        visits += 1
        step(torch.arange(20), RowStep(parameter, moments, gradient, visits, 0.02))  # type: ignore[operator]
        truth.grad = gradient
        adam.step()
    assert torch.allclose(parameter, truth.detach(), atol=2e-5)


def test_the_rate_of_each_row_is_its_own() -> None:
    parameter, moments, visits = torch.zeros(3, 2), (torch.zeros(3, 2), torch.zeros(3, 2)), torch.ones(3).int()
    rates = torch.tensor([0.5, 0.25])
    compiled(torch.tensor([2, 0]), RowStep(parameter, moments, torch.ones(2, 2), visits, rates))
    # The first bias-corrected step is the rate itself, whatever the gradient's size.
    assert torch.allclose(parameter, torch.tensor([[-0.25, -0.25], [0, 0], [-0.5, -0.5]]))


def test_a_late_row_starts_as_fast_as_an_early_one() -> None:
    parameter, moments = torch.zeros(2, 1), (torch.zeros(2, 1), torch.zeros(2, 1))
    visits = torch.zeros(2, dtype=torch.int32)
    for _ in range(100):
        visits[0] += 1
        compiled(torch.tensor([0]), RowStep(parameter, moments, torch.ones(1, 1), visits, 0.01))
    before = parameter.clone()
    visits += 1
    compiled(torch.tensor([0, 1]), RowStep(parameter, moments, torch.ones(2, 1), visits, 0.01))
    steps = before - parameter
    assert float(steps[1]) == pytest.approx(float(steps[0]), rel=1e-3)


def test_gradients_that_are_views_are_read_right() -> None:
    ours, truth = table(10, (3,), 5), table(10, (3,), 5)
    wide = torch.randn(4, 6)
    rows = torch.arange(10)[1:9:2]
    compiled(rows, RowStep(*ours[:2], wide[:, ::2], ours[2], 0.01))
    adam_rows_torch(rows, RowStep(*truth[:2], wide[:, ::2], truth[2], 0.01))
    assert torch.allclose(ours[0], truth[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("step", [compiled, adam_rows_torch])
def test_a_negative_rate_leaves_a_row_and_its_moments_as_they_are(step: object) -> None:
    parameter, moments, visits = table(6, (3,), 1)
    before = copy((parameter, moments, visits))
    rates = torch.tensor([0.1, -1.0, 0.1])
    step(torch.tensor([5, 2, 0]), RowStep(parameter, moments, torch.ones(3, 3), visits, rates))  # type: ignore[operator]
    for mine, old in zip((parameter, *moments), (before[0], *before[1]), strict=True):
        assert torch.equal(mine[2], old[2])
        assert not torch.equal(mine[0], old[0])


def test_several_tables_at_once_are_one_after_the_other() -> None:
    rows, rates = torch.tensor([7, 2, 4]), torch.tensor([0.1, -1.0, 0.2])
    widths, given = ((3,), (), (4, 2)), (0.01, rates, rates)
    ours, truth = ([table(9, width, seed) for seed, width in enumerate(widths)] for _ in range(2))
    gradients = [torch.randn(3, *width, generator=torch.Generator().manual_seed(9)) for width in widths]
    steps = [RowStep(*t[:2], g, t[2], r) for t, g, r in zip(ours, gradients, given, strict=True)]
    adam_rows(rows, steps)
    for t, g, r in zip(truth, gradients, given, strict=True):
        compiled(rows, RowStep(*t[:2], g, t[2], r))
    for mine, theirs in zip(ours, truth, strict=True):
        assert all(torch.equal(a, b) for a, b in zip((mine[0], *mine[1]), (theirs[0], *theirs[1]), strict=True))

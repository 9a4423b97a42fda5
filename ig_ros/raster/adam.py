"""Adam on the rows of tables that were in view: a compiled kernel on the CPU, torch on other devices."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ig_ros.raster.library import Library, load, threads

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-15  # decay of both moments, and what keeps the division finite [SG]


@dataclass(frozen=True, slots=True)
class RowStep:
    """What Adam needs to move some rows of one table."""

    parameter: torch.Tensor  # (N, ...)
    moments: tuple[torch.Tensor, torch.Tensor]  # likewise
    gradient: torch.Tensor  # (n, ...), of the rows
    visits: torch.Tensor  # (N,) int32, each row's steps including this one: corrects the bias
    rate: float | torch.Tensor  # one number, or one per row (n,), negative to leave that row as it is


@torch.no_grad()
def adam_rows(rows: torch.Tensor, steps: Sequence[RowStep]) -> None:
    """One Adam step [Kingma & Ba 2015] on `rows` (n,) int64, distinct, of every table, in place; others stay."""
    if not steps or not len(rows):
        return
    if rows.device.type != "cpu":
        for step in steps:
            adam_rows_torch(rows, step)
        return
    library = load()
    tables = [_table(library, step) for step in steps]
    library.call(
        "ig_adam_rows", tables, len(tables), rows.contiguous(), len(rows), BETA1, BETA2, EPSILON, threads()
    )  # fmt: skip


def _table(library: Library, step: RowStep) -> ctypes.Structure:
    gradient = step.gradient.float().contiguous()
    return library.struct(
        "AdamTable",
        parameter=step.parameter,
        first=step.moments[0],
        second=step.moments[1],
        gradient=gradient,
        visits=step.visits,
        rate=torch.tensor([step.rate]) if isinstance(step.rate, float) else step.rate.float().contiguous(),
        width=gradient[0].numel(),
        one_rate=isinstance(step.rate, float),
    )


def adam_rows_torch(rows: torch.Tensor, step: RowStep) -> None:
    """Moves one table as adam_rows does, in torch: for other devices and for the test of the kernel."""
    first, second = step.moments
    gradient, rate = step.gradient, step.rate
    if not isinstance(rate, float):
        moving = rate >= 0
        rows, gradient, rate = rows[moving], gradient[moving], rate[moving]
    shape = (-1, *[1] * (gradient.dim() - 1))
    age = step.visits[rows].clamp_min(1).to(gradient).view(shape)
    m = torch.lerp(gradient, first[rows], BETA1)
    v = torch.lerp(gradient.square(), second[rows], BETA2)
    first[rows], second[rows] = m, v
    denominator = (v / (1 - BETA2**age)).sqrt_().add_(EPSILON)
    length = rate if isinstance(rate, float) else rate.view(shape)
    step.parameter.index_add_(0, rows, (m / (1 - BETA1**age)).div_(denominator).mul_(length), alpha=-1.0)

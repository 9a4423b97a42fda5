"""Adam on the rows of tables that were in view: compiled on the CPU, plain torch elsewhere."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ig_ros.raster.library import address, load, threads

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-15  # [SG]


@dataclass(frozen=True, slots=True)
class RowStep:
    """What Adam needs to move some rows of one table."""

    parameter: torch.Tensor  # (N, ...)
    moments: tuple[torch.Tensor, torch.Tensor]  # likewise
    gradient: torch.Tensor  # (n, ...), of the rows
    visits: torch.Tensor  # (N,) int32, each row's steps including this one: corrects the bias
    rate: float | torch.Tensor  # one number, or one per row (n,), negative to leave that row as it is


class _Table(ctypes.Structure):
    """Mirror of AdamTable in native/adam_rows.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("parameter", "first", "second", "gradient", "visits", "rate")),
        *((name, ctypes.c_int64) for name in ("width", "one_rate")),
    ]


@torch.no_grad()
def adam_rows(rows: torch.Tensor, steps: Sequence[RowStep]) -> None:
    """One Adam step [Kingma & Ba 2015] on `rows` (n,) int64, distinct, of every table, in place; others stay."""
    if not steps or not len(rows):
        return
    if rows.device.type != "cpu":
        for step in steps:
            adam_rows_torch(rows, step)
        return
    rows = rows.contiguous()
    gradients = [step.gradient.float().contiguous() for step in steps]
    rates = [torch.tensor([s.rate]) if isinstance(s.rate, float) else s.rate.float().contiguous() for s in steps]
    tables = (_Table * len(steps))(
        *(
            _Table(
                *map(address, (s.parameter, *s.moments, gradient, s.visits, rate)),
                *(gradient[0].numel(), isinstance(s.rate, float)),
            )
            for s, gradient, rate in zip(steps, gradients, rates, strict=True)
        )
    )
    load().call(
        "ig_adam_rows", tables, len(steps), address(rows), len(rows), BETA1, BETA2, EPSILON, threads()
    )  # fmt: skip


def adam_rows_torch(rows: torch.Tensor, step: RowStep) -> None:
    """The same in torch for one table, for other devices and as the truth of the test."""
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

"""Adam on the rows of a table that were in view: compiled on the CPU, plain torch elsewhere."""

from __future__ import annotations

import torch

from ig_ros.raster.library import address, load, threads

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-15  # [SG]


@torch.no_grad()
def adam_rows(
    parameter: torch.Tensor,
    moments: tuple[torch.Tensor, torch.Tensor],
    rows: torch.Tensor,
    gradient: torch.Tensor,
    visits: torch.Tensor,
    rate: float | torch.Tensor,
) -> None:
    """One Adam step [Kingma & Ba 2015] on `rows` (n,) int64 of parameter (N, ...) and its two moments, in place.

    gradient (n, ...) belongs to those rows, visits (N,) int32 counts each row's steps including this one and corrects
    the bias, rate is one number or one per row (n,), negative to leave that row as it is. Rows are distinct; others are
    not touched.
    """
    if parameter.device.type != "cpu":
        _reference(parameter, moments, rows, gradient, visits, rate)
        return
    rates = torch.tensor([rate]) if isinstance(rate, float) else rate.float().contiguous()
    gradient = gradient.float().contiguous()
    tensors = (parameter, *moments, gradient, rows.contiguous(), visits, rates)
    width = gradient[0].numel() if len(gradient) else 1
    load().call(
        "ig_adam_rows", *map(address, tensors), int(isinstance(rate, float)), len(rows), width, BETA1, BETA2, EPSILON,
        threads(),
    )  # fmt: skip


def _reference(
    parameter: torch.Tensor,
    moments: tuple[torch.Tensor, torch.Tensor],
    rows: torch.Tensor,
    gradient: torch.Tensor,
    visits: torch.Tensor,
    rate: float | torch.Tensor,
) -> None:
    """The same in torch, for other devices and as the truth of the test."""
    first, second = moments
    if not isinstance(rate, float):
        moving = rate >= 0
        rows, gradient, rate = rows[moving], gradient[moving], rate[moving]
    shape = (-1, *[1] * (gradient.dim() - 1))
    age = visits[rows].clamp_min(1).to(gradient).view(shape)
    m = torch.lerp(gradient, first[rows], BETA1)
    v = torch.lerp(gradient.square(), second[rows], BETA2)
    first[rows], second[rows] = m, v
    denominator = (v / (1 - BETA2**age)).sqrt_().add_(EPSILON)
    step = rate if isinstance(rate, float) else rate.view(shape)
    parameter.index_add_(0, rows, (m / (1 - BETA1**age)).div_(denominator).mul_(step), alpha=-1.0)

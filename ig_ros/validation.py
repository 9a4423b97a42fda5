"""Whether arrays read from a file are what they are said to be, before anything computes with them."""

from __future__ import annotations

from typing import Any

import torch

from ig_ros.errors import StorageError


def demand(holds: object, what: str) -> None:
    """Raises StorageError with the sentence `what` unless something holds."""
    if not holds:
        raise StorageError(what)


def demand_table(name: str, table: Any, kind: str, *shape: int | None) -> None:
    """Raises StorageError unless an array or tensor has a type (such as `float32`), a shape and finite values.

    None in the shape stands for any length.
    """
    found = str(table.dtype).removeprefix("torch."), tuple(table.shape)
    fits = len(shape) == len(found[1]) and all(w in (None, n) for w, n in zip(shape, found[1], strict=True))
    wanted = ", ".join("any" if n is None else str(n) for n in shape)
    demand(found[0] == kind and fits, f"{name} is {found[0]} of {found[1]}, not {kind} of ({wanted})")
    demand(torch.isfinite(torch.as_tensor(table)).all(), f"{name} is not finite")


def demand_range(name: str, table: Any, low: int, high: int) -> None:
    """Raises StorageError unless every value v of an array or tensor has low <= v < high."""
    values = torch.as_tensor(table)
    if values.numel():
        demand(low <= int(values.min()) and int(values.max()) < high, f"{name} has values outside of [{low}, {high})")


def demand_like(name: str, table: torch.Tensor, pattern: torch.Tensor, rows: int | None = None) -> None:
    """Raises StorageError unless a tensor has the type and shape of a pattern, with so many rows instead, if told."""
    shape = tuple(pattern.shape) if rows is None else (rows, *pattern.shape[1:])
    demand_table(name, table, str(pattern.dtype).removeprefix("torch."), *shape)

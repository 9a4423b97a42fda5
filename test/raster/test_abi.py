"""The border to the kernels is declared once: what Python passes is checked against what the library was built with."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest
import torch

from ig_ros.raster import library
from ig_ros.raster.abi import Abi
from ig_ros.raster.library import FOLDER

HEADER = (FOLDER / "native" / "abi.h").read_text()
STRUCT = """struct Thing { const float *xyz; int32_t count, size[2]; double weight; };
int ig_use(const Thing* thing, float scale);"""


@pytest.mark.parametrize("variant", library.available_variants())
def test_every_library_was_built_with_this_header(variant: str) -> None:
    """A library of another header (a field moved, added or of another type) is not the one that is loaded here."""
    text = library.load(variant).abi.text
    squeeze = lambda code: re.sub(r"\s+", "", code)  # noqa: E731
    declared = re.findall(r"struct \w+ \{[^}]*\};|\w+\*? ig_\w+\([^)]*\);", text)
    assert len(declared) > 10
    header = squeeze(re.sub(r"//[^\n]*", "", HEADER))
    assert [d for d in declared if squeeze(d) not in header] == []


def test_fields_have_the_layout_of_c() -> None:
    kind = Abi(STRUCT).types["Thing"]
    assert [(n, getattr(kind, n).offset) for n in ("xyz", "count", "size", "weight")] == [
        ("xyz", 0), ("count", 8), ("size", 12), ("weight", 24),
    ]  # fmt: skip
    assert ctypes.sizeof(kind) == 32


@pytest.mark.parametrize(
    "change",
    [
        ("int32_t count, size[2];", "int32_t count;"),  # a field is gone
        ("double weight;", "double weight, other;"),  # one has come
        ("int32_t count", "int32_t number"),  # renamed
        ("const float *xyz", "const double *xyz"),  # of another type
    ],
)
def test_a_change_of_the_header_alone_is_refused(change: tuple[str, str]) -> None:
    values = {"xyz": np.zeros((2, 3), np.float32), "count": 2, "size": (1, 2), "weight": 0.5}
    assert Abi(STRUCT).make("Thing", values).count == 2
    changed = STRUCT.replace(*change)
    assert changed != STRUCT
    with pytest.raises(TypeError):
        Abi(changed).make("Thing", values)


def test_a_field_that_moves_takes_its_value_along() -> None:
    values = {"xyz": None, "count": 2, "size": (1, 2), "weight": 0.5}
    moved = STRUCT.replace("int32_t count, size[2]; double weight;", "double weight; int32_t count, size[2];")
    made = Abi(moved).make("Thing", values)
    assert (made.count, list(made.size), made.weight) == (2, [1, 2], 0.5)
    assert type(made).weight.offset == 8


def test_arguments_are_counted_and_arrays_checked() -> None:
    abi = Abi(STRUCT)
    thing = abi.make("Thing", {"xyz": torch.zeros(3), "count": 1, "size": (0, 0), "weight": 0.0})
    assert len(abi.convert("ig_use", [thing, 1.0])) == 2
    with pytest.raises(TypeError, match="2 arguments"):
        abi.convert("ig_use", [thing])
    with pytest.raises(ValueError, match="neither a struct nor a function"):
        Abi("enum Color { RED };")

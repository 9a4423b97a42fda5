"""The border to the kernels is declared once: what Python passes is checked against what the library was built with."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

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
    declared = re.findall(r"struct \w+ \{[^}]*\};|\w+\*? ig_\w+\([^)]*\);", text)
    assert len(declared) > 10
    header = "".join(re.sub(r"//[^\n]*", "", HEADER).split())
    assert [d for d in declared if "".join(d.split()) not in header] == []


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


CHANGES: dict[str, tuple[tuple[str, str], ...]] = {  # of a copy of native/abi.h
    "none": (),
    "moved": (("float near;", "@"), ("float max_alpha;", "float near;"), ("@", "float max_alpha;")),
    "added": (("float near;", "double far; float near;"),),
    "gone": (("float near;", ""),),
    "other type": (("const float* gate;", "const double* gate;"),),
    "wider": (("int32_t count, channels;", "int64_t count, channels;"),),
}


def library_of(header: str, folder: Path, fields: list[str]) -> ctypes.CDLL:
    """A library built with this header, which tells its text, and offset and size of RasterInput's fields."""
    rows = ", ".join(f"offsetof(RasterInput, {f}), sizeof(RasterInput::{f})" for f in fields)
    (folder / "abi.h").write_text(header)
    (folder / "probe.cpp").write_text(
        f"""#include <cstddef>
        #include "abi.h"
        extern "C" const char* ig_abi() {{ return ig::ABI; }}
        extern "C" const size_t ig_layout[] = {{{rows}, sizeof(RasterInput)}};"""
    )
    target = folder / "probe.so"
    command = ["g++", "-std=c++17", "-shared", "-fPIC", str(folder / "probe.cpp"), "-o", str(target)]
    subprocess.run(command, check=True, timeout=60)
    native = ctypes.CDLL(str(target))
    native.ig_abi.restype = ctypes.c_char_p
    return native


@pytest.mark.parametrize("change", CHANGES)
def test_the_layout_is_the_compilers_whatever_changes_in_the_header(change: str, tmp_path: Path) -> None:
    header = HEADER
    for old, new in CHANGES[change]:
        assert header.count(old) == 1
        header = header.replace(old, new)
    names = ["means", "gate", "count", "width", "world_to_camera", "max_alpha"]
    names += [name for name in ("near", "far") if f" {name};" in header]
    native = library_of(header, tmp_path, names)
    abi = Abi(native.ig_abi().decode())
    kind = abi.types["RasterInput"]
    ours = [number for name in names for number in (getattr(kind, name).offset, getattr(kind, name).size)]
    assert [*ours, ctypes.sizeof(kind)] == list((ctypes.c_size_t * (len(ours) + 1)).in_dll(native, "ig_layout"))
    values = dict.fromkeys((v.name for v in Abi(library.load().abi.text).fields["RasterInput"]), 1)
    values |= dict.fromkeys(("means", "quats", "scales", "opacities", "features", "gate"), torch.zeros(3))
    values["world_to_camera"] = range(12)
    if change in ("none", "moved", "wider"):  # what Python passes finds its place
        made = abi.make("RasterInput", values)
        assert (made.count, made.near, list(made.world_to_camera)) == (1, 1.0, list(range(12)))
    else:
        with pytest.raises(TypeError, match="far" if change == "added" else "near" if change == "gone" else "gate"):
            abi.make("RasterInput", values)


def test_arguments_are_counted_and_arrays_checked() -> None:
    abi = Abi(STRUCT)
    thing = abi.make("Thing", {"xyz": torch.zeros(3), "count": 1, "size": (0, 0), "weight": 0.0})
    assert len(abi.convert("ig_use", [thing, 1.0])) == 2
    with pytest.raises(TypeError, match="2 arguments"):
        abi.convert("ig_use", [thing])
    with pytest.raises(ValueError, match="neither a struct nor a function"):
        Abi("enum Color { RED };")

"""The structs and functions of the compiled kernels as ctypes, read from the text that each library carries.

native/abi.h declares them once, and the compiler puts its text into the library: there is no list here that could
differ from it. What Python passes is checked against it: names of fields, number of arguments, element types of arrays.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

# C types of numbers: as ctypes has them, and the dtypes of arrays and tensors of them.
NUMBERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "int8_t": (ctypes.c_int8, ("int8",)),
    "uint8_t": (ctypes.c_uint8, ("uint8", "bool")),
    "int32_t": (ctypes.c_int32, ("int32",)),
    "int64_t": (ctypes.c_int64, ("int64",)),
    "float": (ctypes.c_float, ("float32",)),
    "double": (ctypes.c_double, ("float64",)),
}
ELEMENT: dict[Any, str] = {  # C type of the elements of an array or tensor, by its dtype
    dtype: c for c, (_, names) in NUMBERS.items() for n in names for dtype in (np.dtype(n), getattr(torch, n))
}
RESULTS: dict[str, Any] = {"int": ctypes.c_int, "void*": ctypes.c_void_p, "void": None}

ITEM = re.compile(
    r"\s*(?:struct (?P<struct>\w+) \{(?P<fields>[^}]*)\};"
    r"|(?P<result>\w+\*?) (?P<function>ig_\w+)\((?P<arguments>[^)]*)\);)"
)
DECLARATION = re.compile(r"\s*(?:const )?(\w+)\b(.+)")
DECLARATOR = re.compile(r"\s*(\*?)\s*(\w+)(?:\[(\d+)\])?\s*")


@dataclass(frozen=True, slots=True)
class Variable:
    """A field of a struct or an argument of a function."""

    name: str
    element: str  # C type of the value, or of what it points to
    pointer: bool
    length: int  # of an array inside a struct; 0 = no array


class Abi:
    """The structs and functions that a C text declares. Raises ValueError for C that it does not understand."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.types = {c: kind for c, (kind, _) in NUMBERS.items()}  # C name -> ctypes type, of numbers and structs
        self.fields: dict[str, list[Variable]] = {}  # of each struct
        self.arguments: dict[str, list[Variable]] = {}  # of each function
        self.results: dict[str, Any] = {}  # of each function, as ctypes takes it
        place = 0
        while place < len(text):
            found = ITEM.match(text, place)
            if found is None:
                raise ValueError(f"neither a struct nor a function of the ABI: {text[place : place + 80]!r}")
            place = found.end()
            if name := found["struct"]:
                self.fields[name] = _variables(found["fields"].split(";"))
                layout = [(v.name, self.type_of(v)) for v in self.fields[name]]
                self.types[name] = type(name, (ctypes.Structure,), {"_fields_": layout})
            else:
                self.arguments[found["function"]] = _variables(found["arguments"].split(","))
                self.results[found["function"]] = RESULTS[found["result"]]

    def type_of(self, variable: Variable) -> Any:
        """The ctypes type of a field or argument. Raises KeyError for a type that is not declared before it."""
        kind = self.types.get("int8_t" if variable.element == "void" else variable.element)
        if kind is None:
            raise KeyError(f"{variable.name} is of the unknown type {variable.element}")
        return ctypes.c_void_p if variable.pointer else kind * variable.length if variable.length else kind

    def make(self, name: str, values: Mapping[str, Any]) -> ctypes.Structure:
        """A struct with a value for each of its fields; it keeps the arrays alive whose memory it points to.

        Values are numbers, arrays or tensors on the CPU, None for a null pointer, and sequences for arrays of fixed
        length. Raises TypeError for missing and unknown fields and for arrays of another element type.
        """
        fields = self.fields[name]
        wrong = sorted(values.keys() ^ {v.name for v in fields})
        if wrong:
            raise TypeError(f"{name}: missing or unknown fields: {', '.join(wrong)}")
        made: ctypes.Structure = self.types[name](*(self._passed(name, v, values[v.name]) for v in fields))
        made.values = values
        return made

    def convert(self, function: str, values: Sequence[Any]) -> list[Any]:
        """Returns arguments of a function as ctypes takes them: as in `make`; structs or lists of them for pointers.

        Raises TypeError as `make` does.
        """
        arguments = self.arguments[function]
        if len(values) != len(arguments):
            raise TypeError(f"{function} takes {len(arguments)} arguments, got {len(values)}")
        return [self._passed(function, v, value) for v, value in zip(arguments, values, strict=True)]

    def _passed(self, owner: str, variable: Variable, value: Any) -> Any:
        if variable.length:
            return self.type_of(variable)(*value)
        if not variable.pointer or value is None or variable.element == "void":
            return value
        if variable.element in self.fields:
            structs = value if isinstance(value, list) else [value]
            return (self.types[variable.element] * len(structs))(*structs)
        if ELEMENT.get(value.dtype) != variable.element:
            raise TypeError(f"{owner}: {variable.name} is an array of {value.dtype}, wanted {variable.element}")
        return value.data_ptr() if isinstance(value, torch.Tensor) else value.ctypes.data


def _variables(declarations: Sequence[str]) -> list[Variable]:
    """What C declarations without their semicolons declare. Raises ValueError."""
    found = []
    for declaration in declarations:
        if declaration.strip() in ("", "void"):
            continue
        base = DECLARATION.fullmatch(declaration)
        for part in base[2].split(",") if base else [declaration]:
            name = DECLARATOR.fullmatch(part)
            if base is None or name is None:
                raise ValueError(f"not a declaration of the ABI: {declaration!r}")
            found.append(Variable(name[2], base[1], bool(name[1]), int(name[3] or 0)))
    return found

"""Turns a dataclass into a set of documented, checked parameters: one field, one parameter.

pydantic would add 0.14 s of import and a compiled dependency, and would still need code for dotted keys, presets, ROS
descriptors and one-line errors, which is most of this page; attrs with cattrs leaves the range checks here as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ig_ros.errors import ConfigError


def param(
    default: Any, doc: str, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """Returns a dataclass field with a default, one line of documentation with units, and its allowed values."""
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True, slots=True)
class Leaf:
    """One parameter, a scalar or a tuple of strings: dotted name, default and documentation."""

    name: str
    default: Any
    doc: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]


def leaves(cls: type, prefix: str = "") -> Iterator[Leaf]:
    """Yields every parameter below a config class, depth first, with dotted names."""
    for f in fields(cls):
        if f.metadata:
            m = f.metadata
            yield Leaf(prefix + f.name, f.default, m["doc"], m["low"], m["high"], m["choices"])
        else:
            yield from leaves(f.default_factory, f"{prefix}{f.name}.")  # type: ignore[arg-type]


def build(cls: type[Any], values: Mapping[str, Any], prefix: str = "") -> Any:
    """Builds a config dataclass from nested or dotted keys; later keys win over earlier ones.

    A class may have a static method `expand` that rewrites its keys before. Raises ConfigError for a key that is
    unknown and for a value out of range.
    """
    nested: dict[str, Any] = {}
    if hasattr(cls, "expand"):
        values = cls.expand(values)
    for key, value in values.items():
        head, _, rest = str(key).partition(".")
        if rest:
            nested.setdefault(head, {})[rest] = value
        elif isinstance(value, Mapping):
            nested.setdefault(head, {}).update(value)
        else:
            nested[head] = value
    known = {f.name: f for f in fields(cls)}
    arguments: dict[str, Any] = {}
    for key, value in nested.items():
        if key not in known:
            raise ConfigError(f"unknown parameter '{prefix}{key}': known here are {', '.join(sorted(known))}")
        f = known[key]
        if f.metadata:
            arguments[key] = check(Leaf(prefix + key, f.default, **f.metadata), value)
        elif isinstance(value, Mapping):
            arguments[key] = build(f.default_factory, value, f"{prefix}{key}.")  # type: ignore[arg-type]
        else:
            raise ConfigError(f"parameter '{prefix}{key}' is a group, got {value!r}")
    return cls(**arguments)


def check(leaf: Leaf, value: Any) -> Any:
    """Returns the value in the parameter's own type. Raises ConfigError naming the allowed range or choices."""
    wanted = type(leaf.default)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    value = (value,) if wanted is tuple and isinstance(value, str) else value  # --set ignore_labels=person
    if wanted is tuple and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        value = tuple(value)
    if leaf.choices and isinstance(value, bool):
        value = str(value).lower()  # YAML reads a choice "true" as a truth
    if type(value) is not wanted:
        raise ConfigError(f"parameter '{leaf.name}' must be {wanted.__name__}, got {value!r}")
    if leaf.choices and value not in leaf.choices:
        raise ConfigError(f"parameter '{leaf.name}' = {value!r}: must be one of {', '.join(leaf.choices)}")
    if leaf.low is not None and not leaf.low <= value <= (leaf.high if leaf.high is not None else value):
        raise ConfigError(f"parameter '{leaf.name}' = {value}: must be between {leaf.low} and {leaf.high}")
    return value


def to_dict(config: Any) -> dict[str, Any]:
    """Returns the nested plain dictionary of a config, the inverse of `build`."""
    return dataclasses.asdict(config)

"""Parameter files: YAML as people write it, and as a node's launch file takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from ig_ros.config.core import ALIASES, Config
from ig_ros.config.node import NodeConfig
from ig_ros.config.schema import leaves
from ig_ros.errors import ConfigError


def read_yaml(path: Path) -> dict[str, Any]:
    """Core parameters of a YAML file: plain keys, or a node's parameter file.

    Of the latter node-only ones are left out, and values equal to their default: it lists everything, so as in the
    node itself they are no choice against a preset.
    """
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read config {path}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"config {path} is not a list of parameters: write name: value")
    for node in values.values():
        if isinstance(node, dict) and "ros__parameters" in node:
            own = {f.name for f in fields(NodeConfig)}
            return chosen({k: v for k, v in node["ros__parameters"].items() if k not in own})
    return values


def chosen(values: Mapping[str, Any], cls: type[Any] = Config) -> dict[str, Any]:
    """The values, nested or dotted, that differ from their defaults, by dotted name. Unknown names stay in."""
    defaults = {leaf.name: leaf.default for leaf in leaves(cls)}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": v for name, v in value.items()}
        else:
            flat[ALIASES.get(str(key), str(key))] = value
    return {name: v for name, v in flat.items() if name not in defaults or v != defaults[name]}


def load_config(path: Path) -> Config:
    """Returns the configuration of a YAML file, see `read_yaml`. Raises ConfigError."""
    return Config.from_dict(read_yaml(path))

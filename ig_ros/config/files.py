"""Reads parameter files: plain YAML, and the parameter files of a ROS node."""

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
    """Returns the core parameters of a YAML file: plain keys, or a node's parameter file. Raises ConfigError.

    Of a node's file, parameters of the node alone are left out, and so are values equal to their default: the file
    lists all parameters, so a default in it does not override a preset.
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
    """Returns the values, nested or dotted, that differ from their defaults, by dotted name. Keeps unknown names."""
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

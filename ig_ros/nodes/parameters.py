"""ROS parameters from the config dataclasses: declared, checked and read back."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from ig_ros.config import ALIASES, Leaf, NodeConfig, build, check, leaves
from ig_ros.errors import ConfigError, did_you_mean

_ALIASES = {full: alias for alias, full in ALIASES.items()}
_FOREIGN = ("use_sim_time", "start_type_description_service", "qos_overrides.")  # rclpy's own parameters
_UNBOUNDED = float(2**53)  # ROS's ranges need an end: the largest up to which all integers are floats


def parameter_name(leaf: Leaf) -> str:
    """Name of the ROS parameter of a leaf of NodeConfig: the core's leaves go without their prefix."""
    name = leaf.name.removeprefix("core.")
    return _ALIASES.get(name, name)


def node_parameters() -> Iterator[tuple[str, Leaf]]:
    """Every parameter of the node: its ROS name and its leaf."""
    for leaf in leaves(NodeConfig):
        yield parameter_name(leaf), leaf


def descriptor(leaf: Leaf) -> ParameterDescriptor:
    """Description, range and choices as ROS tools show them. Parameters are fixed once the node runs."""
    described = ParameterDescriptor(description=leaf.doc, read_only=True)
    if leaf.choices:
        described.additional_constraints = f"one of: {', '.join(leaf.choices)}"
    if leaf.low is not None:
        high = _UNBOUNDED if leaf.high is None else leaf.high
        if isinstance(leaf.default, float):
            described.floating_point_range = [FloatingPointRange(from_value=float(leaf.low), to_value=float(high))]
        else:
            described.integer_range = [IntegerRange(from_value=int(leaf.low), to_value=int(high))]
    return described


def read_parameters(node: Node) -> NodeConfig:
    """Declare every parameter on a node and return the configuration.

    The node must have been made with `automatically_declare_parameters_from_overrides=True`: only then rclpy shows
    what the user has set, and a misspelt name is refused here instead of being ignored.
    Raises ConfigError naming the parameter and its range for anything unknown, of a wrong type or out of range.
    """
    given = {name: p.value for name, p in node.get_parameters_by_prefix("").items() if not name.startswith(_FOREIGN)}
    known = dict(node_parameters())
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        groups = sorted({name.split(".")[0] for name in known})
        near = did_you_mean(unknown[0], known)
        raise ConfigError(
            f"unknown parameter '{unknown[0]}'{near}: see config/mapping.yaml; top-level names are {', '.join(groups)}"
        )
    values = {leaf.name: _checked(name, leaf, given.get(name, leaf.default)) for name, leaf in known.items()}
    default = {leaf.name: leaf.default for leaf in known.values()}
    # config/mapping.yaml lists every default: only what differs from it is a choice that a preset must respect.
    config: NodeConfig = build(NodeConfig, {n: v for n, v in values.items() if v != default[n]})
    for name, leaf in known.items():
        if node.has_parameter(name):
            node.undeclare_parameter(name)
        value = operator.attrgetter(leaf.name)(config)
        value = list(value) if isinstance(value, tuple) else value
        node.declare_parameter(name, value, descriptor(leaf), ignore_override=True)
    return config


def _checked(name: str, leaf: Leaf, value: Any) -> Any:
    return check(Leaf(name, leaf.default, leaf.doc, leaf.low, leaf.high, leaf.choices), value)

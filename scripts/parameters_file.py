"""Writes config/mapping.yaml: every parameter of the node with its default, description and range.

python scripts/parameters_file.py > config/mapping.yaml; test/nodes/test_parameters.py demands that the file is current.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ig_ros.config import Leaf
from ig_ros.nodes.parameters import node_parameters


def yaml_text() -> str:
    """config/mapping.yaml: every parameter with its default, description and range."""
    lines = [
        "# Every parameter of the mapping node with its default. Written by: python scripts/parameters_file.py",
        "/**:",
        "  ros__parameters:",
    ]
    group: tuple[str, ...] = ()
    for name, leaf in sorted(node_parameters(), key=lambda item: "." in item[0]):  # scalars first, then the groups
        *path, last = name.split(".")
        if tuple(path) != group:
            group = tuple(path)
            lines += ["", *(f"{'  ' * (depth + 2)}{part}:" for depth, part in enumerate(path))]
        indent = "  " * (len(path) + 2)
        lines += [f"{indent}# {leaf.doc}{_allowed(leaf)}", f"{indent}{last}: {_yaml_value(leaf.default)}"]
    return "\n".join(lines) + "\n"


def _allowed(leaf: Leaf) -> str:
    if leaf.choices:
        return f" [{' | '.join(leaf.choices)}]"
    if leaf.low is None:
        return ""
    return (
        f" [{_yaml_value(leaf.low)} .. {_yaml_value(leaf.high)}]"
        if leaf.high is not None
        else f" [>= {_yaml_value(leaf.low)}]"
    )


def _yaml_value(value: Any) -> str:
    """A YAML 1.1 scalar that ROS reads back with the same type (1e-05 would become a string)."""
    if isinstance(value, float):
        text = f"{value:.12f}".rstrip("0")
        return text + "0" if text.endswith(".") else text
    return json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(yaml_text())

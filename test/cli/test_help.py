"""The help: every command says what it does and shows what to type, and the exit codes are written down."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest
from typer.main import get_command

from ig_ros.cli import entry
from ig_ros.cli.app import EPILOG, Exit
from ig_ros.config import Config, leaves

COMMANDS: dict[str, Any] = get_command(entry.app).commands  # type: ignore[attr-defined]


def test_the_commands_people_expect_are_there() -> None:
    assert {"map", "play", "query", "eval", "view", "export", "info", "bench", "node", "demo"} <= set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert "Examples" in (command.epilog or ""), f"{name} shows no example"
    assert f"ig {name}" in command.epilog
    for parameter in command.params:
        assert parameter.name == "help" or getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"


def test_the_segmenters_named_are_those_there_are() -> None:
    options = {p.name: p for command in ("map", "view") for p in COMMANDS[command].params}
    told = set(re.findall(r"\w+", options["segmenter"].help.partition(": ")[2]))
    assert told - {"or"} == set(next(leaf.choices for leaf in leaves(Config) if leaf.name == "segmentation.segmenter"))


def test_short_help_and_version() -> None:
    for option, shown in (("-h", "Usage"), ("--version", f"ig_ros {version('ig_ros')}")):
        done = subprocess.run([sys.executable, "-m", "ig_ros.cli", option], capture_output=True, text=True, check=True)
        assert shown in done.stdout


def test_defaults_are_shown_as_they_act() -> None:
    assert next(p for p in COMMANDS["map"].params if p.name == "seconds").default == 120.0


def test_exit_codes_are_documented() -> None:
    for code in Exit:
        assert str(int(code)) in EPILOG


def test_help_waits_for_nothing_heavy() -> None:
    code = "import sys, ig_ros.cli; print([m for m in ('torch', 'open3d', 'rclpy', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

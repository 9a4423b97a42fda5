"""What pages, help texts and docstrings tell people to type exists: commands, options, arguments and parameters."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from docs.test_commands import PAGES, ROOT
from typer.main import get_command

from ig_ros.cli import entry
from ig_ros.config import Config, leaves
from ig_ros.nodes.parameters import parameters

SOURCES = [*PAGES, *sorted(ROOT.glob("ig_ros/cli/*.py")), *sorted(ROOT.glob("launch/*.py"))]
MENTION = re.compile(r"`(ig [^`\n]+)`|^\s*(?:EXAMPLES = examples\()?[\"'](ig .+)[\"'],?\)?$|^(ig .+)$", re.MULTILINE)
SHELL = re.compile(r"\s(?:#|\|\|?|&&|>)\s.*$|\s+\(.*\)$")  # what is the shell's, and remarks
PLACEHOLDERS = {"ID": "7", "N": "7", "SECONDS": "7", "FORMAT": "splat"}


def joined(path: Path) -> str:
    """The text of a file, lines that the shell would join joined."""
    return re.sub(r"\\\n\s*", "", path.read_text())


def mentions() -> list[tuple[str, str]]:
    """Where and what: every `ig ...` in backticks, in a code block and among the examples of a help text."""
    found = []
    for path in SOURCES:
        for match in MENTION.finditer(joined(path)):
            text = SHELL.sub("", next(filter(None, match.groups())))
            found.append((path.name, text.split('", "ig ')[0].split("', 'ig ")[0]))
    return sorted(set(found))


MENTIONS = mentions()


@pytest.mark.parametrize(("place", "text"), MENTIONS, ids=lambda value: value)
def test_a_mentioned_command_would_be_understood(place: str, text: str) -> None:
    """Parsed by the application itself, not run. A bare `ig map` or `ig map --out` in running text only names."""
    words = [word for word in shlex.split(text)[1:] if not re.fullmatch(r"\.\.\.|\[?COMMAND\]?|\[NAME\]", word)]
    if not words or words[0] == "--help":
        return
    group = get_command(entry.app)
    with group.make_context("ig", [], resilient_parsing=True) as context:
        _, command, rest = group.resolve_command(context, words)  # type: ignore[attr-defined]
        assert command is not None, f"{place}: {text}"
        if not rest or "--help" in rest:
            return
        if len(rest) == 1 and rest[0].startswith("--"):
            assert any(rest[0] in parameter.opts for parameter in command.params), f"{place}: {text}"
            return
        command.make_context(words[0], [PLACEHOLDERS.get(word, word) for word in rest], parent=context).close()


def test_mentions_are_found_everywhere() -> None:
    places = {place for place, _ in MENTIONS}
    assert {"README.md", "commands.md", "start.md", "saved_maps.py", "mapping.py", "ros.py"} <= places


def test_a_set_option_names_a_parameter() -> None:
    known = {leaf.name for leaf in leaves(Config)}
    for path in SOURCES:
        named = set(re.findall(r"--set ([a-z_.]+)=", joined(path))) - {"name"}
        assert named <= known, f"{path.name}: {named - known}"


def test_a_ros_parameter_on_a_command_line_is_one_of_the_nodes() -> None:
    known = {name for name, _ in parameters()} | {"use_sim_time"}
    for path in SOURCES:
        for name in re.findall(r"-p ([\w.]+):=", joined(path)):
            assert name in known, f"{path.name}: {name}"

"""Every command in README.md and docs/*.md runs, so that none can rot.

What stands in a ```bash or ```console block is executed, line by line, in a copy of the repository's surface. A block
after a line `*Needs ...:*` is not (a robot, two machines, weights, an hour); a test lists those. SHORT holds the only
changes made to commands: fewer steps, smaller pictures, plans instead of builds. What is run twice is run once.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
SEEN = ("bash", "console")

SHORT: tuple[tuple[str, str], ...] = (  # pattern -> what is run in its place
    (r" \|\| echo .*$", ""),  # what a command ends with is judged here, not by the shell
    (r"^make ([\w-]+)$", r"make -n \1 VENV=.venv"),  # the plan of a build or a test run; both are run by CI itself
    (r"--seconds \d+", "--steps 24"),
    (r"^ig map (.*)$", r"ig map \1 --set instances.sub_objects=200 --set seeding.voxel=0.06"),
    (r"sim:tabletop\?(frames=40)?", "sim:tabletop?width=80&frames=9&"),
    (r"sim:tabletop(?![?\w])", "'sim:tabletop?width=80&frames=9'"),
    (r"^(ig map .*--out out/(?!map)\w+)", r"\1 --set language.encoder=none"),  # words are asked of out/map alone
    (r"^ig view (.*)$", r"ig view \1 --seconds 3 --port 0"),  # nobody presses Ctrl-C
    (r"^ig view --live (.*)$", r"ig view --live \1 --set language.encoder=none"),
    (r"^(python -m ig_ros.nodes.parameters|python scripts/interfaces_page.py) > .*", r"\1 > /dev/null"),
    (r"^(mkdocs build --strict)$", r"\1 --site-dir site"),
    (r"^python -m pytest (\S+) -q$", r"python -m pytest --collect-only -q \1"),
)


@dataclass(frozen=True)
class Command:
    """One line of a page."""

    page: str
    line: int
    text: str
    needs: str = ""  # what it needs that a test has not, in the page's own words

    def short(self) -> str:
        """What is run for it."""
        text = self.text
        for pattern, instead in SHORT:
            text = re.sub(pattern, instead, text)
        return text


def commands(page: Path) -> list[Command]:
    """All commands of a page, continued lines joined, comments and expected output left out."""
    found: list[Command] = []
    kind, needs, pending = "", "", ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = re.match(r"^```(\w*)", line)
        if fence:
            kind = fence[1] if not kind else ""
            if not kind:
                needs = ""
        elif not kind and line.strip():
            marked = re.match(r"^\*Needs (.+):\*$", line)
            needs = marked[1] if marked else ""
        elif kind in SEEN:
            text = line.removeprefix("$ ") if kind == "console" else line
            if kind == "console" and not line.startswith("$ "):
                continue
            pending += text.rstrip("\\") if text.endswith("\\") else text
            if not text.endswith("\\"):
                bare = re.sub(r"\s+#\s.*$", "", pending).strip()
                if bare and not bare.startswith("#"):
                    found.append(Command(page.name, number, bare, needs))
                pending = ""
    return found


EVERY = [command for page in PAGES for command in commands(page)]
RUN = [command for command in EVERY if not command.needs]


@pytest.fixture(scope="module")
def surface(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the repository but keeps what the commands write to itself."""
    folder = tmp_path_factory.mktemp("surface")
    for path in ROOT.iterdir():
        if path.name not in ("out", "site", ".git", ".pytest_cache", ".hypothesis"):
            (folder / path.name).symlink_to(path)
    (folder / "out").mkdir()
    return folder


def expected(short: str) -> int:
    """Returns the exit code that docs/commands.md documents for a command, in its short form."""
    return 1 if re.match(r"ig eval .*--goal", short) else 0  # so small a map misses the goal of a whole one


DONE: dict[str, float] = {}  # command as run -> seconds; the same command is run once


@pytest.mark.parametrize("command", RUN, ids=lambda c: f"{c.page}:{c.line}")
def test_command_runs(command: Command, surface: Path) -> None:
    short = command.short()
    if short in DONE:
        return
    bin_folder = Path(sys.executable).parent
    env = os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "NO_MKDOCS_2_WARNING": "1"}
    start = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", short], cwd=surface, env=env, capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == expected(short), (
        f"{command.page}:{command.line}: {short}\n{done.stdout[-800:]}\n{done.stderr[-1500:]}"
    )
    assert "Traceback" not in done.stderr
    DONE[short] = time.monotonic() - start


def test_commands_are_found_and_few_are_left_out() -> None:
    assert len(RUN) >= 15
    needs = {(c.page, c.needs) for c in EVERY if c.needs}
    print(*sorted(f"not run: {page}, needs {what}" for page, what in needs), sep="\n")
    for command in EVERY:
        if command.needs:  # a typo in what cannot run here is still caught as far as the shell can
            assert shlex.split(command.text)
            launch = re.search(r"ros2 launch ig_ros (\S+)", command.text)
            assert launch is None or (ROOT / "launch" / launch[1]).is_file(), command.text


def test_every_rule_of_the_table_is_used() -> None:
    for pattern, _ in SHORT:
        assert any(re.search(pattern, command.text) for command in RUN), f"{pattern} shortens nothing any more"


def test_ros_and_slow_commands_are_marked_in_the_text() -> None:
    for command in RUN:
        assert not command.text.startswith(("ros2 ", "colcon ", "rosdep ", "pip install", "git clone", "sudo ")), (
            command
        )

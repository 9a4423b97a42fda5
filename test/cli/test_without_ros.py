"""The core without ROS: an installation without the extra `ros` maps, queries, views and exports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import SCENE, SETTINGS, STEPS

WITHOUT_ROS = """
import json, re, sys

class NoRos:
    def find_spec(self, name, path=None, target=None):
        if re.match(r"rclpy|ament_index_python|rosidl|ig_ros\\.(msg|srv)|\\w+_(msgs|srvs|interfaces)", name):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoRos())
from ig_ros.cli import main

for arguments in json.loads(sys.argv[1]):
    sys.argv = ["ig", *arguments]
    try:
        main()
    except SystemExit as ended:
        print("code", ended.code or 0, flush=True)
"""


def codes(*commands: list[str]) -> tuple[list[int], str]:
    """Exit codes of `ig` commands in one process that has no ROS, and what they say on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ROS, json.dumps(commands)], capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stderr
    return [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("code ")], done.stderr


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a map that was made without ROS."""
    folder = tmp_path_factory.mktemp("without_ros")
    options = [f"--out={folder}", f"--steps={STEPS}", "--no-report", *(f"--set={s}" for s in SETTINGS)]
    found, said = codes(["map", SCENE, *options])
    assert found == [0], said
    return folder


def test_a_map_is_queried_exported_and_shown(out: Path) -> None:
    pytest.importorskip("viser")
    commands = [["info", str(out)], ["query", str(out), "the mug"], ["export", str(out), "splat"],
                ["export", str(out), "ply"], ["view", str(out), "--port=0", "--seconds=0.1"]]  # fmt: skip
    found, said = codes(*commands)
    assert found == [0, found[1], 0, 0, 0], said
    assert found[1] in (0, 1), "an answer, whatever it is"
    assert (out / "export" / "splat.ply").stat().st_size > 1000


@pytest.mark.parametrize("arguments", [["node"], ["play", SCENE], ["demo"], ["export", "OUT", "mcap"]])
def test_what_needs_ros_says_so_in_one_line(out: Path, arguments: list[str]) -> None:
    found, said = codes([str(out) if a == "OUT" else a for a in arguments])
    assert found == [2], said
    assert said.count("\n") == 1
    assert "needs ROS 2" in said
    assert "ig_ros[ros]" in said

"""The command as a user types it, and one small map that all tests here look at."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ig_ros.cli import main

SCENE = "sim:tabletop?width=96&frames=16&masks=exact"
STEPS = 20
# A low frame count on a long path is a fast camera; coarse voxels keep it a matter of seconds.
SETTINGS = [
    "keyframes.max_speed=1000",
    "seeding.voxel=0.03",
    "instances.sub_objects=800",
    "threads=2",
    "language.encoder=none",
]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Ig = Callable[..., Done]


@pytest.fixture
def ig(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ig:
    """Run the command's own entry point; `mapped` runs it in a process."""

    def run(*arguments: str | Path, stdin: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        monkeypatch.setattr("sys.argv", ["ig", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Output folder and printed figures of one run."""
    out = tmp_path_factory.mktemp("ig") / "tabletop"
    command = [sys.executable, "-m", "ig_ros.cli", "map", SCENE, f"--out={out}", f"--steps={STEPS}", "--json"]
    command += [f"--set={s}" for s in SETTINGS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)

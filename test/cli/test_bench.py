"""`ig bench` runs what a checkout has, and says where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ig = Callable[..., Any]
RUN = """
import pathlib, sys
from ig_ros.cli import bench, main
bench.ROOT = pathlib.Path({root!r})
sys.argv = ["ig", "bench", "language", "--json"]
main()
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("ig_ros.cli.bench.ROOT", tmp_path)
    return tmp_path


def test_arguments_and_exit_code_are_handed_on(ig: Ig, checkout: Path) -> None:
    (checkout / "benchmarks" / "quality").mkdir(parents=True)
    script = "import pathlib, sys; pathlib.Path('seen').write_text(' '.join(sys.argv[1:])); sys.exit(1)"
    (checkout / "benchmarks" / "quality" / "__main__.py").write_text(script)
    assert ig("bench", "quality", "--quick", "--only", "rooms").code == 1
    assert (checkout / "seen").read_text() == "--quick --only rooms"


def test_without_a_checkout_it_is_one_line(ig: Ig, checkout: Path) -> None:
    done = ig("bench", "bench")
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1
    assert "checkout" in done.err


FIGURES = """
import json, pathlib, sys
assert "--json" not in sys.argv
print("a table for people")
pathlib.Path("out").mkdir(exist_ok=True)
pathlib.Path("out/language.json").write_text(json.dumps({"right": 96.4}, indent=2))
sys.exit(1)
"""


def test_json_prints_what_the_benchmark_has_left(checkout: Path) -> None:
    (checkout / "benchmarks" / "language").mkdir(parents=True)
    (checkout / "benchmarks" / "language" / "__main__.py").write_text(FIGURES)
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(root=str(checkout))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout) == {"right": 96.4}
    assert "a table for people" in done.stderr


def test_json_of_an_earlier_run_does_not_pass_for_this_one(checkout: Path) -> None:
    (checkout / "benchmarks" / "language").mkdir(parents=True)
    (checkout / "benchmarks" / "language" / "__main__.py").write_text("")
    (checkout / "out").mkdir()
    (checkout / "out" / "language.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(root=str(checkout))], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "left no" in done.stderr

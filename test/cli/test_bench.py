"""`ig bench` runs what a checkout has, and says where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ig = Callable[..., Any]


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

"""The table of what real robots send: a row holds when all of its tests pass, and a miss is the status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAD = "import pytest\npytestmark = pytest.mark.field('wrong', 'zero stamps', 'refused')\n"


@pytest.mark.parametrize(
    ("body", "status", "result"),
    [
        ("def test_a(): pass\n", 0, "ok"),
        ("def test_a(): pass\ndef test_b(): assert False\n", 1, "MISS"),
        ("def test_a(): pytest.skip('no data')\n", 1, "skipped: Skipped: no data"),
        ("@pytest.fixture\ndef x(): raise OSError\ndef test_a(x): pass\n", 1, "MISS"),
    ],
)
def test_rows(tmp_path: Path, body: str, status: int, result: str) -> None:
    (tmp_path / "test_rows.py").write_text(HEAD + body)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = field: row\n")
    command = [sys.executable, "-m", "benchmarks.field", "-c", str(tmp_path / "pytest.ini"), str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"| zero stamps | refused | {result} |" in run.stdout
    assert run.returncode == status

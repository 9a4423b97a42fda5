"""Without a browser the page's tests step aside on a desk, and fail where everything is to be there."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from viewer.browser import find_browser

ROOT = Path(__file__).resolve().parents[2]


def test_a_missing_browser_is_a_failure_with_ci_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="Chromium"):
        find_browser()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="Chromium"):
        find_browser()


def test_any_of_the_usual_browsers_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    browser = tmp_path / "google-chrome"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_browser() == str(browser)


def test_ci_installs_what_is_missing_though_the_environment_is_current(tmp_path: Path) -> None:
    """`.ci/run` with a `make` and a system_packages.sh that only say that they were called, and with what."""
    for name, text in (("bin/make", "echo make $*"), ("scripts/system_packages.sh", "echo packages CI=$CI")):
        script = tmp_path / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_bytes((ROOT / ".ci" / "run").read_bytes())
    env = os.environ | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", tmp_path / ".ci" / "run"], env=env, capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if not line.startswith("ROS 2 Jazzy")]
    assert said == ["packages CI=1", "make test", "make build-jazzy", "make test-jazzy"]

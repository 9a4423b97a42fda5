"""Real DDS on this host: logs in a temporary folder, a context per module."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from nodes.processes import ROOT, Start, stop


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """An rclpy context of its own."""
    import rclpy

    os.environ["ROS_LOG_DIR"] = str(tmp_path_factory.mktemp("ros"))
    made = rclpy.Context()
    rclpy.init(context=made)
    yield made
    rclpy.try_shutdown(context=made)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts `python ARGUMENTS...` with its output in a file `.log_path`; everything is interrupted at the end."""
    started: list[subprocess.Popen] = []

    def launch(*arguments: str) -> subprocess.Popen:
        log = tmp_path_factory.mktemp("log") / "output.txt"
        with log.open("w") as sink:
            process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
        process.log_path = log  # type: ignore[attr-defined]
        started.append(process)
        return process

    yield launch
    for process in started:
        stop(process)

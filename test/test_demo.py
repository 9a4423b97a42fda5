"""The demo as a user starts it: player, node with the real mapper, and client, three processes over DDS."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

SCENE = "sim:tabletop?width=160&frames=24&masks=exact"


@pytest.mark.timeout(300)
def test_demo_maps_a_stream_and_answers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ig_ros.cli", "demo", "--scene", SCENE, "--seconds", "20", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    logs = "".join(p.read_text() for p in tmp_path.glob("*.log"))
    assert (tmp_path / "demo.json").exists(), done.stdout + done.stderr + logs
    figures = json.loads((tmp_path / "demo.json").read_text())
    assert figures["frames"] == 21, logs  # 24 less the 3 held out
    assert figures["psnr"] > 15
    assert figures["instances_found"] >= 0.5 * figures["instances_true"]
    assert max(figures["slowest_answer_ms"].values()) < 2000  # 500 is the goal; a busy CI machine is no planner's
    assert done.returncode == (0 if figures["right_object"] else 1)
    assert "mapped by the node" in (tmp_path / "report.html").read_text()
    for name in ("views.png", "cloud.png"):
        assert cv2.imread(str(tmp_path / name)) is not None

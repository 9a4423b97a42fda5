"""The hours of a robot are judged: memory that grows after the warm-up, or a budget exceeded, is a failure."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.hours import KEYFRAME, main, summary

BUDGET = {"seeding.max_anchors": 1000, "keyframes.capacity": 20}


def rounds(*memory: float, **changes: Any) -> list[dict[str, Any]]:
    """A row per round with this much memory."""
    row = {"keyframes_held": 20, "anchors_in_memory_at_most": 1000} | changes
    return [row | {"rss_mb": m, "keyframes_seen": 100 * (i + 1)} for i, m in enumerate(memory)]


def test_memory_counts_after_the_warm_up() -> None:
    figures = summary(rounds(300, 500, 510, 505), BUDGET, 2)
    assert figures["missed"] == []
    assert figures["rss_growth"] == pytest.approx(0.02)
    assert figures["simulated_seconds"] == 400 * KEYFRAME


@pytest.mark.parametrize(
    "rows",
    [
        rounds(300, 500, 510, 525),
        rounds(300, 500, 530, 500),
        rounds(300, 500, 500, anchors_in_memory_at_most=1001),
        rounds(300, 500, 500, keyframes_held=21),
    ],
)
def test_what_grows_is_a_failure(rows: list[dict[str, Any]]) -> None:
    assert len(summary(rows, BUDGET, 2)["missed"]) == 1


def test_a_small_building_is_driven_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        "hours",
        "--rooms",
        "1",
        "--rounds",
        "3",
        "--steps",
        "1",
        "--anchors",
        "500",
        "--keyframes",
        "4",
        "--warm-up",
        "2",
        "--out",
    ]
    monkeypatch.setattr(sys, "argv", [*words, str(tmp_path)])
    status = main()
    figures = json.loads((tmp_path / "hours.json").read_text())
    assert status == (1 if figures["missed"] else 0)
    assert len(figures["rounds"]) == 3
    assert figures["simulated_seconds"] == figures["rounds"][-1]["keyframes_seen"] * KEYFRAME
    assert all(row["anchors_in_memory_at_most"] <= 500 for row in figures["rounds"])

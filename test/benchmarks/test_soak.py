"""The soak judges itself: whatever it must show and does not is an exit status of 1, and its figures are honest."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import benchmarks.soak.__main__ as soak
from benchmarks.soak.judging import KILLS, failures
from benchmarks.soak.page import INTRODUCTION, page
from benchmarks.soak.session import Outcome, Plan, account, emptied

GOOD: dict[str, Any] = {
    "faults": {"NaN pose": "", "disk full": ""}, "faults_injected": 2, "faults_survived_share": 1.0,
    "kills_survived": KILLS, "rss_growth": 0.04, "miou_delta": -1.5, "ids_kept_share": 0.97,
    "ids_kept_share_undisturbed": 1.0, "quick": False,
}  # fmt: skip


def test_figures_that_meet_every_target_pass() -> None:
    assert failures(GOOD) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"faults": {"NaN pose": "no", "disk full": ""}},
        {"faults_survived_share": 0.5},
        {"faults_injected": 0},
        {"kills_survived": KILLS - 1},
        {"rss_growth": 0.05},
        {"rss_growth": float("nan")},
        {"miou_delta": 2.1},
        {"miou_delta": -2.1},
        {"miou_delta": float("nan")},
        {"ids_kept_share": 0.9},
        {"ids_kept_share": 0.0, "ids_kept_share_undisturbed": 0.0},
    ],
    ids=str,
)
def test_each_target_missed_is_a_failure(bad: dict[str, Any]) -> None:
    assert len(failures(GOOD | bad)) == 1


def test_a_quick_run_is_judged_by_its_faults_and_kills_alone() -> None:
    assert failures(GOOD | {"quick": True, "rss_growth": 0.5, "miou_delta": 9.0}) == []
    assert failures(GOOD | {"quick": True, "kills_survived": 0})


def test_a_saver_that_dies_without_figures_has_survived_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    figures = soak.savers_killed(tmp_path, 22)
    assert (figures["kills"], figures["survived"]) == (22, 0)
    assert "status 1" in figures["errors"][0]


def test_every_image_is_accounted_for() -> None:
    counts = {"image_out_of_order": 10, "image_blank": 5, "inbox_full": 3, "decoder_full": 7, "other_frame_id": 50}
    robot = SimpleNamespace(
        sent=125, count=lambda cause: counts.get(cause, 0), figure=lambda name: {"frames in": 100.0}.get(name, 20.0)
    )
    outcome = Outcome()
    account(outcome, robot)  # type: ignore[arg-type]
    assert outcome.refused == {"image_out_of_order": 10, "image_blank": 5}
    assert outcome.lost == (125 - 100 - 15) + 3, "what was too much for the decoder, or went missing, and for the inbox"


def test_the_summary_holds_the_plan_that_was_run_and_makes_a_page() -> None:
    calm = Outcome(memory=[100_000_000, 101_000_000, 102_000_000], miou=80.0, ids_before={}, sent=10, frames_in=10)
    rough = Outcome(
        faults={"NaN pose": "", "disk full": "it | stopped"}, memory=[100_000_000, 100_000_000, 104_000_000],
        miou=79.0, sent=30, frames_in=18, refused={"image_blank": 12},
    )  # fmt: skip
    kinds = {"a saver": {"kills": 22, "survived": 22}, "the node": {"kills": 8, "survived": 8}}
    kills = {"kills": 30, "survived": 30, "kinds": kinds}
    figures = soak.summary(calm, rough, kills, soak.QUICK)
    assert figures["plan"]["warm_up"] == soak.QUICK.warm_up != Plan().warm_up
    assert figures["faults_survived_share"] == 0.5
    assert {"faults_injected", "kills_survived", "ids_kept_share", "rss_growth", "miou_delta"} <= set(figures)
    text = page(figures | {"seconds": 600, "quick": False, "date": "2026-01-02", "commit": "abc1234"})
    for part in ("| disk full | it / stopped |", "| images sent | 10 | 30 |", "100, 100, 104", "+4.0%", "abc1234",
                 "| image_blank | 12 |", "| the node | 8 | 8 |", "Missed: disk full"):  # fmt: skip
        assert part in text, part


def test_a_run_starts_without_the_maps_of_an_earlier_one(tmp_path: Path) -> None:
    old = tmp_path / "run" / "full" / "map.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    for _ in range(2):
        emptied(tmp_path / "run")
        assert list((tmp_path / "run").iterdir()) == []


def test_the_page_in_the_documentation_is_of_this_soak() -> None:
    assert soak.PAGE.read_text().startswith(INTRODUCTION.strip()), "make soak writes docs/soak.md"


def test_the_whole_soak_fits_into_a_quarter_of_an_hour() -> None:
    starts_and_looks, saver_kills, node_kill = 40.0, 60.0, 10.0
    assert 2 * (Plan().length + starts_and_looks) + saver_kills + soak.NODE_KILLS * node_kill < 900

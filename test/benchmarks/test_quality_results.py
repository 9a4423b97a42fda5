"""Means over scenes, goals and tables of results that were made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality.goals import at_least, at_most, best, goals
from benchmarks.quality.plan import DOUBLE, NOISY, REPEATING, RGB, VARIANTS, Job, conditioned, simulated_jobs
from benchmarks.quality.pool import as_json, is_done, result_path, store
from benchmarks.quality.report import Run, write_report
from benchmarks.quality.results import Results, Spread, count_error, flat, load, mean, metric, spread_of
from benchmarks.quality.sweeps import OURS, PAPER, SWEPT
from benchmarks.quality.tables import instance_table, markdown, semantic_table, sweep_table


def job(scene: str = "room-11", condition: str = NOISY, variant: str = "") -> Job:
    return Job(scene, scene.partition("-")[0], condition, f"sim:{scene}", 10, {}, variant)


def row(miou: float, predicted: int = 10, **more: Any) -> dict[str, Any]:
    semantic = {"all": {"miou": miou - 5, "macc": miou}}
    return {"miou": miou, "ma50": miou, "ma25": miou, "ap": miou, "ap50": miou, "ap25": miou, "predicted": predicted,
            "true": 10, "render_miou": None, "semantic": semantic, "seconds": 1.0, **more}  # fmt: skip


def entry(of: Job, methods: dict[str, Any], **more: Any) -> dict[str, Any]:
    sizes = {"keyframes": 3, "steps": 10, "anchors": 5, "gaussians": 20, "psnr": 25.0, "ssim": 0.9}
    parts = {"mapping": 1.0, "rows": 1.0, "rest": 0.0}
    detail = {
        "structure": {"floor": [True], "wall": [True, False]},
        "sizes": {"small": [50.0], "medium": [], "large": []},
    }
    return {"job": as_json(of), "status": "done", "code": "c", "methods": methods, "map": sizes, "seconds": parts,
            **detail, **more}  # fmt: skip


def swept(miou: dict[str, list[float]]) -> dict[str, Any]:
    """The same figures for both methods; a parameter that is not named does not matter."""
    one = {
        p: {str(v): row(miou.get(p, [50.0] * len(values))[i]) for i, v in enumerate(values)}
        for p, values in SWEPT.items()
    }
    return {OURS: one, PAPER: one}


def two_rooms() -> Results:
    a = entry(job("room-11"), {OURS: row(90), "mask fusion": row(60, 14)}, sweeps=swept({"S": [40, 50, 60]}))
    b = entry(job("room-12"), {OURS: row(80, 9), "mask fusion": row(62, 10)})
    c = entry(job("room-11", RGB), {OURS: row(70), "mask fusion": {"cannot": "needs measured depth"}})
    d = entry(job("room-11", DOUBLE), {OURS: row(78)})
    return Results((a, b, c, d))


def goal(results: Results, text: str) -> Any:
    found = [g for g in goals(results) if text in g.text]
    assert len(found) == 1, [g.text for g in found]
    return found[0]


def test_mean_and_deviation_are_over_the_values_that_are_known() -> None:
    found = spread_of([80.0, None, 90.0])
    assert found == Spread(85.0, 5.0, 2)
    assert str(found) == "85.0 ± 5.0"
    assert str(spread_of([3.0])) == "3.0"
    assert spread_of([None]) is None
    assert spread_of([]) is None


def test_entries_are_selected_by_condition_kind_and_variant() -> None:
    variant = next(iter(VARIANTS))
    table = entry(job("tabletop-11", variant=variant), {OURS: row(1)})
    results = Results((*two_rooms().entries, table))
    assert len(results.select()) == 2
    assert len(results.select(kind="tabletop")) == 0
    assert results.select(variant=variant) == [table]
    assert results.conditions == (NOISY, RGB, DOUBLE)
    assert mean(results.select(), OURS, "miou") == Spread(85.0, 5.0, 2)
    assert mean(results.select(), OURS, "semantic", "all", "miou") == Spread(80.0, 5.0, 2)
    assert metric(results.select(RGB)[0], "mask fusion", "miou") is None


def test_too_many_and_too_few_instances_are_both_errors() -> None:
    entries = [entry(job(), {OURS: row(1, predicted)}) for predicted in (8, 12)]
    assert count_error(entries, OURS) == Spread(20.0, 0.0, 2)


def test_a_goal_is_reached_missed_or_not_measured() -> None:
    assert [at_least("", 80, s).reached for s in (Spread(80, 0, 1), Spread(79.9, 0, 1), None)] == [True, False, None]
    assert [at_most("", 4, s).reached for s in (Spread(4, 0, 1), Spread(4.1, 0, 1), None)] == [True, False, None]
    assert best("", "a", {"a": Spread(2, 0, 1), "b": Spread(1, 0, 1)}).reached is True
    assert best("", "a", {"a": Spread(1, 0, 1), "b": Spread(2, 0, 1)}).reached is False
    assert best("", "a", {"b": Spread(2, 0, 1), "c": Spread(1, 0, 1)}).reached is None


def test_goals_are_computed_from_the_entries() -> None:
    results = two_rooms()
    assert goal(results, "noisy, room: instance mIoU").measured == "85.0 ± 5.0"
    assert goal(results, "noisy: ours above mask fusion").measured == "24.0 ± 6.0"  # 30 and 18
    assert goal(results, "noisy: ours above mask fusion").reached is False  # 25 are wanted
    assert not [g for g in goals(results) if g.text.startswith("rgb: ours above")]  # it cannot run there
    assert goal(results, "twice the mask errors").measured == "12.0"  # of the one scene that has both
    assert goal(results, "S from 200").measured == "8.2"  # sd of 40, 50, 60
    assert goal(results, "gamma from").measured == "0.0"
    assert goal(results, "wall: one instance").measured == "50.0 ± 50.0"
    assert goal(results, "noisy: number of instances").measured == "5.0 ± 5.0"
    assert goal(results, "tabletop: mA50").reached is None


def test_a_better_result_never_loses_a_goal() -> None:
    lost = {
        g.text
        for g, h in zip(goals(raised(0)), goals(raised(8)), strict=True)
        if g.reached is True and h.reached is not True
    }
    assert not lost


def raised(by: float) -> Results:
    entries = [
        entry(job("room-11"), {OURS: row(70 + by), "mask fusion": row(50)}),
        entry(job("room-11", DOUBLE), {OURS: row(65 + by)}),
    ]
    return Results(tuple(entries))


def test_tables_have_one_row_per_method_in_the_papers_order() -> None:
    lines = instance_table(two_rooms(), NOISY, ["room"]).splitlines()
    assert lines[0].startswith("| method | room")
    assert [line.split(" |")[0] for line in lines[2:]] == [
        "| mask fusion (ConceptGraphs, DualMap (geometry))",
        "| **ours**",
    ]
    assert "85.0 ± 5.0 / 85.0 / 85.0" in lines[3]
    assert "cannot run: needs measured depth" in instance_table(two_rooms(), RGB, ["room"])
    assert "mask fusion" not in semantic_table(two_rooms(), RGB, ["room"])


def test_every_table_row_has_as_many_cells_as_its_head() -> None:
    tables = [
        instance_table(two_rooms(), NOISY, ["room"]),
        sweep_table(two_rooms(), "S"),
        markdown(["a", "b"], [["1", "2"]]),
    ]
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_quality_json_is_scene_method_metric() -> None:
    table = flat(two_rooms())
    assert table["room-11"][OURS]["miou"] == 90
    assert table["room-11"][OURS]["semantic.all.miou"] == 85
    assert table["room-11"][OURS]["psnr"] == 25.0
    assert table["room-11 rgb"]["mask fusion"] == {"cannot": "needs measured depth"}


def test_results_of_other_settings_do_not_count(tmp_path: Path) -> None:
    a, b, c = job("room-11"), job("room-12"), job("room-13")
    store(
        tmp_path,
        a,
        "v1",
        {"status": "done", **{k: v for k, v in entry(a, {OURS: row(1)}).items() if k in ("methods",)}},
        1,
    )
    store(tmp_path, b, "v1", {"status": "failed", "error": "RuntimeError: x"}, 1)
    assert is_done(tmp_path, a, "v1")
    assert not is_done(tmp_path, a, "v2")
    assert not is_done(tmp_path, b, "v1")
    assert not is_done(tmp_path, c, "v1")
    found = load(tmp_path, [a, b, c])
    assert [e["job"]["scene"] for e in found.entries] == ["room-11"]
    assert found.failed == {b.key: "RuntimeError: x"}
    assert found.absent == (c.key,)
    other = Job(a.scene, a.kind, a.condition, a.spec, 11, {})
    assert result_path(tmp_path, other) == result_path(tmp_path, a)
    assert load(tmp_path, [other]).absent == (other.key,)


def test_the_report_names_what_failed_and_what_is_missing(tmp_path: Path) -> None:
    results = Results(
        two_rooms().entries, {"room-13-noisy": "DatasetError: gone"}, ("room-13-rgb",), frozenset({"a", "b"})
    )
    write_report(tmp_path / "docs" / "quality.md", tmp_path / "out", results, Run("make quality", 3, 2))
    text = (tmp_path / "docs" / "quality.md").read_text()
    assert "failed: room-13-noisy: DatasetError: gone" in text
    assert "not run: room-13-rgb" in text
    assert "2 versions of the code" in text
    assert json.loads((tmp_path / "out.json").read_text())["room-12"]["mask fusion"]["miou"] == 62


def test_the_plan_runs_every_scene_in_every_condition_and_twice_the_noise_on_one_of_each_kind() -> None:
    jobs = [j for j in simulated_jobs(Path("/m"), 320, {}) if not j.variant]
    assert len(jobs) == len({j.key for j in jobs}) == 8 * 3 + 3
    assert all(sum(j.condition == c for j in jobs) == 8 for c in (NOISY, REPEATING, RGB))
    assert sorted(j.kind for j in jobs if j.condition == DOUBLE) == ["room", "scanned", "tabletop"]
    assert sum(j.sweeps for j in jobs) == 3
    assert sum(j.picture for j in jobs) == 3
    assert all(("depth=none" in j.spec) == (j.condition == RGB) for j in jobs)


@pytest.mark.parametrize("condition", [NOISY, RGB])
def test_comparisons_run_every_row(condition: str) -> None:
    assert conditioned(job(), condition, 5, False).rows is None

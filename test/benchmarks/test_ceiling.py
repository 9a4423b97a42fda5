"""No labelling of a cloud by its masks comes above the ceilings."""

from __future__ import annotations

from benchmarks.quality.ceiling import ROWS, ceilings, lines, seen
from benchmarks.quality.plan import quick_jobs
from benchmarks.quality.report import ceiling


def test_truth_is_above_its_masks_and_those_above_a_grouping_that_is_found() -> None:
    rows = ceilings(*seen(quick_jobs(160, {}, frames=24)[0]))
    assert set(rows) == set(ROWS)
    assert 100 >= rows["points"]["miou"] >= rows["masks"]["miou"] >= rows["consensus"]["miou"] - 1.0
    assert rows["points"]["ma50"] > 90


def test_scenes_of_a_kind_are_averaged_and_no_figures_are_no_section() -> None:
    def entry(value: float) -> dict[str, object]:
        return {"kind": "room", "condition": "noisy", "rows": {r: {"miou": value, "ma50": 100.0} for r in ROWS}}

    assert lines({"a": entry(90.0), "b": entry(94.0)}) == [["room (2)", "noisy", *["92.0 / 100.0"] * 3]]
    assert list(ceiling({})) == []
    assert "92.0 / 100.0" in "".join(ceiling({"a": entry(92.0)}))

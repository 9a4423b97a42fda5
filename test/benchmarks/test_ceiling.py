"""No labelling of a cloud by its masks comes above the ceilings."""

from __future__ import annotations

from benchmarks.baselines import material_of
from benchmarks.quality.ceiling import ROWS, ceilings
from benchmarks.quality.plan import quick_jobs
from benchmarks.quality.results import Results
from benchmarks.quality.tables import ceiling_remark, ceiling_table
from ig_ros.config import Config
from ig_ros.datasets import open_dataset, split
from ig_ros.evaluation.offline import Budget, map_dataset
from ig_ros.mapper import Mapper


def test_truth_is_above_its_masks() -> None:
    dataset = open_dataset(quick_jobs(320, {}, frames=24)[0].spec)
    assert dataset.truth is not None
    mapper = Mapper(Config.from_dict({"threads": 1, "device": "cpu", "language.encoder": "none"}))
    map_dataset(mapper, dataset, split(len(dataset))[0], Budget(steps=0))
    rows = ceilings(material_of(mapper), dataset.truth)
    assert set(rows) == set(ROWS)
    assert 100 >= rows["points"]["miou"] >= rows["masks"]["miou"] > 50
    assert rows["points"]["ma50"] > 90


def entry(value: float) -> dict[str, object]:
    return {
        "job": {"scene": "room-1", "kind": "room", "condition": "noisy", "variant": ""},
        "methods": {"ours": {"miou": 93.0}, "mask fusion": {"miou": 70.0}},
        "ceiling": {r: {"miou": value, "ma50": 100.0} for r in ROWS},
    }


def test_scenes_of_a_kind_are_averaged_and_no_figures_are_no_section() -> None:
    results = Results((entry(90.0), entry(94.0)))
    assert "| room, noisy | 92.0 ± 2.0 / 100.0 |" in ceiling_table(results, ("room",))
    assert "22.0 points" in ceiling_remark(results)
    assert ceiling_table(Results(()), ("room",)) == ceiling_remark(Results(())) == ""

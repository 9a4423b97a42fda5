"""The paper's Tables 8-13: one parameter at a time on a trained map, nothing trained again."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from benchmarks.baselines import Material, Prediction
from benchmarks.baselines.aggregation import Aggregation
from benchmarks.baselines.registry import method
from benchmarks.quality.scoring import INSTANCE_FIGURES, Judge, Judged
from ig_ros.config import Config, InstanceConfig
from ig_ros.instances import ObjectTracker
from ig_ros.named_objects import find_objects
from ig_ros.types import Instances

OURS, PAPER = "ours", "feature + voxel aggregation"
SUB_OBJECTS = (200, 500, 1000)
VOXELS = (0.05, 0.15, 0.5)  # m
GAMMA_FACTORS = (0.6, 1.0, 1.8)  # of the default: a 3x range
SWEPT: dict[str, tuple[float, ...]] = {"S": SUB_OBJECTS, "voxel": VOXELS, "gamma": GAMMA_FACTORS}
WITNESSES: dict[str, dict[str, float]] = {  # the three that judge an edge (instances/witnesses.py), some left out
    "masks, features and surface": {},
    "without the features": {"feature_trust": 0.0, "feature_share": 0.0},
    "without the surface": {"boundary_trust": 0.0},
    "masks alone": {"feature_trust": 0.0, "feature_share": 0.0, "boundary_trust": 0.0},
}
FIELDS = {"S": "sub_objects", "voxel": "voxel", "gamma": "feature_gap"}


class OwnRuns:
    """Figures of our own instantiation of one map under several settings: each setting is run once."""

    def __init__(self, material: Material, judge: Judge, own: Judged) -> None:
        """`own` is the row that the map's own settings gave."""
        self._material, self._judge = material, judge
        self._figures: dict[InstanceConfig, dict[str, Any]] = {
            material.config.instances: {name: own.figures[name] for name in INSTANCE_FIGURES}
        }

    def __call__(self, config: Config) -> dict[str, Any]:
        """Under `config`, whose instances differ from the map's own at the most."""
        if config.instances not in self._figures:
            found = find_objects(self._material.frozen, ObjectTracker(), None, config)
            self._figures[config.instances] = self._judge.instances(as_prediction(self._material, found)[0])
        return self._figures[config.instances]


def sweep_ours(own: OwnRuns, config: Config) -> dict[str, dict[str, Any]]:
    """Parameter -> value -> figures, of our own instantiation of a map made under `config`."""
    return {p: {str(v): own(overridden(config, p, v)) for v in values} for p, values in SWEPT.items()}


def witnesses(own: OwnRuns, config: Config) -> dict[str, Any]:
    """Figures of our own instantiation with some of its witnesses left out."""
    configs = {name: dataclasses.replace(config.instances, **left_out) for name, left_out in WITNESSES.items()}
    return {name: own(dataclasses.replace(config, instances=c)) for name, c in configs.items()}


def sweep_paper(material: Material, judge: Judge) -> dict[str, dict[str, Any]]:
    """Parameter -> value -> figures, of the paper's aggregation."""
    paper, random = method(PAPER), np.random.default_rng(0)
    assert isinstance(paper, Aggregation)
    return {
        p: {str(v): judge.instances(varied(paper, p, v)(material, random)) for v in values}
        for p, values in SWEPT.items()
    }


def varied(paper: Aggregation, parameter: str, value: float) -> Aggregation:
    """The aggregation with one parameter changed; gamma by a factor."""
    if parameter == "S":
        return dataclasses.replace(paper, sub_objects=int(value))
    if parameter == "voxel":
        return dataclasses.replace(paper, voxel=value)
    return dataclasses.replace(paper, gamma=paper.gamma * value)


def overridden(config: Config, parameter: str, value: float) -> Config:
    """The configuration with one parameter of the instantiation changed; gamma by a factor."""
    changes: dict[str, Any] = {FIELDS[parameter]: value}
    if parameter == "gamma":
        changes = {FIELDS[parameter]: value * config.instances.feature_gap}
    return dataclasses.replace(config, instances=dataclasses.replace(config.instances, **changes))


def as_prediction(material: Material, found: Instances) -> tuple[Prediction, dict[int, Any]]:
    """Our own result as a row, and the embeddings of its instances."""
    embeddings = {o.id: row for o, row in zip(found.objects, found.embeddings, strict=True) if row.any()}
    return Prediction(material.children.xyz, found.point_ids), embeddings

"""As a map: are the things of the kitchen's table objects of their own, and is the table one?"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.segmenter.kitchen import THINGS, WOOD, id_near
from ig_ros.config import Config
from ig_ros.datasets.base import Dataset
from ig_ros.mapper import Mapper
from ig_ros.types import MapSnapshot


@dataclass(frozen=True, slots=True)
class Whole:
    """What a map makes of the kitchen."""

    ids: dict[str, int]  # thing -> object
    table: list[int]  # object of every point of the table's wood
    shares: dict[str, int]  # thing -> points of its object
    seconds: float

    @property
    def apart(self) -> dict[str, bool]:
        """Thing -> it is an object of its own: no other thing's, not the table's, and smaller than the table."""
        counts = {i: list(self.ids.values()).count(i) for i in self.ids.values()}
        return {n: i > 0 and counts[i] == 1 and i not in self.table for n, i in self.ids.items()}


def map_kitchen(dataset: Dataset, steps: int) -> tuple[Mapper, MapSnapshot, float]:
    """Every frame in its order, `steps` training steps in all, then the objects."""
    begin = time.perf_counter()
    chosen = {"device": "cpu", "threads": torch.get_num_threads(), "segmentation.segmenter": "geometric",
              "language.encoder": "none"}  # fmt: skip
    mapper = Mapper(Config.from_dict(chosen))
    for i in range(len(dataset)):
        mapper.add_frame(dataset[i])
        for _ in range(steps // len(dataset)):
            mapper.train_step()
    return mapper, mapper.instantiate(), time.perf_counter() - begin


def judge(snapshot: MapSnapshot, seconds: float) -> Whole:
    """Which object is at every known point?"""
    ids = {name: id_near(point, snapshot.xyz, snapshot.instances.point_ids) for name, (point, _) in THINGS.items()}
    table = [id_near(point, snapshot.xyz, snapshot.instances.point_ids) for point in WOOD]
    shares = {name: int(np.sum(snapshot.instances.point_ids == i)) for name, i in ids.items()}
    return Whole(ids, table, shares, seconds)

"""A map to measure on: a simulated room, trained for a while."""

from __future__ import annotations

from functools import lru_cache

from ig_ros.config import Config
from ig_ros.datasets import open_dataset, split
from ig_ros.evaluation.offline import Budget, map_dataset
from ig_ros.mapper import Mapper

ROOM, TABLETOP = "sim:room?seed=1&width=320", "sim:tabletop?seed=1&width=320"


@lru_cache(maxsize=1)
def trained(spec: str, steps: int, frames: int) -> Mapper:
    """A mapper that has seen the first `frames` training frames and made `steps` steps."""
    mapper = Mapper(Config.from_dict({"device": "cpu", "language.encoder": "none"}))
    dataset = open_dataset(spec)
    map_dataset(mapper, dataset, split(len(dataset))[0][:frames], Budget(steps=steps))
    return mapper

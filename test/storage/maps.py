"""A map of the two cards, made by one camera."""

from __future__ import annotations

import dataclasses

from helpers import orbit, small_config

from ig_ros.mapper import Mapper


def make(steps: int = 25) -> Mapper:
    """Five frames and so many steps, with objects."""
    mapper = Mapper(small_config(training__seed=3))
    for frame in orbit(5):
        mapper.add_frame(dataclasses.replace(frame, source="front"))
    for _ in range(steps):
        mapper.train_step()
    mapper.instantiate()
    return mapper

"""A map of the ground with its two cards, as most tests want one."""

from __future__ import annotations

from typing import Any

from helpers import orbit, small_config

from ig_ros.mapper import Mapper


def map_of_cards(frames: int, steps: int, **changes: Any) -> Mapper:
    """A mapper that has seen so many frames of the orbit, made so many steps and found its objects."""
    mapper = Mapper(small_config(**changes))
    for frame in orbit(frames):
        mapper.add_frame(frame)
    for _ in range(steps):
        mapper.train_step()
    mapper.instantiate()
    return mapper

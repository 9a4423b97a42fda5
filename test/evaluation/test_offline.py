"""Mapping a dataset without ROS: every frame is fed, none that is refused ends the run."""

from __future__ import annotations

import dataclasses

import pytest
from helpers import orbit, small_config

from ig_ros.evaluation.offline import Budget, MappingProgress, map_dataset
from ig_ros.mapper import Mapper
from ig_ros.types import Frame


class Recording(list[Frame]):
    """A list of frames as a dataset."""

    name, truth = "recording", None


def jumping(n: int, bad: int, *, depth: bool) -> Recording:
    """n frames of which one stands forty metres aside."""
    frames = Recording(orbit(n, depth=depth))
    T = frames[bad].T_world_camera.copy()
    T[0, 3] += 40.0
    frames[bad] = dataclasses.replace(frames[bad], T_world_camera=T)
    return frames


@pytest.mark.parametrize("depth", [True, False])
def test_a_pose_that_jumps_is_counted_whether_or_not_there_is_a_map_yet(depth: bool) -> None:
    mapper = Mapper(small_config(keyframes__max_speed=3.0))
    seen: list[MappingProgress] = []
    frames = jumping(7, 1, depth=depth)
    dropped = map_dataset(mapper, frames, range(len(frames)), Budget(steps=12), seen.append)  # type: ignore[arg-type]
    assert dropped == {"pose_jump": 1}
    assert len(mapper.keyframes) == 6
    assert mapper.trainer.step == 12
    assert seen[-1].frames == 7
    assert [p.share for p in seen] == sorted(p.share for p in seen)
    assert seen[-1].share <= 1.0


def test_only_the_places_asked_for_are_fed() -> None:
    mapper = Mapper(small_config())
    frames = Recording(orbit(6))
    map_dataset(mapper, frames, [0, 2, 4], Budget(steps=5))  # type: ignore[arg-type]
    assert [k.index for k in mapper.keyframes.items] == [0, 2, 4]


def test_a_recording_without_anything_to_map_ends() -> None:
    frames = Recording(orbit(3, depth=False)[:1])
    assert map_dataset(Mapper(small_config()), frames, [0], Budget(steps=5)) == {}  # type: ignore[arg-type]


def test_the_budget_is_seconds_or_steps() -> None:
    assert Budget(seconds=10).spent(5.0, 999) == 0.5
    assert Budget(steps=50).spent(999.0, 25) == 0.5

"""Ctrl-C while mapping: the first one saves what is there, the second one gives up."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import orbit, small_config

from ig_ros.map_io import load_map
from ig_ros.mapper import Mapper
from ig_ros.types import Frame

Ig = Callable[..., Any]
SETTINGS = ["language.encoder=none", "keyframes.max_speed=1000", "seeding.voxel=0.03", "instances.sub_objects=300"]


class Impatient:
    """A dataset during which somebody presses Ctrl-C: at each of the given readings of a frame."""

    name, truth = "impatient", None

    def __init__(self, *presses: int) -> None:
        self._frames = orbit(16)
        self._presses, self._read = presses, 0

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, i: int) -> Frame:
        self._read += 1
        for _ in range(self._presses.count(self._read)):
            os.kill(os.getpid(), signal.SIGINT)
        return self._frames[i]


@pytest.fixture
def mapping(ig: Ig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    def run(*presses: int) -> Any:
        monkeypatch.setattr("ig_ros.datasets.open_dataset", lambda _: Impatient(*presses))
        return ig("map", "any", "--out", tmp_path, "--steps", "40", "--json", *(f"--set={s}" for s in SETTINGS))

    return run


def test_one_ctrl_c_saves_what_is_there(mapping: Callable[..., Any], tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    done = mapping(8)  # two readings are the views that are watched
    assert done.code == 130, done.err
    assert "stopping" in done.err
    assert '"interrupted": true' in done.out
    mapper = Mapper(small_config(seeding__voxel=0.03, instances__sub_objects=300))
    load_map(mapper, tmp_path / "map")
    assert 3 <= len(mapper.keyframes) < 14
    assert mapper.trainer.step < 40
    assert mapper.latest is not None
    assert "Stopped by Ctrl-C" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "metrics.json").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_the_first_keyframe_leaves_an_empty_map(mapping: Callable[..., Any], tmp_path: Path) -> None:
    done = mapping(3)
    assert done.code == 130, done.err
    mapper = Mapper(small_config())
    load_map(mapper, tmp_path / "map")
    assert len(mapper.keyframes) <= 1


def test_the_second_ctrl_c_ends_at_once(mapping: Callable[..., Any], tmp_path: Path) -> None:
    done = mapping(8, 8)
    assert done.code == 130
    assert not (tmp_path / "map").exists()

"""`ig play`: options become what is played, what is ROS's goes to ROS, a recording keeps what it has."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import orbit

from ig_ros.datasets import open_dataset
from ig_ros.nodes.player import PlayOptions
from ig_ros.types import Frame

Ig = Callable[..., Any]
SCENE = "sim:tabletop?width=64&frames=16"


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[PlayOptions, list[str]]]:
    """What would have been published, and the arguments ROS would have seen."""
    seen: list[tuple[PlayOptions, list[str]]] = []

    def play(dataset: Any, options: PlayOptions, args: list[str], progress: Callable[[int], None]) -> int:
        seen.append((options, args))
        progress(7)
        return 7

    monkeypatch.setattr("ig_ros.nodes.player.play", play)
    return seen


def test_without_options_the_players_own_defaults_hold(ig: Ig, played: list[Any]) -> None:
    done = ig("play", SCENE)
    assert done.code == 0, done.err
    assert played == [(PlayOptions(), [])]
    assert "7 frames published" in done.out
    assert PlayOptions().rate == 10  # as the help says
    assert PlayOptions().loops == 1


def test_options_and_ros_arguments_reach_those_they_are_for(ig: Ig, played: list[Any]) -> None:
    ros = ["--ros-args", "-r", "image:=/camera/color", "-p", "use_sim_time:=true"]
    done = ig("play", SCENE, "--rate", "5", "--loops", "2", "--hold-out", "--no-depth", "--max-frames", "9", *ros)
    assert done.code == 0, done.err
    assert played == [(PlayOptions(rate=5.0, loops=2, hold_out=True, depth=False, max_frames=9), ros)]


@pytest.mark.parametrize("rate", ["0", "-3"])
def test_a_rate_that_is_none_is_a_mistake(ig: Ig, played: list[Any], rate: str) -> None:
    done = ig("play", SCENE, "--rate", rate)
    assert done.code == 2
    assert "--rate" in done.err
    assert played == []


def test_a_recording_tells_scripts_what_it_wrote(ig: Ig, tmp_path: Path) -> None:
    bag = tmp_path / "b.mcap"
    done = ig("play", SCENE, "--record", bag, "--hold-out", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {"frames": 14, "record": str(bag)}
    assert len(open_dataset(str(bag))) == 14


class Impatient(list[Frame]):
    """Somebody presses Ctrl-C at the third frame."""

    name, truth = "impatient", None

    def __getitem__(self, i: Any) -> Any:
        if i == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(i)


def test_ctrl_c_leaves_a_bag_that_can_be_read(ig: Ig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ig_ros.datasets.open_dataset", lambda _: Impatient(orbit(6)))
    bag = tmp_path / "b.mcap"
    assert ig("play", "any", "--record", bag).code == 130
    monkeypatch.undo()
    assert len(open_dataset(str(bag))) == 2

"""A process that dies while it saves leaves a map that loads; a loaded map goes on as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from cards import map_of_cards
from helpers import small_config

from ig_ros.map_io import load_map, read_snapshot, save_map
from ig_ros.mapper import Mapper

SAVER = """
import sys
from pathlib import Path
from ig_ros.config import Config
from ig_ros.mapper import Mapper
from ig_ros.map_io import load_map, save_map
target = Path(sys.argv[1])
mapper = Mapper(Config.from_dict({"device": "cpu", "threads": 1, "language.encoder": "none"}))
load_map(mapper, target)
print("ready", flush=True)
while True:
    mapper.trainer.step += 1
    save_map(mapper, target)
    print(mapper.trainer.step, flush=True)
"""


def small_map() -> Mapper:
    return map_of_cards(4, 8, threads=1)


def test_a_loaded_map_trains_on_to_the_bit(tmp_path: Path) -> None:
    mapper = small_map()
    save_map(mapper, tmp_path / "map")
    resumed = Mapper(mapper.config)
    load_map(resumed, tmp_path / "map")
    for one in (mapper, resumed):
        for _ in range(5):
            one.train_step()
        one.add_points(torch.linspace(1.5, 2.0, 6).reshape(2, 3).numpy(), None)
        one.train_step()
    for name, tensor in mapper.scaffold.anchors.state().items():
        assert torch.equal(tensor, resumed.scaffold.anchors.state()[name]), name
    for name, tensor in mapper.scaffold.decoder.state_dict().items():
        assert torch.equal(tensor, resumed.scaffold.decoder.state_dict()[name]), name


def test_killed_at_random_moments_of_saving_the_last_map_loads(tmp_path: Path) -> None:
    target = save_map(small_map(), tmp_path / "map")
    config = small_config(threads=1)
    before = 0
    for kill in range(3):
        saver = subprocess.Popen([sys.executable, "-c", SAVER, str(target)], stdout=subprocess.PIPE, text=True)
        assert saver.stdout is not None
        assert saver.stdout.readline() == "ready\n"
        time.sleep(0.02 + 0.017 * kill)
        saver.send_signal(signal.SIGKILL)
        confirmed = [int(line) for line in saver.communicate()[0].split("\n") if line.isdigit()]
        last = confirmed[-1] if confirmed else before
        mapper = Mapper(config)
        load_map(mapper, target)
        assert mapper.trainer.step in ((last, last + 1) if last else (8, 9))
        before = mapper.trainer.step
    assert [p.name for p in tmp_path.iterdir() if p.name != ".map.old"] == ["map"]  # the dead leave no scratch


def test_killed_between_the_two_renames_the_older_map_comes_back(tmp_path: Path) -> None:
    mapper = small_map()
    target = save_map(mapper, tmp_path / "map")
    os.rename(target, tmp_path / ".map.old")
    snapshot, _ = read_snapshot(target)
    assert snapshot is not None
    assert snapshot.step == mapper.trainer.step
    assert [p.name for p in tmp_path.iterdir()] == ["map"]


def test_another_process_that_is_saving_right_now_is_left_alone(tmp_path: Path) -> None:
    target = save_map(small_map(), tmp_path / "map")
    theirs = tmp_path / f".map.{os.getppid()}.abc"
    theirs.mkdir()
    load_map(Mapper(small_config(threads=1)), target)
    assert theirs.exists()


@pytest.mark.parametrize("name", ["map", "map[1]", "my map.v2"])
def test_what_a_dead_process_left_goes_with_the_next_save(tmp_path: Path, name: str) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, other = tmp_path / f".{name}.{dead.pid}.abc", tmp_path / f".{name}x.{dead.pid}.abc"
    left.mkdir()
    other.mkdir()
    save_map(Mapper(small_config(threads=1)), tmp_path / name)
    assert not left.exists()
    assert other.exists()

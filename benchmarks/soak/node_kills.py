"""`kill -9` for the mapping node itself, while it trains and saves: the map it had saved last can be loaded.

Each node loads what the one before has left and goes on mapping; the map has words, objects and tiles on disk. The
moments are random: before the save is asked for, while it runs, and after it.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.soak.robot import PATIENCE, Robot
from benchmarks.soak.session import Plan, emptied, robot_in
from ig_ros.config import Config
from ig_ros.errors import IgError, QueryError
from ig_ros.map_io import MANIFEST, TILES, load_map
from ig_ros.mapper import Mapper
from ig_ros.types import Frame

NAME = "killed"
SETTINGS: dict[str, Any] = {
    "seeding.max_anchors": 3000,
    "memory.reach": 0.4,
    "memory.tile": 0.1,
    "instances.interval": 2.0,
    "keyframes.capacity": 20,
}  # less than the scene needs: what is far from the camera is on disk
BEGIN = 12.0  # s of mapping before the first map is saved ...
GO_ON = 1.0  # ... and of every later node before the save that it dies of
AROUND = 0.3  # s before and after a save in which it may die


def kill_nodes(
    frames: Sequence[Frame], folder: Path, kills: int, say: Callable[[str], None], seed: int = 0
) -> dict[str, Any]:
    """Kill `kills` nodes one after the other; how many left a whole map, as it was or newer."""
    moments, errors, saving = random.Random(seed), [], 1.0
    plan, inside = Plan(), 0
    emptied(folder)
    for number in range(kills):
        with robot_in(frames, plan, folder, SETTINGS) as robot:
            if number:
                robot.client.load(NAME)
            robot.drive(GO_ON if number else BEGIN)
            if not number:
                robot.look()
                saving = first_save(robot)
            before = step_of(folder)
            inside += die_saving(robot, moments.uniform(-AROUND, saving + AROUND))
        trouble = judge(folder, before)
        errors += [trouble] if trouble else []
        say(f"node killed, {number + 1} of {kills}: {trouble or 'its map is whole'}")
    return {"kills": kills, "survived": kills - len(errors), "while_saving": inside, "errors": errors}


def first_save(robot: Robot) -> float:
    """Save once in peace; how long it took, s."""
    begin = time.monotonic()
    robot.client.save(NAME)
    if not robot.wait(lambda: (robot.maps / NAME / MANIFEST).exists(), PATIENCE):
        raise RuntimeError("the first map was not saved: see node.log")
    return time.monotonic() - begin


def die_saving(robot: Robot, delay: float) -> bool:
    """Kill the node `delay` seconds after a save was asked for, negative = before; whether a save was under way."""
    timer = threading.Timer(max(delay, 0.0), robot.node.kill)
    if delay < 0:
        robot.node.kill()
        robot.node.wait()
        return False
    timer.start()
    answered = True
    try:
        robot.client.timeout = delay + 1.0
        answered = robot.client.save(NAME).success
    except QueryError:
        answered = False  # it died before it could answer
    timer.join()
    robot.node.wait()
    return not answered


def step_of(folder: Path) -> int:
    """Training step of the map that is there."""
    return int(json.loads((folder / NAME / MANIFEST).read_text())["step"])


def judge(folder: Path, before: int) -> str:
    """What is wrong with the map after a kill, "" if it is whole and not older than before."""
    mapper = Mapper(Config.from_dict(SETTINGS | {"device": "cpu", "threads": 1}))
    try:
        load_map(mapper, folder / NAME)
    except IgError as error:
        return str(error)
    if mapper.trainer.step < before:
        return f"step {mapper.trainer.step} was loaded, {before} had been saved"
    latest = mapper.latest
    if latest is None or not any(o.label for o in latest.instances.objects) or not latest.instances.encoder:
        return "the map has lost its objects, their names or the encoder of their embeddings"
    if not any((folder / NAME / TILES).iterdir()) or not mapper.state.pager.count():
        return "the map has lost its tiles"
    return "" if mapper.train_step() is not None else "the loaded map cannot be trained"

"""`kill -9` while a map is saved: whatever the moment, a whole map can be loaded afterwards.

python -m benchmarks.soak.kills FOLDER [--kills 30] prints a JSON object. A child saves one map after another, each with
a step number of its own, and is killed at a random moment; the parent loads what stands there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path

import torch

from ig_ros.config import Config
from ig_ros.datasets import open_dataset
from ig_ros.errors import IgError
from ig_ros.map_io import load_map, save_map
from ig_ros.mapper import Mapper

SETTINGS = {"device": "cpu", "threads": 1, "language.encoder": "none"}
FRAMES = 4  # of the scene whose map is saved
STEP = struct.Struct("q")  # what the child reports: the step of the map that it has saved


def kill_while_saving(folder: Path, kills: int, seed: int = 0) -> dict[str, object]:
    """Kill a saver `kills` times at random moments; how many times the last whole map, or the next, was there."""
    torch.set_num_threads(1)  # a forked child inherits no OpenMP threads
    moments = random.Random(seed)
    mapper = small_map()
    target = folder / "map"
    save_map(mapper, target)
    duration = timed_save(mapper, target)
    survived, inside, errors = 0, 0, []
    for _ in range(kills):
        confirmed, error = one_kill(mapper, target, moments.uniform(0.0, 3 * duration))
        survived += not error
        errors += [error] if error else []
        inside += confirmed
    return {
        "kills": kills,
        "survived": survived,
        "save_ms": round(1000 * duration, 1),
        "maps_saved": inside,
        "errors": errors,
    }


def small_map() -> Mapper:
    """A map of a few views of a simulated tabletop."""
    mapper = Mapper(Config.from_dict(SETTINGS))
    dataset = open_dataset("sim:tabletop?seed=2&width=160&frames=60")
    for i in range(FRAMES):
        mapper.add_frame(dataset[5 * i])
    for _ in range(5):
        mapper.train_step()
    mapper.instantiate()
    return mapper


def timed_save(mapper: Mapper, target: Path) -> float:
    """Seconds that a save takes over an older map."""
    begin = time.perf_counter()
    save_map(mapper, target)
    return time.perf_counter() - begin


def one_kill(mapper: Mapper, target: Path, delay: float) -> tuple[int, str]:
    """Start a saver, kill it after `delay` seconds: how many maps it has confirmed, and what is wrong, "" = nothing."""
    first = mapper.trainer.step
    reader, writer = os.pipe()
    saver = os.fork()
    if saver == 0:
        save_for_ever(mapper, target, writer)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        pipe.read(STEP.size)  # it lives, and saves from now on
        time.sleep(delay)
        os.kill(saver, signal.SIGKILL)
        os.waitpid(saver, 0)
        reports = pipe.read()
    last = STEP.unpack(reports[-STEP.size :])[0] if reports else first
    loaded = Mapper(mapper.config)
    try:
        load_map(loaded, target)
    except IgError as error:
        return len(reports) // STEP.size, str(error)
    step = loaded.trainer.step
    mapper.trainer.step = step
    whole = step in (last, last + 1) and len(loaded.scaffold.anchors) == len(mapper.scaffold.anchors)
    return len(reports) // STEP.size, "" if whole else f"step {step} was loaded, {last} had been saved"


def save_for_ever(mapper: Mapper, target: Path, writer: int) -> None:
    """The child: saves maps of growing step and reports each that is finished, until it is killed."""
    try:
        os.write(writer, STEP.pack(mapper.trainer.step))
        while True:
            mapper.trainer.step += 1
            save_map(mapper, target)
            os.write(writer, STEP.pack(mapper.trainer.step))
    finally:
        os._exit(1)  # nothing of the parent's may run here


def main() -> int:
    """Print the figures; 0 when every kill was survived."""
    parser = argparse.ArgumentParser(prog="kills", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=30)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    figures = kill_while_saving(given.folder, given.kills)
    print(json.dumps(figures))
    return 0 if figures["survived"] == figures["kills"] else 1


if __name__ == "__main__":
    sys.exit(main())

"""python -m benchmarks.hours: a robot that goes round a building again and again; what it costs and what it forgets.

Rooms are copies of one simulated room, each with its colours exchanged, 25 m apart. Time is compressed: a keyframe
stands for KEYFRAME seconds of a driving robot, so that the default is more than an hour of it. The first WARM_UP rounds
fill the budgets; memory may grow by less than GROWTH after them. Prints a line per round and writes OUT/hours.json; 1
if the memory has grown, or a budget was exceeded.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from ig_ros.config import Config
from ig_ros.datasets import open_dataset
from ig_ros.evaluation.metrics import psnr
from ig_ros.mapper import Mapper
from ig_ros.types import Frame, MapSnapshot

SCENE = "sim:room?seed=1&frames=27&width=160"
APART = 25.0  # m between two rooms
UNSEEN = 9  # every so many frames of a room are kept to judge it
ORDERS = list(itertools.permutations(range(3)))  # of the colour channels
KEYFRAME = 4.0  # s of driving from one keyframe to the next: 0.4 m at 0.1 m/s, as a robot goes about a flat
WARM_UP = 4  # rounds: what lies on disk, of which memory holds a list, is nearly complete by then
GROWTH = 0.05
MB = 1e6


def main() -> int:
    """Round after round through the building."""
    parser = argparse.ArgumentParser(prog="hours", description=__doc__)
    parser.add_argument("--rooms", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--warm-up", type=int, default=WARM_UP, help="rounds before memory is compared")
    parser.add_argument("--steps", type=int, default=3, help="training steps per keyframe")
    parser.add_argument("--anchors", type=int, default=30_000, help="budget in memory")
    parser.add_argument("--keyframes", type=int, default=100, help="budget in memory")
    parser.add_argument("--out", type=Path, default=Path("out"))
    given = parser.parse_args()
    if not 1 <= given.warm_up < given.rounds:
        parser.error(f"--rounds must be more than the {given.warm_up} of the warm-up")
    budget = {"seeding.max_anchors": given.anchors, "keyframes.capacity": given.keyframes}
    mapper = Mapper(Config.from_dict({**budget, "language.encoder": "none", "keyframes.max_speed": 1e6}))
    dataset = open_dataset(SCENE)
    frames = [dataset[i] for i in range(len(dataset))]
    rows: list[dict[str, Any]] = []
    ids: list[dict[str, int]] = []
    for lap in range(given.rounds):
        row, ids = go_round(mapper, frames, lap, given.rooms, given.steps, ids)
        rows.append(row)
        print(json.dumps(row), flush=True)
    figures = summary(rows, budget, given.warm_up)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "hours.json").write_text(json.dumps(figures, indent=1))
    print(json.dumps({name: figures[name] for name in ("simulated_seconds", "rss_growth", "missed")}))
    return 1 if figures["missed"] else 0


def summary(rows: list[dict[str, Any]], budget: dict[str, int], warm_up: int) -> dict[str, Any]:
    """What hours.json holds: the rounds, the time they stand for, the growth after the warm-up, the targets missed."""
    after = [row["rss_mb"] for row in rows[warm_up - 1 :]]
    growth = max(after) / after[0] - 1
    missed = [f"memory has grown by {growth:.1%} after the warm-up"] if not growth < GROWTH else []
    for name, limit in (("anchors_in_memory_at_most", "seeding.max_anchors"), ("keyframes_held", "keyframes.capacity")):
        most = max(row[name] for row in rows)
        missed += [f"{name}: {most}, {limit} is {budget[limit]}"] if most > budget[limit] else []
    return {
        "budget": budget,
        "warm_up_rounds": warm_up,
        "simulated_seconds": round(rows[-1]["keyframes_seen"] * KEYFRAME),
        "rss_growth": round(growth, 4),
        "missed": missed,
        "rounds": rows,
    }


def go_round(
    mapper: Mapper, frames: list[Frame], lap: int, rooms: int, steps: int, known: list[dict[str, int]]
) -> tuple[dict[str, Any], list[dict[str, int]]]:
    """One round; `known` are the names and ids of each room's objects a round ago. Returns the figures and the new."""
    begin, trained, most, quality, ids = time.perf_counter(), 0.0, 0, [], []
    for room in range(rooms):
        here = [moved(f, room, lap * rooms + room) for f in frames]
        for frame in (f for f in here if (f.index + 1) % UNSEEN):
            mapper.insert(frame)
            start = time.perf_counter()
            for _ in range(steps):
                mapper.train_step()
            trained += time.perf_counter() - start
            most = max(most, len(mapper.scaffold.anchors))
        quality.append(np.mean([judged(mapper, f) for f in here if not (f.index + 1) % UNSEEN]))
        ids.append(objects_of(mapper.instantiate(), room))
    kept = [new.get(name) == number for old, new in zip(known, ids, strict=False) for name, number in old.items()]
    latest = mapper.latest
    assert latest is not None
    figures = {
        "round": lap + 1,
        "simulated_minutes": round(mapper.keyframes.next_uid * KEYFRAME / 60, 1),
        "keyframes_seen": mapper.keyframes.next_uid,
        "keyframes_held": len(mapper.keyframes),
        "anchors_in_memory_at_most": most,
        "anchors_on_disk": mapper.state.pager.count(),
        "tiles": len(mapper.state.pager.tiles),
        "rss_mb": round(psutil.Process().memory_info().rss / MB, 1),
        "psnr": round(float(np.mean(quality)), 2),
        "objects_known": len(latest.instances.objects),
        "ids_kept_share": round(float(np.mean(kept)), 3) if kept else None,
        "step_ms": round(1000 * trained / (steps * rooms * len(frames)), 1),
        "seconds": round(time.perf_counter() - begin),
    }
    return figures, ids


def moved(frame: Frame, room: int, visit: int) -> Frame:
    """The frame as taken in another room: elsewhere, in other colours, at another time."""
    T = frame.T_world_camera.copy()
    T[0, 3] += APART * room
    rgb = np.ascontiguousarray(frame.rgb[..., ORDERS[room % len(ORDERS)]])
    return dataclasses.replace(frame, T_world_camera=T, rgb=rgb, stamp=frame.stamp + visit * 10**11)


def judged(mapper: Mapper, frame: Frame) -> float:
    """PSNR (dB) of a view that was not trained on."""
    seen = mapper.scaffold.render(frame.camera, frame.T_world_camera).features[..., :3].cpu().numpy()
    return psnr(seen, frame.rgb / 255.0)


def objects_of(snapshot: MapSnapshot, room: int) -> dict[str, int]:
    """Name -> id of the things in a room of whose name there is one."""
    inside = [o for o in snapshot.instances.objects if abs(o.T_world_box[0, 3] - APART * room) < APART / 2]
    labels = [o.label for o in inside]
    return {o.label: o.id for o in inside if o.label and labels.count(o.label) == 1}


if __name__ == "__main__":
    sys.exit(main())

"""The node under a camera's stream: callbacks, queue, memory, queries, while it trains."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np

from benchmarks.bench.questions import Asker
from benchmarks.soak.robot import PATIENCE, Robot
from benchmarks.soak.session import Plan, robot_in
from ig_ros.datasets import open_dataset
from ig_ros.nodes.query_client import MapClient

SCENE = "sim:tabletop?seed=5&width=640&frames={frames}"
RATE = 30.0  # Hz
FULL = ("queue_full", "decoder_full", "inbox_full")  # every queue that a frame passes
LOOKS = 4  # times that objects are waited for: a first instantiation takes long beside a stream


def measure(quick: bool) -> dict[str, float]:
    """640x480 at 30 Hz for 60 s, five new questions a second beside it."""
    dataset = open_dataset(SCENE.format(frames=16 if quick else 60))
    frames = [dataset[i] for i in range(len(dataset))]
    warm_up, length = (8.0, 8.0) if quick else (20.0, 60.0)
    plan = dataclasses.replace(Plan(), rate=RATE)
    out = Path("out/bench/stream")
    out.mkdir(parents=True, exist_ok=True)
    # Few pictures, shown fast; diagnostics as often as a robot has them.
    with robot_in(frames, plan, out, {"keyframes.max_speed": 1000.0, "diagnostics_period": 1.0}) as robot:
        robot.drive(warm_up)
        if not any(robot.look() for _ in range(LOOKS)):
            raise RuntimeError(f"no objects came from the node: see {out}/node.log")
        memory, waiting = [robot.resident()], []
        asker = Asker(MapClient(PATIENCE).query)
        before = dropped(robot)
        sent, steps, begin = robot.sent, robot.figure("steps"), time.monotonic()
        while time.monotonic() - begin < length:
            robot.drive(1.0)
            waiting.append(robot.figure("frames waiting"))
            memory.append(robot.resident())
        took = time.monotonic() - begin
        waits = asker.stop()
        third = len(memory) // 3
        return {
            "stream_rate_hz": (robot.sent - sent) / took,
            "stream_steps_per_s": (robot.figure("steps") - steps) / took,
            "stream_frames_in": robot.figure("frames in"),
            "stream_frames_used": robot.figure("frames used"),
            "callback_p99_ms": robot.figure("callback delay p99 ms"),
            "stream_dropped": dropped(robot) - before,
            "stream_waiting_max": max(waiting),
            "query_count": len(waits),
            "query_p50_ms": 1e3 * float(np.median(waits)),
            "query_p99_ms": 1e3 * float(np.percentile(waits, 99)),
            "stream_rss_growth": float(np.median(memory[-third:]) / np.median(memory[third : 2 * third]) - 1),
        }


def dropped(robot: Robot) -> int:
    """Frames that went because a queue was full, so far."""
    return sum(robot.count(cause) for cause in FULL)

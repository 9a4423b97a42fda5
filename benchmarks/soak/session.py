"""One run: a node, a robot that drives to and fro, with every fault of the table or with none."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.faults import FAULTS, Fault
from benchmarks.soak.robot import LONG, Robot
from ig_ros.cli.demo import child
from ig_ros.datasets import SceneTruth
from ig_ros.evaluation.label_transfer import transfer_ids
from ig_ros.evaluation.metrics import instance_score
from ig_ros.nodes.clouds import points_from_cloud
from ig_ros.nodes.player import Player, PlayOptions
from ig_ros.nodes.process import started_ros
from ig_ros.nodes.query_client import MapClient
from ig_ros.types import FloatArray, Frame

SETTINGS: dict[str, Any] = {
    "keyframes.capacity": 80,
    "seeding.max_anchors": 40_000,
    "instances.interval": 15.0,
    "diagnostics_period": 0.2,
}  # a budget that the scene fills, as a day fills a larger one
REFUSALS = (
    "image_out_of_order", "image_blank", "calibration_changed", "no_camera_info", "image_size", "no_pose", "pose_gap",
)  # fmt: skip  # causes that an image which does not go to the mapper is counted under, once; overload is none of them
SAME_PLACE = 0.1  # m: an object that has moved less is the same one


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything takes, in seconds; a fault may need more."""

    warm_up: float = 180.0  # the map of the scene has filled by then
    fault: float = 2.0
    calm: float = 4.5  # after each fault
    rate: float = 10.0  # frames per second

    @property
    def length(self) -> float:
        """Of one run at least."""
        return self.warm_up + sum(self.lasts(fault) + fault.after + self.calm for fault in FAULTS)

    def lasts(self, fault: Fault) -> float:
        """How long this fault does."""
        return max(self.fault, fault.seconds)


@dataclass
class Outcome:
    """What came of a run."""

    faults: dict[str, str] = field(default_factory=dict)  # name -> trouble, "" = survived
    sent: int = 0
    frames_in: int = 0
    frames_used: int = 0
    refused: dict[str, int] = field(default_factory=dict)  # images for what was wrong with them, by cause
    lost: int = 0  # images that went missing on the way, or for which there was no time
    steps: int = 0
    memory: list[int] = field(default_factory=list)  # bytes in each third of the time after the warm-up
    ids_before: dict[int, FloatArray] = field(default_factory=dict)  # id -> centre of the box (3,) m
    ids_after: dict[int, FloatArray] = field(default_factory=dict)
    miou: float = 0.0  # percent
    callback_p99_ms: float = 0.0

    @property
    def ids_kept(self) -> float:
        """Share of the objects known before that stand in their place under their id at the end."""
        kept = [
            number in self.ids_after and float(np.linalg.norm(self.ids_after[number] - center)) < SAME_PLACE
            for number, center in self.ids_before.items()
        ]
        return float(np.mean(kept)) if kept else 0.0

    @property
    def growth(self) -> float:
        """Of the memory from the first to the last third."""
        return self.memory[-1] / self.memory[0] - 1 if self.memory else 0.0


def run_session(
    frames: Sequence[Frame], truth: SceneTruth, plan: Plan, out: Path, disturbed: bool, say: Callable[[str], None]
) -> Outcome:
    """Drive through the scene; `out` takes the node's log and maps. A disturbed and an undisturbed run take as long."""
    outcome = Outcome()
    emptied(out)
    with robot_in(frames, plan, out) as robot:
        robot.drive(plan.warm_up)
        outcome.ids_before = places(robot)
        robot.memory.clear()
        for number, fault in enumerate(FAULTS):
            if robot.node.poll() is not None:
                outcome.faults |= {f.name: f"the node had ended: see {out / 'node.log'}" for f in FAULTS[number:]}
                return outcome
            if disturbed:
                outcome.faults[fault.name] = trouble = robot.suffer(fault, plan.fault)
                say(f"{fault.name}: {trouble or 'survived'}")
            else:
                robot.drive(plan.lasts(fault) + fault.after)
            used = robot.figure("frames in")
            robot.drive(plan.calm)
            if disturbed and not outcome.faults[fault.name] and not robot.figure("frames in") > used:
                outcome.faults[fault.name] = "good frames were not taken again"
        outcome.memory = by_thirds(robot.memory)
        conclude(outcome, robot, truth)
    return outcome


def emptied(folder: Path) -> None:
    """A folder of a run's own, without what an earlier run has left there: its maps would pass for new ones."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


@contextmanager
def robot_in(frames: Sequence[Frame], plan: Plan, out: Path, more: Mapping[str, Any] | None = None) -> Iterator[Robot]:
    """A node's process that listens and a robot that has not moved yet, in a DDS domain of their own."""
    os.environ["ROS_DOMAIN_ID"] = str(100 + os.getpid() % 80)
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    settings = SETTINGS | {"map_directory": str(out.resolve())} | dict(more or {})
    command = [sys.executable, "-m", "benchmarks.soak.node", "--ros-args"]
    command += [word for name, value in settings.items() for word in ("-p", f"{name}:={value}")]
    with child(command, out / "node.log") as node, started_ros([]):
        options = PlayOptions(wait=LONG)
        robot = Robot(node, Player(options), Player(options), MapClient(LONG), frames, plan.rate, out)
        if not robot.player.wait_for_subscribers():
            raise RuntimeError(f"the node does not listen: see {out / 'node.log'}")
        yield robot


def places(robot: Robot) -> dict[int, FloatArray]:
    """Centre of each object's box (3,) m by its id, after a fresh instantiation."""
    if not robot.look():
        return {}
    found = robot.client.objects.objects
    return {o.id: np.array([o.pose.position.x, o.pose.position.y, o.pose.position.z]) for o in found}


def by_thirds(memory: Sequence[int]) -> list[int]:
    """Median of each third: steps and instantiations need more memory while they run, so that single looks differ."""
    return [int(np.median(third)) for third in np.array_split(np.array(memory), 3) if len(third)]


def conclude(outcome: Outcome, robot: Robot, truth: SceneTruth) -> None:
    """The last look at the map, against the truth, and at the counters."""
    time.sleep(0.5)
    outcome.ids_after = places(robot)
    if robot.client.cloud is not None:
        points = points_from_cloud(robot.client.cloud)
        xyz = np.stack([points[axis] for axis in "xyz"], axis=1)
        ids = transfer_ids(xyz, points["instance_id"], truth.points)
        outcome.miou = instance_score(ids, truth.ids).miou
    account(outcome, robot)
    outcome.steps = int(robot.figure("steps"))
    outcome.callback_p99_ms = robot.figure("callback delay p99 ms")


def account(outcome: Outcome, robot: Robot) -> None:
    """Where every image has gone: to the mapper, refused for a cause, or lost."""
    outcome.sent = robot.sent
    outcome.frames_in, outcome.frames_used = int(robot.figure("frames in")), int(robot.figure("frames used"))
    counts = {cause: robot.count(cause) for cause in REFUSALS}
    outcome.refused = {cause: count for cause, count in counts.items() if count}
    vanished = outcome.sent - outcome.frames_in - sum(counts.values())
    outcome.lost = max(vanished, 0) + robot.count("inbox_full")

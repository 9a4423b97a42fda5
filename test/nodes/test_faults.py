"""Every fault of benchmarks/soak inside a good stream, over real DDS into a real node: afterwards the map is as before.

One node, one map, fault after fault: what a fault left behind would still be there when the next one is judged. The
soak gives each fault 2 s and a larger world; here they are short, but for those that need their time.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import CARDS, HALF, orbit
from nodes.processes import Start, stop

from benchmarks.soak.faults import FAULTS, Fault
from benchmarks.soak.robot import Robot
from ig_ros.msg import Object
from ig_ros.nodes.player import Player, PlayOptions
from ig_ros.nodes.query_client import MapClient

SETTINGS = {
    "device": "cpu", "threads": 1, "language.encoder": "none", "seeding.voxel": 0.03, "training.warmup_visits": 5,
    "training.joint_visits": 60, "instances.sub_objects": 300, "instances.interval": 1000.0,
    "keyframes.capacity": 30, "diagnostics_period": 0.1, "publish_period": 0.1, "mask_timeout": 0.2,
}  # fmt: skip
FAULT_SECONDS = 0.4
RECOVERY = 10  # looks at the map after a fault, half a second apart
IDS: dict[str, int] = {}  # of the cards before any fault
NEAR = 0.04  # m: between a card and its box; the cards are 0.28 m wide


@pytest.fixture(scope="module")
def robot(start: Start, context: object, tmp_path_factory: pytest.TempPathFactory) -> Robot:
    """A robot whose node knows the two cards."""
    maps = tmp_path_factory.mktemp("maps")
    settings = SETTINGS | {"map_directory": str(maps)}
    node = start(
        "-m", "benchmarks.soak.node", "--ros-args", *(w for k, v in settings.items() for w in ("-p", f"{k}:={v}"))
    )
    player, client = Player(PlayOptions(), context=context), MapClient(context=context)
    intruder = Player(PlayOptions(), context=context)
    assert player.wait_for_subscribers(), node.log_path.read_text()
    robot = Robot(node, player, intruder, client, orbit(16), rate=20.0, maps=maps)
    robot.drive(1.5)
    assert robot.wait(lambda: robot.figure("steps") > 150), node.log_path.read_text()
    IDS.update(demand_the_truth(robot))
    return robot


def cards(robot: Robot) -> dict[str, Object]:
    """The objects that stand where a card lies, by the card's name; nothing else may be called a card."""
    assert robot.look(), robot.node.log_path.read_text()
    return {o.label: o for o in robot.client.objects.objects if o.label}


def recovers(robot: Robot) -> bool:
    """Whether both cards have their names after some good frames: on a busy machine masks come late."""
    for _ in range(RECOVERY):
        if set(cards(robot)) == {name for name, _ in CARDS.values()}:
            return True
        robot.drive(0.5)
    return False


def demand_the_truth(robot: Robot) -> dict[str, int]:
    """Both cards, each in its place; their ids."""
    found = cards(robot)
    assert set(found) == {name for name, _ in CARDS.values()}
    for name, (x, y) in CARDS.values():
        box = found[name]
        center = (box.pose.position.x, box.pose.position.y, box.pose.position.z)
        np.testing.assert_allclose(center, (x, y, 0), atol=NEAR)
        assert max(box.size.x, box.size.y) < 2 * HALF * np.sqrt(2) + NEAR
    return {name: box.id for name, box in found.items()}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_leaves_the_map_as_it_was(robot: Robot, fault: Fault) -> None:
    used = robot.figure("frames in")
    trouble = robot.suffer(fault, FAULT_SECONDS)
    assert not trouble, robot.node.log_path.read_text()
    robot.drive(0.5)
    assert robot.wait(lambda: robot.figure("frames in") > used), "good frames are taken again"
    assert recovers(robot), robot.node.log_path.read_text()
    assert demand_the_truth(robot) == IDS


def test_a_node_that_has_suffered_all_of_it_ends_in_time(robot: Robot) -> None:
    status, seconds = stop(robot.node)
    assert status == 0, robot.node.log_path.read_text()
    assert seconds < 2.0

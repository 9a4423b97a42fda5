"""The real mapping node in a process of its own, with a camera that looks at the ground with the two cards."""

from __future__ import annotations

import subprocess
from typing import Any

from helpers import orbit
from nodes.processes import Start
from nodes.running import until

from ig_ros.nodes.player import Player, PlayOptions
from ig_ros.nodes.query_client import MapClient

SETTINGS = {
    "device": "cpu", "threads": 1, "language.encoder": "none", "seeding.voxel": 0.03, "training.warmup_visits": 5,
    "training.joint_visits": 60, "instances.sub_objects": 300, "instances.interval": 1000.0,
    "diagnostics_period": 0.1, "publish_period": 0.1, "mask_timeout": 0.2,
}  # fmt: skip


class RealNode:
    """A process of `ig_ros.nodes.mapping_node`, its camera and a client."""

    def __init__(self, start: Start, context: object, **settings: Any) -> None:
        """Settings are parameters; two underscores stand for a dot."""
        given = SETTINGS | {name.replace("__", "."): value for name, value in settings.items()}
        words = (word for name, value in given.items() for word in ("-p", f"{name}:={value}"))
        self.process: subprocess.Popen = start("-m", "ig_ros.nodes", "mapping_node", "--ros-args", *words)
        self.player, self.client = Player(PlayOptions(wait=30.0), context=context), MapClient(30.0, context=context)
        assert self.player.wait_for_subscribers(), self.log()

    def log(self) -> str:
        """What the process has said so far."""
        return str(self.process.log_path.read_text())  # type: ignore[attr-defined]

    def map_the_cards(self, steps: int = 60) -> None:
        """Show the ground from eight places and let the node train for that many steps."""
        frames = iter(orbit(8) * 100)

        def show() -> None:
            self.player.publish(next(frames), self.player.get_clock().now().nanoseconds)
            self.client.listen(0.1)

        assert until(lambda: int(self.client.diagnostics.get("keyframes", 0)) >= 5, 30.0, show), self.log()
        assert until(lambda: int(self.client.diagnostics["steps"]) >= steps, 30.0, lambda: self.client.listen(0.1))

    def close(self) -> None:
        """The camera and the client; the process is the fixture's."""
        self.player.destroy_node()
        self.client.destroy_node()

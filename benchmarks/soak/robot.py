"""A robot that drives to and fro along a recorded path and streams what it sees, faultlessly or not."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.soak.faults import Fault, Messages
from ig_ros.nodes.player import Player
from ig_ros.nodes.query_client import MapClient
from ig_ros.types import Frame

PATIENCE = 20.0  # s for an answer or a counter
LONG = 120.0  # s for the map as objects, on a machine with other work


@dataclass
class Robot:
    """Everything of one run: the node's process, the robot's publisher, the planner's client."""

    node: subprocess.Popen[bytes]
    player: Player
    intruder: Player  # a second publisher, for the fault of that name
    client: MapClient
    frames: Sequence[Frame]
    rate: float  # frames per second
    maps: Path  # where the node saves
    place: int = 0
    sent: int = 0  # images, spoilt ones included
    memory: list[int] = field(default_factory=list)  # bytes the node held, once a second while driving

    def drive(self, seconds: float, fault: Fault | None = None) -> None:
        """Stream for a while; with a fault every frame passes through it."""
        begin, count = time.monotonic(), 0
        while (now := time.monotonic() - begin) < seconds:
            messages = self.messages()
            for parts in [messages] if fault is None else fault.spoil(self, messages, count):
                self.player.send(parts)
                self.sent += "image" in parts
            self.place, count = self.place + 1, count + 1
            if count % max(round(self.rate), 1) == 0:
                self.memory.append(self.resident())
            self.client.listen(max(count / self.rate - now, 0.001))

    def messages(self, stamp: int | None = None) -> Messages:
        """The frame at the present place of the path, to and fro, stamped (ns) with the time of now."""
        stamp = self.player.get_clock().now().nanoseconds if stamp is None else stamp
        return self.player.messages(self.frame(), stamp)

    def frame(self) -> Frame:
        """The frame at the present place of the path, to and fro."""
        there = self.place % (2 * len(self.frames) - 2)
        return self.frames[min(there, 2 * len(self.frames) - 2 - there)]

    def suffer(self, fault: Fault, seconds: float) -> str:
        """A fault for some seconds; what went wrong, or "" if the node took it as it should."""
        before = self.count(fault.counter)
        check = fault.strike(self)
        self.drive(max(seconds, fault.seconds), fault)
        trouble = check()
        self.drive(fault.after)
        if not trouble and fault.counter and not self.wait(lambda: self.count(fault.counter) > before):
            trouble = f"'{fault.counter}' was not counted"
        return trouble or self.health()

    def health(self) -> str:
        """Why the node is not well, "" if it is."""
        if self.node.poll() is not None:
            return f"the node ended with status {self.node.returncode}"
        return self.client.diagnostics.get("message", "no diagnostics") if self.level() == 2 else ""

    def level(self) -> int:
        """Level of the newest diagnostics: 0 OK, 1 WARN, 2 ERROR."""
        return int(self.client.diagnostics.get("level", 2))

    def count(self, cause: str) -> int:
        """How often the node has counted a cause, as a problem or as a dropped frame."""
        d = self.client.diagnostics
        return int(d.get(f"problem: {cause}", 0)) + int(d.get(f"dropped: {cause}", 0))

    def figure(self, name: str) -> float:
        """A number of the diagnostics."""
        return float(self.client.diagnostics.get(name, 0))

    def wait(self, condition: Any, seconds: float = PATIENCE) -> bool:
        """Listen until a condition holds; whether it does."""
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline and self.node.poll() is None:
            self.client.listen(0.05)
        return bool(condition())

    def look(self) -> bool:
        """Have the map grouped into objects as it is now and wait until they have come; whether they have."""
        self.client.objects = self.client.cloud = None
        self.client.instantiate()
        return self.wait(lambda: self.client.objects is not None and self.client.cloud is not None, LONG)

    def resident(self) -> int:
        """Bytes of memory the node holds, 0 once it has ended."""
        return int(psutil.Process(self.node.pid).memory_info().rss) if self.node.poll() is None else 0

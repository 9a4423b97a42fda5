"""The mapping node, with one switch more: SIGUSR1 lets the next training step run out of memory."""

from __future__ import annotations

import signal
import sys
import threading

import torch

from ig_ros.config import Config
from ig_ros.live import LiveMapper
from ig_ros.mapper import Mapper
from ig_ros.nodes.mapping_node import run
from ig_ros.scaffold import StepResult

FAMINE = threading.Event()


class StarvingMapper(Mapper):
    """Runs out of memory when told to."""

    def train_step(self) -> StepResult | None:
        """One step, unless there is a famine."""
        if FAMINE.is_set() and len(self.scaffold.anchors):
            FAMINE.clear()
            raise torch.OutOfMemoryError("famine ordered by SIGUSR1")
        return super().train_step()


def make(config: Config) -> LiveMapper:
    """The mapper of the node."""
    return LiveMapper(config, StarvingMapper(config))


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda *_: FAMINE.set())
    sys.exit(run(make, sys.argv))

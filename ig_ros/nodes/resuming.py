"""The map of the last time: loaded at the start, and saved now and then so that a process that dies loses little."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from ig_ros.config import NodeConfig
from ig_ros.errors import ConfigError
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.map_services import map_path

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper


class Resuming:
    """Parameters `resume` and `save_interval`."""

    def __init__(self, node: Node, config: NodeConfig, mapper: LiveMapper, problems: Problems) -> None:
        """Load the map of that name, which takes its time; the mapper's threads run, nothing else does.

        Raises ConfigError for an interval without a name, and StorageError for a map that is there and cannot be
        loaded: it is not to be replaced by a new one.
        """
        self._log, self._mapper, self._problems = node.get_logger(), mapper, problems
        if not config.resume:
            if config.save_interval > 0:
                raise ConfigError("save_interval needs the parameter resume: the name under which to save")
            return
        self._target = map_path(config.map_directory, config.resume)
        self._saving: Future[Path] | None = None
        self._saved: tuple[int, ...] = ()
        if self._is_there():
            mapper.load(self._target).result()
            self._saved = self._state()
            self._log.info(f"goes on with the map {self._target}")
        if config.save_interval > 0:
            node.create_timer(config.save_interval, self._save, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _is_there(self) -> bool:
        """Whether there is such a map, or one that a killed process has put aside."""
        from ig_ros.storage import is_map  # loads torch, as the mapper has

        return is_map(self._target) or self._target.exists()

    def _save(self) -> None:
        """Save what has changed since the last time; an empty map replaces none."""
        state = self._state()
        busy = self._saving is not None and not self._saving.done()
        if busy or state == self._saved or not self._mapper.stats().keyframes:
            return
        self._saving = self._mapper.save(self._target)
        self._saving.add_done_callback(lambda future: self._note(future, state))

    def _note(self, future: Future[Path], state: tuple[int, ...]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._saved = state
        else:
            self._problems.add("save_failed", str(error))

    def _state(self) -> tuple[int, ...]:
        """What differs between two maps that are worth saving both."""
        stats, latest = self._mapper.stats(), self._mapper.snapshot()
        return (stats.steps, stats.keyframes, stats.anchors, latest.version if latest is not None else 0)

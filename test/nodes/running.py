"""A mapping node inside the test process, so that a test can look at what its mapper was given; DDS is real."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nodes.doubles import MaskMapper
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.mapping_node import MappingNode
from ig_ros.nodes.query_client import MapClient


class Running:
    """The node and the mapper that it has made last."""

    def __init__(self, context: object, arguments: list[str] | None = None, **settings: object) -> None:
        """Settings are parameters; two underscores stand for a dot. Arguments are ROS's, remaps for instance."""
        given = [Parameter(name.replace("__", "."), value=value) for name, value in settings.items()]
        self.mapper: MaskMapper | None = None
        self.warnings: list[str] = []
        self.node = MappingNode(self._make, context=context, cli_args=arguments, parameter_overrides=given)
        self.node.problems = Problems(self.warnings.append)

    @functools.cached_property
    def client(self) -> MapClient:
        """A client of the node, over DDS."""
        return MapClient(30.0, context=self.node.context)

    def _make(self, config: object) -> MaskMapper:
        self.mapper = MaskMapper(config)
        return self.mapper


@contextmanager
def running(context: object, arguments: list[str] | None = None, **settings: object) -> Iterator[Running]:
    """A spinning node; configured and active unless `autostart=False`."""
    made = Running(context, arguments, **settings)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(made.node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        if made.node.config.autostart:
            made.node.autostart()
        yield made
    finally:
        if "client" in vars(made):
            made.client.destroy_node()
        made.node.close()
        executor.shutdown(2.0)
        thread.join(5.0)
        made.node.destroy_node()


def until(condition: Callable[[], object], seconds: float = 15.0, between: Callable[[], object] | None = None) -> bool:
    """Wait for a condition, doing something between two looks; whether it holds."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        if between is not None:
            between()
        time.sleep(0.05)
    return bool(condition())

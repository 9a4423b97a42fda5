"""The mapping node: ROS in, LiveMapper, ROS out. It converts, calls and publishes; the thinking is in the core."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from ig_ros.config import Config, NodeConfig
from ig_ros.errors import IgError
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.inputs import Inputs
from ig_ros.nodes.map_services import MapServices
from ig_ros.nodes.outputs import Outputs
from ig_ros.nodes.parameters import read_parameters
from ig_ros.nodes.planning_services import PlanningServices
from ig_ros.nodes.query_service import QueryService, make_frame_finder
from ig_ros.srv import LoadMap, ObjectAt, QueryObject, RemoveObject, RenderView, SaveMap
from ig_ros.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from ig_ros.live import LiveMapper

THREADS = 6  # of the executor: inputs, outputs, and four services at once
STOP_TIMEOUT = 1.2  # s for the mapper's threads when the node ends


class MappingNode(Node):  # type: ignore[misc]  # rclpy has no types for mypy here
    """Puts the parts together; call `close` when done."""

    def __init__(self, make_mapper: Callable[[Config], LiveMapper], **node_arguments: Any) -> None:
        """Raises IgError for parameters, segmenters and encoders that cannot be had."""
        super().__init__("mapping_node", automatically_declare_parameters_from_overrides=True, **node_arguments)
        self.config: NodeConfig = read_parameters(self)
        self.problems = Problems(self.get_logger().warning)
        self.mapper = make_mapper(self.config.core)
        self._inputs = Inputs(self, self.config, self.mapper, self.problems, self._on_frame)
        self._outputs = Outputs(self, self.config, self.mapper, self._inputs, self.problems)
        frames = make_frame_finder(self, self.config.map_frame)
        self._query = QueryService(self.mapper, frames, self.problems)
        self._planning = PlanningServices(self, self.mapper, frames, self.problems)
        self._commands = MapServices(self, self.mapper, self.config.map_directory, self.problems, self._on_new_map)
        self._serve()
        self.mapper.start()
        self.get_logger().info(
            f"mapping: poses from {self.config.pose_source}, outputs in frame '{self.config.map_frame}'"
        )

    def _serve(self) -> None:
        group = ReentrantCallbackGroup()
        self.create_service(QueryObject, "ig/query_object", self._query.handle, callback_group=group)
        self.create_service(Trigger, "ig/instantiate", self._commands.instantiate, callback_group=group)
        self.create_service(Trigger, "ig/reset", self._commands.reset, callback_group=group)
        self.create_service(ObjectAt, "ig/object_at", self._planning.object_at, callback_group=group)
        self.create_service(RenderView, "ig/render_view", self._planning.render_view, callback_group=group)
        self.create_service(RemoveObject, "ig/remove_object", self._commands.remove, callback_group=group)
        self.create_service(SaveMap, "ig/save_map", self._commands.save, callback_group=group)
        self.create_service(LoadMap, "ig/load_map", self._commands.load, callback_group=group)

    def _on_frame(self, frame: Frame) -> None:
        self._outputs.trail.add(frame)

    def _on_new_map(self) -> None:
        self._inputs.forget()
        self._outputs.trail.clear()

    def close(self) -> None:
        """Stop all threads, at most for STOP_TIMEOUT."""
        self._inputs.stop()
        self._query.stop()
        self.mapper.stop(STOP_TIMEOUT)


def run(make_mapper: Callable[[Config], LiveMapper], args: list[str] | None = None) -> int:
    """Spin a mapping node until it is interrupted; 1 and one line on stderr when it cannot start."""
    try:
        with rclpy.init(args=args):
            node = MappingNode(make_mapper)
            executor = MultiThreadedExecutor(THREADS)
            executor.add_node(node)
            try:
                executor.spin()
            finally:
                node.close()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except IgError as error:
        sys.stderr.write(f"mapping_node: {error}\n")
        return 1
    return 0


def main(args: list[str] | None = None) -> int:
    """Console entry point."""
    from ig_ros.live import LiveMapper  # loads torch, models and kernels: not for those who only import the node class

    return run(LiveMapper, args)


if __name__ == "__main__":
    sys.exit(main())

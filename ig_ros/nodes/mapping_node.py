"""The mapping node: ROS in, LiveMapper, ROS out. It converts, calls and publishes; the thinking is in the core.

A managed (lifecycle) node. Configured it has its topics, services and mapper; active it takes images, trains and
publishes; inactive it keeps its map and answers. With `autostart` it does both by itself.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger

from ig_ros.config import Config, NodeConfig
from ig_ros.errors import IgError
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.executor import Desk
from ig_ros.nodes.map_services import MapServices, Resuming
from ig_ros.nodes.message_checks import Guard
from ig_ros.nodes.parameters import read_parameters
from ig_ros.nodes.pixel_rays import Pixels
from ig_ros.nodes.planning_services import PlanningServices
from ig_ros.nodes.process import leave
from ig_ros.nodes.publishers import Outputs
from ig_ros.nodes.query_service import QueryService, make_frame_finder
from ig_ros.nodes.subscriptions import Inputs
from ig_ros.nodes.web_page import WebPage
from ig_ros.srv import LoadMap, ObjectAt, QueryObject, RemoveObject, RenderView, SaveMap
from ig_ros.thread_settings import settle_allocator
from ig_ros.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from ig_ros.live import LiveMapper

STOP_TIMEOUT = 1.2  # s for all threads when the node ends ...
LEAST = 0.2  # ... of which the mapper's have at least so much
RCLError = rclpy_implementation.RCLError
DONE, REFUSED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class MappingNode(LifecycleNode):  # type: ignore[misc]  # rclpy has no types for mypy here
    """Puts the parts together; call `close` when done."""

    def __init__(self, make_mapper: Callable[[Config], LiveMapper], **node_arguments: Any) -> None:
        """Raises ConfigError for parameters that cannot be had."""
        super().__init__("mapping_node", automatically_declare_parameters_from_overrides=True, **node_arguments)
        self.config: NodeConfig = read_parameters(self)
        self.problems = Problems(self.get_logger().warning)
        self._make_mapper = make_mapper
        self._mapper: LiveMapper | None = None
        self.page: WebPage | None = None
        self._failure: IgError | None = None  # why it could not be configured
        self._own: set[Any] = set()  # rclpy's entities, which outlive every configuration

    def autostart(self) -> None:
        """Configure and activate; raises the IgError for which that fails."""
        for step in (self.trigger_configure, self.trigger_activate):
            if step() is not DONE:
                raise self._failure or IgError("the node could not be started, see the log")

    # -- transitions ----------------------------------------------------------------------------------------------

    def on_configure(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Make the mapper (models, kernels), topics and services; refused where a part cannot be had."""
        self._own = set(self._entities())
        try:
            self._build()
        except IgError as error:
            self._failure = error
            self.get_logger().error(str(error))
            self._tear_down()
            return REFUSED
        return DONE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take images, train, publish."""
        assert self._mapper is not None
        self._mapper.pause(False)
        self._inputs.open = self._outputs.open = True
        self.get_logger().info(
            f"mapping: poses from {self.config.pose_source}, outputs in frame '{self.config.map_frame}'"
        )
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take and train nothing; the map stays and its services answer."""
        assert self._mapper is not None
        self._inputs.open = self._outputs.open = False
        self._mapper.pause()
        self.get_logger().info("inactive: no image is taken, the map stays")
        return super().on_deactivate(state)

    def on_cleanup(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Forget the map and leave every topic."""
        self._tear_down()
        return DONE

    def on_shutdown(self, _: LifecycleState) -> TransitionCallbackReturn:
        """End for good."""
        self._tear_down()
        return DONE

    # -- parts ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        config, problems = self.config, self.problems
        self._mapper = mapper = self._make_mapper(config.core)
        self._inputs = Inputs(self, config, mapper, problems, self._on_frame)
        self._outputs = Outputs(self, config, mapper, self._inputs, problems)
        frames, guard = make_frame_finder(self, config.map_frame), Guard(config.limits)
        self._query = QueryService(mapper, frames, problems, guard, self._outputs.highlight)
        pixels = Pixels(mapper, self._inputs, config.cameras)
        self._planning = PlanningServices(self, mapper, frames, problems, guard, pixels, self._outputs.highlight)
        self._commands = MapServices(self, mapper, config.map_directory, problems, guard, self._on_new_map)
        self._desk = Desk(self)
        self._serve()
        self.page = WebPage(config, mapper, self.get_logger()) if config.viewer else None
        mapper.pause()
        mapper.start()
        Resuming(self, config, mapper, problems)

    def _serve(self) -> None:
        for kind, name, answer in (
            (QueryObject, "query_object", self._query.handle),
            (Trigger, "instantiate", self._commands.instantiate),
            (Trigger, "reset", self._commands.reset),
            (ObjectAt, "object_at", self._planning.object_at),
            (RenderView, "render_view", self._planning.render_view),
            (RemoveObject, "remove_object", self._commands.remove),
            (SaveMap, "save_map", self._commands.save),
            (LoadMap, "load_map", self._commands.load),
        ):
            self._desk.serve(kind, f"ig/{name}", answer)

    def _tear_down(self) -> None:
        self.close()
        kinds = {"Subscription": self.destroy_subscription, "Publisher": self.destroy_publisher}
        kinds |= {"Service": self.destroy_service, "Timer": self.destroy_timer}
        for entity in [e for e in self._entities() if e not in self._own]:
            next(kinds[base.__name__] for base in type(entity).__mro__ if base.__name__ in kinds)(entity)

    def _entities(self) -> list[Any]:
        return [*self.subscriptions, *self.publishers, *self.services, *self.timers]

    def _on_frame(self, frame: Frame) -> None:
        self._outputs.trail.add(frame)
        if self.page is not None:
            self.page.note(frame)

    def _on_new_map(self) -> None:
        self._inputs.forget()
        self._outputs.trail.clear()

    def close(self) -> None:
        """Stop all threads, at most for STOP_TIMEOUT; harmless when nothing runs."""
        mapper, self._mapper = self._mapper, None
        begin = time.monotonic()
        for part in (getattr(self, name, None) for name in ("_inputs", "_outputs", "_desk", "_query", "page")):
            if part is not None:
                part.stop()
        self.page = None
        if mapper is not None:
            mapper.stop(max(STOP_TIMEOUT - (time.monotonic() - begin), LEAST))


def run(make_mapper: Callable[[Config], LiveMapper], args: list[str] | None = None) -> NoReturn:
    """Spin a mapping node until it is interrupted, and end the process: 1 and one line on stderr if it cannot start."""
    settle_allocator()
    try:
        with rclpy.init(args=args):
            node = MappingNode(make_mapper)
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            try:
                if node.config.autostart:
                    node.autostart()
                spin(executor)
            finally:
                node.close()
    except (KeyboardInterrupt, ExternalShutdownException):
        leave(0)
    except IgError as error:
        sys.stderr.write(f"mapping_node: {error}\n")
        leave(1)
    leave(0)


def spin(executor: SingleThreadedExecutor) -> None:
    """Until the context goes, also where it goes while the executor gets ready to wait.

    So it does where the process was started with SIGINT ignored (`nohup ... &`): there rclpy alone hears the signal.
    """
    try:
        executor.spin()
    except RCLError:
        if executor.context.ok():
            raise


def main(args: list[str] | None = None) -> NoReturn:
    """Console entry point."""
    from ig_ros.live import LiveMapper  # loads torch, models and kernels: not for those who only import the node class

    run(LiveMapper, args)


if __name__ == "__main__":
    main()

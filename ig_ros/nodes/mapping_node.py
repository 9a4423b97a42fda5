"""The mapping node: ROS in, LiveMapper, ROS out. It converts, calls and publishes; the thinking is in the core.

A managed (lifecycle) node. Configured it has its topics, services and mapper; active it takes images, trains and
publishes; inactive it keeps its map and answers. With `autostart` it does both by itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger

from ig_ros.config import Config, NodeConfig
from ig_ros.errors import IgError, viewer_missing
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.executor import ServicePool
from ig_ros.nodes.map_services import MapServices, Resuming
from ig_ros.nodes.message_checks import MessageLimits
from ig_ros.nodes.parameters import read_parameters
from ig_ros.nodes.planning_services import PixelLocator, PlanningServices
from ig_ros.nodes.pose_sources import TfLookup
from ig_ros.nodes.process import bound_heaps, freeze_loaded_objects, prepare_process, run_node
from ig_ros.nodes.publishers import Outputs
from ig_ros.nodes.query_service import FrameFinder, QueryService
from ig_ros.nodes.subscriptions import Inputs
from ig_ros.scaffold.pose_refinement import MapCorrection
from ig_ros.srv import LoadMap, ObjectAt, QueryObject, RemoveObject, RenderView, SaveMap
from ig_ros.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from ig_ros.live import LiveMapper

WATCH_EVERY = 20  # frames; the page's curves judge the map by the newest of these
STOP_TIMEOUT = 1.2  # s for all threads when the node ends ...
LEAST = 0.2  # ... of which the mapper's have at least so much
DONE, REFUSED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class WebPage:
    """Serves a mapper's map while the node is configured."""

    def __init__(self, config: NodeConfig, mapper: LiveMapper, log: Any) -> None:
        """Raises IgError when the port is taken or viser is not installed."""
        try:
            from ig_ros.viewer import LiveSource, view
        except ModuleNotFoundError as error:
            raise viewer_missing(error) from error
        self._source = LiveSource("live map", mapper)
        self._page = view(self._source, config.viewer_host, config.viewer_port)
        self._frames = 0
        log.info(
            f"the map is at {self._page.address}, on this machine"
            + ("" if config.viewer_host == "127.0.0.1" else f" and on others that reach {config.viewer_host}")
        )

    @property
    def address(self) -> str:
        """What to open in a browser on this machine."""
        return self._page.address

    def add(self, frame: Frame) -> None:
        """A frame goes to the mapper; some are kept to judge it by."""
        if self._frames % WATCH_EVERY == 0:
            self._source.watch(frame)
        self._frames += 1

    def stop(self) -> None:
        """Close every connection."""
        self._page.stop()


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

    def start(self) -> None:
        """Starts by itself where `autostart` says so."""
        if self.config.autostart:
            self.autostart()

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
        tf = TfLookup(self, config.pose_max_gap)
        self._inputs = Inputs(self, config, mapper, problems, self._on_frame, tf)
        self._outputs = Outputs(self, config, mapper, self._inputs, problems)
        as_robot = config.core.poses.answer_frame == "robot"
        frames = FrameFinder(config.map_frame, tf, mapper.correction if as_robot else MapCorrection)
        limits, show = MessageLimits(config.limits), self._outputs.show
        pixels = PixelLocator(mapper, self._inputs, config.cameras)
        planning = PlanningServices(self, mapper, frames, limits, pixels, show)
        commands = MapServices(mapper, config.map_directory, limits, self._on_new_map)
        self._service_pool = ServicePool(self, problems)
        for kind, name, handler in (
            (QueryObject, "query_object", QueryService(mapper, frames, limits, show).query),
            (Trigger, "instantiate", commands.instantiate),
            (Trigger, "reset", commands.reset),
            (ObjectAt, "object_at", planning.object_at),
            (RenderView, "render_view", planning.render_view),
            (RemoveObject, "remove_object", commands.remove),
            (SaveMap, "save_map", commands.save),
            (LoadMap, "load_map", commands.load),
        ):
            self._service_pool.serve(kind, name, handler)
        self.page = WebPage(config, mapper, self.get_logger()) if config.viewer else None
        mapper.pause()
        mapper.start()
        Resuming(self, config, mapper, problems)

    def _tear_down(self) -> None:
        self.close()
        kinds = {"Subscription": self.destroy_subscription, "Publisher": self.destroy_publisher}
        kinds |= {"Service": self.destroy_service, "Timer": self.destroy_timer}
        for entity in [e for e in self._entities() if e not in self._own]:
            next(kinds[base.__name__] for base in type(entity).__mro__ if base.__name__ in kinds)(entity)

    def _entities(self) -> list[Any]:
        return [*self.subscriptions, *self.publishers, *self.services, *self.timers]

    def _on_frame(self, frame: Frame) -> None:
        self._outputs.path.add(frame)
        if self.page is not None:
            self.page.add(frame)

    def _on_new_map(self) -> None:
        self._inputs.forget()
        self._outputs.begin_anew()

    def close(self) -> None:
        """Stop all threads, at most for STOP_TIMEOUT; harmless when nothing runs."""
        mapper, self._mapper = self._mapper, None
        begin = time.monotonic()
        for part in (getattr(self, name, None) for name in ("_inputs", "_outputs", "_service_pool", "page")):
            if part is not None:
                part.stop()
        self.page = None
        if mapper is not None:
            mapper.stop(max(STOP_TIMEOUT - (time.monotonic() - begin), LEAST))

    def destroy_node(self) -> None:
        """Leaves the graph: rclpy's own forgets the state machine, which holds the DDS participant."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()


def run(make_mapper: Callable[[Config], LiveMapper], args: list[str] | None = None) -> NoReturn:
    """Runs a mapping node in this process, see `run_node`."""
    prepare_process()
    bound_heaps()

    def make(config: Config) -> LiveMapper:
        mapper = make_mapper(config)
        freeze_loaded_objects()
        return mapper

    run_node("mapping_node", lambda: MappingNode(make), args)


def main(args: list[str] | None = None) -> NoReturn:
    """Console entry point."""
    from ig_ros.live import LiveMapper  # loads torch, models and kernels: not for those who only import the node class

    run(LiveMapper, args)

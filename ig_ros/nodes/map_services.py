"""ig/instantiate, reset, remove_object, save_map, load_map; the map of the last time is loaded at the start."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rclpy.node import Node
from std_srvs.srv import Trigger

from ig_ros.config import NodeConfig
from ig_ros.errors import ConfigError, StorageError
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.executor import steady_clock
from ig_ros.nodes.message_checks import MessageLimits
from ig_ros.srv import LoadMap, RemoveObject, SaveMap

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper


BOUND = 0.4  # s: no command makes its caller wait longer than this


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
            node.create_timer(config.save_interval, self._save, clock=steady_clock())

    def _is_there(self) -> bool:
        """Whether there is such a map, or one that a killed process has put aside."""
        from ig_ros.map_io import is_map  # loads torch, as the mapper has

        return is_map(self._target) or self._target.exists()

    def _save(self) -> None:
        """Save what has changed since the last time; an empty map replaces none."""
        state = self._state()
        busy = self._saving is not None and not self._saving.done()
        if busy or state == self._saved or not self._mapper.stats().keyframes:
            return
        self._saving = self._mapper.save(self._target)
        self._saving.add_done_callback(lambda future: self._on_saved(future, state))

    def _on_saved(self, future: Future[Path], state: tuple[int, ...]) -> None:
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


def map_path(root: str, name: str) -> Path:
    """The folder of a map by name, inside `root`.

    Raises StorageError for an empty name, a place outside and a name with a dot in front.
    """
    directory = Path(root).expanduser().resolve()
    target = (directory / name).resolve()
    if not name.strip() or target == directory:
        raise StorageError("empty map name: give a name, for example 'kitchen'")
    if not target.is_relative_to(directory):
        raise StorageError(
            f"'{name}' lies outside of {directory}: use a plain name, or set the parameter map_directory"
        )
    if any(part.startswith(".") for part in target.relative_to(directory).parts):
        raise StorageError(f"'{name}': a map's name does not begin with a dot, those are for unfinished maps")
    return target


class MapServices:
    """Starts commands on the mapper, one method per service, and says in the response how they stand."""

    def __init__(
        self, node: Node, mapper: LiveMapper, map_directory: str, problems: Problems, limits: MessageLimits,
        on_new_map: Callable[[], None],
    ) -> None:  # fmt: skip
        """`on_new_map` is called after the map was emptied or replaced."""
        self._log, self._mapper, self._map_directory = node.get_logger(), mapper, map_directory
        self._problems, self._limits, self._on_new_map = problems, limits, on_new_map

    def instantiate(self, _: Trigger.Request, response: Trigger.Response) -> None:
        """Groups the map into objects as it is now."""
        future = self._mapper.instantiate()
        self._answer(response, "instantiate", future, lambda s: f"{len(s.instances.objects)} objects", running=True)

    def reset(self, _: Trigger.Request, response: Trigger.Response) -> None:
        """Empties the map; it starts anew with the next image."""
        self._answer(response, "reset", self._mapper.reset(), lambda _: "map emptied", self._on_new_map, running=True)

    def remove(self, request: RemoveObject.Request, response: RemoveObject.Response) -> None:
        """Removes an object from the map."""
        future = self._mapper.remove_object(request.id)
        self._answer(response, "remove_object", future, lambda n: f"object {request.id} removed, {n} anchors")

    def save(self, request: SaveMap.Request, response: SaveMap.Response) -> None:
        """Writes the map. Raises StorageError for an unusable name or place."""
        self._limits.text("map name", request.name)
        target = map_path(self._map_directory, request.name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot write map to {target}: {error.strerror or error}") from error
        self._answer(response, "save_map", self._mapper.save(target), lambda path: f"saved to {path}")

    def load(self, request: LoadMap.Request, response: LoadMap.Response) -> None:
        """Replaces the map by a saved one. Raises StorageError for a name without a map."""
        self._limits.text("map name", request.name)
        target = map_path(self._map_directory, request.name)
        if not target.exists():
            raise StorageError(f"there is no map {target}: saved maps are in the parameter map_directory")
        loading = self._mapper.load(target)
        self._answer(response, "load_map", loading, lambda _: f"loaded '{request.name}'", self._on_new_map)

    def _answer(
        self, response: Any, what: str, future: Future[Any], describe: Callable[[Any], str],
        afterwards: Callable[[], None] = lambda: None, running: bool = False,
    ) -> None:  # fmt: skip
        """Waits for the command at most BOUND; `running` is the success reported while it goes on."""

        def finish(future: Future[Any]) -> None:
            error = future.exception()
            if error is None:
                afterwards()
                self._log.info(f"{what}: {describe(future.result())}")
            else:
                self._problems.add(f"{what}_failed", str(error))

        future.add_done_callback(finish)
        try:
            response.success, response.message = True, describe(future.result(BOUND))
        except TimeoutError:
            response.success = running
            response.message = f"running: {what} takes longer than {BOUND} s and goes on, see the log and /diagnostics"

"""ig/instantiate, reset, remove_object, save_map, load_map; the map of the last time is loaded at the start."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_srvs.srv import Trigger

from ig_ros.config import NodeConfig
from ig_ros.errors import ConfigError, IgError, StorageError
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.message_checks import Guard
from ig_ros.nodes.query_service import BOUND
from ig_ros.srv import LoadMap, RemoveObject, SaveMap

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
        from ig_ros.map_io import is_map  # loads torch, as the mapper has

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
    """One method per service."""

    def __init__(
        self, node: Node, mapper: LiveMapper, map_directory: str, problems: Problems, guard: Guard,
        forget: Callable[[], None],
    ) -> None:  # fmt: skip
        """`forget` is called after the map was emptied or replaced."""
        self._log = node.get_logger()
        self._mapper, self._map_directory, self._problems, self._forget = mapper, map_directory, problems, forget
        self._guard = guard

    def instantiate(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Group the map into objects as it is now."""
        return self._answer(
            response, "instantiate", self._mapper.instantiate, lambda s: f"{len(s.instances.objects)} objects"
        )

    def reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Forget the map and start anew with the next image."""
        return self._answer(response, "reset", self._mapper.reset, lambda _: "map emptied", self._forget)

    def remove(self, request: RemoveObject.Request, response: RemoveObject.Response) -> RemoveObject.Response:
        """Take an object out of the map."""

        def describe(anchors: int) -> str:
            return f"object {request.id} removed, {anchors} anchors"

        return self._answer(response, "remove_object", lambda: self._mapper.remove_object(request.id), describe)

    def save(self, request: SaveMap.Request, response: SaveMap.Response) -> SaveMap.Response:
        """Write the map."""

        def start() -> Future[Path]:
            self._guard.text("map name", request.name)
            target = map_path(self._map_directory, request.name)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(f"cannot write map to {target}: {error.strerror or error}") from error
            return self._mapper.save(target)

        return self._answer(response, "save_map", start, lambda path: f"saved to {path}")

    def load(self, request: LoadMap.Request, response: LoadMap.Response) -> LoadMap.Response:
        """Replace the map by one that was saved."""

        def start() -> Future[None]:
            self._guard.text("map name", request.name)
            target = map_path(self._map_directory, request.name)
            if not target.exists():
                raise StorageError(f"there is no map {target}: saved maps live in the parameter map_directory")
            return self._mapper.load(target)

        return self._answer(response, "load_map", start, lambda _: f"loaded '{request.name}'", self._forget)

    def _answer(
        self,
        response: Any,
        what: str,
        start: Callable[[], Future[Any]],
        describe: Callable[[Any], str],
        afterwards: Callable[[], None] = lambda: None,
    ) -> Any:
        """Start the command, wait for it at most BOUND, and say in the response how it stands."""

        def finished(future: Future[Any]) -> None:
            error = future.exception()
            if error is None:
                afterwards()
                self._log.info(f"{what}: {describe(future.result())}")
            else:
                self._problems.add(f"{what}_failed", str(error))

        try:
            future = start()
            future.add_done_callback(finished)
            response.success, response.message = True, describe(future.result(BOUND))
        except TimeoutError:
            response.success = what == "instantiate" or what == "reset"  # nothing can fail there any more
            response.message = f"running: {what} takes longer than {BOUND} s and goes on, see the log and /diagnostics"
        except IgError as error:
            response.success, response.message = False, str(error)
            self._problems.add(f"{what}_refused", str(error))
        except Exception as error:  # the border: a command must not end the node
            response.success, response.message = False, f"{what} failed: {type(error).__name__}: {error}"
            self._problems.add("internal", response.message)
        return response

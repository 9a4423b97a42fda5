"""ig/instantiate, reset, remove_object, save_map, load_map; the map of the last time is loaded at the start."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rclpy.node import Node

from ig_ros.config import NodeConfig
from ig_ros.errors import ConfigError, StorageError
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.executor import Command, steady_clock
from ig_ros.nodes.message_checks import MessageLimits
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
    """Starts commands on the mapper, one method per service; each is answered when it is done."""

    def __init__(
        self, mapper: LiveMapper, map_directory: str, limits: MessageLimits, on_new_map: Callable[[], None]
    ) -> None:
        """`on_new_map` is called after the map was emptied or replaced."""
        self._mapper, self._map_directory, self._limits, self._on_new_map = mapper, map_directory, limits, on_new_map

    def instantiate(self, *_: Any) -> Command:
        """Groups the map into objects as it is now."""
        return Command(self._mapper.instantiate(), lambda snapshot: f"{len(snapshot.instances.objects)} objects")

    def reset(self, *_: Any) -> Command:
        """Empties the map; it starts anew with the next image."""
        return Command(self._mapper.reset(), lambda _: self._renewed("map emptied"))

    def remove(self, request: RemoveObject.Request, _: RemoveObject.Response) -> Command:
        """Removes an object from the map."""
        future = self._mapper.remove_object(request.id)
        return Command(future, lambda anchors: f"object {request.id} removed, {anchors} anchors")

    def save(self, request: SaveMap.Request, _: SaveMap.Response) -> Command:
        """Writes the map. Raises StorageError for an unusable name or place."""
        target = self._target(request.name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot write map to {target}: {error.strerror or error}") from error
        return Command(self._mapper.save(target), lambda path: f"saved to {path}")

    def load(self, request: LoadMap.Request, _: LoadMap.Response) -> Command:
        """Replaces the map by a saved one. Raises StorageError for a name without a map."""
        target = self._target(request.name)
        if not target.exists():
            raise StorageError(f"there is no map {target}: saved maps are in the parameter map_directory")
        return Command(self._mapper.load(target), lambda _: self._renewed(f"loaded '{request.name}'"))

    def _target(self, name: str) -> Path:
        self._limits.text("map name", name)
        return map_path(self._map_directory, name)

    def _renewed(self, message: str) -> str:
        self._on_new_map()
        return message

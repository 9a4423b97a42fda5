"""Saved maps, opened whole."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ig_ros.errors import StorageError

if TYPE_CHECKING:
    from ig_ros.config import Config
    from ig_ros.mapper import Mapper
    from ig_ros.types import MapSnapshot


class SavedMapContents(NamedTuple):
    """A map as it was saved."""

    mapper: Mapper  # on the CPU, without segmenter
    snapshot: MapSnapshot
    settings: Config  # it was made with


def load(home: Path) -> SavedMapContents:
    """Raises StorageError, also for a map that was saved before it had objects."""
    from ig_ros.mapper import Mapper
    from ig_ros.storage import load_map, read_snapshot

    _, settings = read_snapshot(home)
    plain = dataclasses.replace(settings.segmentation, segmenter="none")
    mapper = Mapper(dataclasses.replace(settings, segmentation=plain, device="cpu"))
    load_map(mapper, home)
    if mapper.latest is None:
        raise StorageError(f"{home} was saved before its first instantiation: it has no objects yet")
    return SavedMapContents(mapper, mapper.latest, settings)

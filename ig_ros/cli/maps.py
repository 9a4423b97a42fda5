"""Saved maps, opened whole or only as far as their objects."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ig_ros.errors import StorageError

if TYPE_CHECKING:
    from ig_ros.config import Config
    from ig_ros.mapper import Mapper
    from ig_ros.types import MapSnapshot


class OpenMap(NamedTuple):
    """A map as it was saved; its objects are `mapper.latest`, None where none had been found yet."""

    mapper: Mapper  # on the CPU, without segmenter, with an encoder only where it was asked for
    settings: Config  # it was made with


def open_map(home: Path, with_words: bool = False) -> OpenMap:
    """Read a map; `with_words` loads its encoder, which takes seconds. Raises StorageError."""
    from ig_ros.mapper import Mapper
    from ig_ros.storage import load_map, read_snapshot

    _, settings = read_snapshot(home)
    plain = dataclasses.replace(settings.segmentation, segmenter="none")
    words = settings.language if with_words else dataclasses.replace(settings.language, encoder="none")
    mapper = Mapper(dataclasses.replace(settings, segmentation=plain, language=words, device="cpu"))
    load_map(mapper, home)
    return OpenMap(mapper, settings)


def read_objects(home: Path) -> MapSnapshot:
    """Only the objects and points of a map, which is quicker. Raises StorageError, also where there are none yet."""
    from ig_ros.storage import read_snapshot

    return with_objects(read_snapshot(home)[0], home)


def with_objects(snapshot: MapSnapshot | None, home: Path) -> MapSnapshot:
    """Raises StorageError for a map that was saved before its objects were found."""
    if snapshot is None:
        raise StorageError(f"{home} was saved before its first instantiation: it has no objects yet")
    return snapshot

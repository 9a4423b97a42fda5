"""A map saved while it is being instantiated is the one before or the one after, never half of each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers import orbit, small_config

import ig_ros.map_io
from ig_ros.map_io import load_map, save_map
from ig_ros.mapper import Mapper
from ig_ros.types import FloatArray


class CallingEncoder:
    """An encoder that does something while it encodes, as others do meanwhile."""

    name, dimension = "calling", 3

    def __init__(self) -> None:
        self.meanwhile = lambda: None

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        return np.ones((len(texts), 3), np.float32) / np.sqrt(np.float32(3))

    def encode_labels(self, labels: Sequence[str]) -> FloatArray:
        self.meanwhile()
        return self.encode_text(labels)

    def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:  # noqa: ARG002
        return np.ones(len(embeddings))


def trained(encoder: CallingEncoder | None = None) -> Mapper:
    mapper = Mapper(small_config(threads=1), encoder=encoder)
    for frame in orbit(5):
        mapper.add_frame(frame)
    for _ in range(15):
        mapper.train_step()
    return mapper


def loaded(directory: Path) -> Mapper:
    mapper = Mapper(small_config(threads=1), encoder=CallingEncoder())
    load_map(mapper, directory)
    return mapper


def names(mapper: Mapper) -> dict[int, str]:
    """Id -> label: what the latest objects and their histories say, which must be the same."""
    tracked, labels, latest = mapper.objects()
    shown = {} if latest is None else {o.id: o.label for o in latest.instances.objects}
    assert shown == dict(zip(tracked["histories.id"].tolist(), labels, strict=True))
    assert set(shown) == set(np.unique(tracked["ids.id"]).tolist())
    return shown


def test_an_instantiation_that_ends_while_the_files_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapper, write = trained(), ig_ros.map_io.save_file

    def slow_write(*arguments: object) -> None:
        if mapper.latest is None:
            mapper.instantiate()
        write(*arguments)

    monkeypatch.setattr(ig_ros.map_io, "save_file", slow_write)
    save_map(mapper, tmp_path / "map")
    assert len(names(mapper)) == 2
    assert names(loaded(tmp_path / "map")) == {}


def test_a_save_in_the_middle_of_an_instantiation(tmp_path: Path) -> None:
    encoder = CallingEncoder()
    mapper = trained(encoder)
    encoder.meanwhile = lambda: save_map(mapper, tmp_path / "map")
    mapper.instantiate()
    assert len(names(mapper)) == 2
    assert names(loaded(tmp_path / "map")) == {}
    encoder.meanwhile = lambda: None
    save_map(mapper, tmp_path / "map")
    assert names(loaded(tmp_path / "map")) == names(mapper)


def test_saved_over_and_over_while_it_is_instantiated_every_map_loads(tmp_path: Path) -> None:
    mapper = trained()
    frozen = mapper.freeze()
    instantiating = threading.Thread(target=lambda: [mapper.instantiate(frozen) for _ in range(6)])
    instantiating.start()
    maps = []
    while instantiating.is_alive():
        maps.append(save_map(mapper, tmp_path / str(len(maps))))
    instantiating.join()
    assert maps
    assert all(len(names(loaded(each))) in (0, 2) for each in maps)


def test_an_instantiation_that_fails_gives_no_ids_away() -> None:
    encoder = CallingEncoder()
    mapper = trained(encoder)

    def fail() -> None:
        raise MemoryError

    encoder.meanwhile = fail
    with pytest.raises(MemoryError):
        mapper.instantiate()
    encoder.meanwhile = lambda: None
    mapper.instantiate()
    assert sorted(names(mapper)) == [1, 2]

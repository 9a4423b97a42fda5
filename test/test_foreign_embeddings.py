"""Embeddings of one encoder never pass for another's: over saving and loading, from another machine, from the disk."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers import orbit, small_config

from ig_ros.errors import EncoderError
from ig_ros.instances.tracking import PagedObject, with_objects
from ig_ros.live import LiveMapper
from ig_ros.map_io import load_map, save_map
from ig_ros.mapper import Mapper
from ig_ros.scaffold.keyframes import MASK_ID_LIMIT
from ig_ros.types import FloatArray, Frame, Instances, Masks, ObjectInstance


class Colours:
    """An image encoder: the direction of a region's mean colour."""

    dimension = 3

    def __init__(self, name: str) -> None:
        self.name = name

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        return np.tile(np.array([1, 0, 0], np.float32), (len(texts), 1))

    def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:
        return embeddings @ self.encode_text([text])[0]

    def encode_masks(self, rgb: np.ndarray, masks: Masks) -> dict[int, FloatArray]:
        means = {int(i): rgb[masks.labels == i].mean(0) for i in np.unique(masks.labels) if i > 0}
        return {i: (m / np.linalg.norm(m)).astype(np.float32) for i, m in means.items()}


def nameless(frame: Frame, offset: int = 0) -> Frame:
    assert frame.masks is not None
    labels = np.where(frame.masks.labels > 0, frame.masks.labels + offset, 0).astype(np.int32)
    return dataclasses.replace(frame, masks=Masks(labels))


def mapped(frames: list[Frame]) -> Mapper:
    mapper = Mapper(small_config(), encoder=Colours("clip/A"))
    for frame in frames:
        mapper.add_frame(frame)
    for _ in range(15):
        mapper.train_step()
    return mapper


@pytest.mark.parametrize("offset", [0, MASK_ID_LIMIT], ids=["small ids", "large ids"])
def test_a_map_under_another_encoder_mixes_nothing_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, offset: int
) -> None:
    mapper = mapped([nameless(frame, offset) for frame in orbit(5)])
    own = mapper.instantiate().instances
    assert own.encoder == "clip/A"
    assert np.linalg.norm(own.embeddings, axis=1).min() > 0.99
    save_map(mapper, tmp_path / "map")
    other = Mapper(small_config(), encoder=Colours("clip/B"))
    with caplog.at_level(logging.WARNING):
        load_map(other, tmp_path / "map")
        for _ in range(2):
            found = other.instantiate().instances
    assert [o.id for o in found.objects] == [o.id for o in own.objects]
    assert not found.embeddings.any()
    with pytest.raises(EncoderError, match=r"'clip/A'.*'clip/B'"):
        other.query("something red")
    assert sum("clip/A" in record.message and "clip/B" in record.message for record in caplog.records) == 1
    save_map(other, tmp_path / "again")
    same = Mapper(small_config(), encoder=Colours("clip/A"))
    load_map(same, tmp_path / "again")
    back = same.instantiate().instances
    assert back.encoder == "clip/A"
    np.testing.assert_allclose(back.embeddings, own.embeddings, atol=1e-6)


def test_new_keyframes_of_the_new_encoder_are_heard_alone(tmp_path: Path) -> None:
    frames = [nameless(frame) for frame in orbit(10)]
    save_map(mapped(frames[:5]), tmp_path / "map")
    other = Mapper(small_config(), encoder=Colours("clip/B"))
    load_map(other, tmp_path / "map")
    green = np.array([0, 1, 0], np.float32)
    for frame in frames[5:]:
        assert frame.masks is not None
        masks = dataclasses.replace(frame.masks, embeddings={1: green, 2: green}, encoder="clip/B")
        other.insert(other.segment(dataclasses.replace(frame, masks=masks)))
    found = other.instantiate().instances
    assert found.encoder == "clip/B"
    assert found.objects
    np.testing.assert_allclose(found.embeddings, [green] * len(found.objects), atol=1e-6)


def test_an_image_whose_masks_another_encoder_embedded_is_mapped_with_their_names() -> None:
    live = LiveMapper(small_config(), Mapper(small_config(), encoder=Colours("clip/B")))
    live.start()
    try:
        for frame, name in zip(orbit(6), ("clip/A", "", "clip/B") * 2, strict=True):
            assert frame.masks is not None
            vectors = {i: np.array([0, 1, 0], np.float32) for i in (1, 2)}
            masks = dataclasses.replace(frame.masks, embeddings=vectors, encoder=name)
            live.submit(dataclasses.replace(frame, masks=masks))
        deadline = time.monotonic() + 60
        while live.stats().frames_used < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert live.stats().frames_used == 6, "no image is lost"
        assert live.stats().dropped.get("masks_encoder") == 4
        while live.stats().steps < 15 and time.monotonic() < deadline:
            time.sleep(0.05)
        found = live.instantiate().result(60).instances
        assert {o.label for o in found.objects} == {"red card", "blue card"}
        np.testing.assert_allclose(found.embeddings, [[0, 1, 0]] * 2, atol=1e-6)
        assert found.encoder == "clip/B"
    finally:
        live.stop()


def test_an_object_on_disk_keeps_its_embedding_only_under_its_encoder() -> None:
    things = [ObjectInstance(i, f"thing {i}", 0.9, 3, np.eye(4), np.ones(3), 10) for i in range(1, 5)]
    here = Instances(
        np.zeros(0, np.int32), np.zeros(0, np.float32), (things[0],), np.array([[1.0, 0]], np.float32), "clip/B"
    )
    unit = np.array([0.6, 0.8], np.float32)
    away = [
        PagedObject(things[1], unit, "clip/B"),
        PagedObject(things[2], unit, "clip/A"),
        PagedObject(things[3], np.ones(3, np.float32), "clip/B"),
    ]
    both = with_objects(here, away)
    assert [o.id for o in both.objects] == [1, 2, 3, 4]
    np.testing.assert_array_equal(both.embeddings, [[1, 0], unit, [0, 0], [0, 0]])

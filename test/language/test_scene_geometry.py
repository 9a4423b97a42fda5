"""Questions about one snapshot share its geometry and one batch of the encoder."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from collections.abc import Sequence

import numpy as np
import pytest
from helpers import snapshot_of

from ig_ros.config import LanguageConfig
from ig_ros.language import rank
from ig_ros.language.scene_geometry import geometry_of
from ig_ros.types import FloatArray, Instances, MapSnapshot, ObjectInstance


def box(number: int, label: str, x: float) -> ObjectInstance:
    T = np.eye(4)
    T[0, 3] = x
    return ObjectInstance(number, label, 1.0, 3, T, np.full(3, 0.1), 10)


def two_objects() -> MapSnapshot:
    ids = np.repeat(np.array([1, 2], np.int32), 10)
    xyz = np.random.default_rng(0).normal(0, 0.02, (20, 3)) + ids[:, None] * [1.0, 0, 0]
    objects = (box(1, "mug", 1.0), box(2, "lamp", 2.0))
    instances = Instances(ids, np.ones(20, np.float32), objects, np.eye(2, 4, dtype=np.float32), "counting", 0.0)
    return MapSnapshot(1, 0, 0, xyz, np.full((20, 3), 200, np.uint8), np.ones(20, np.float32), instances)


class Counting:
    name, dimension = "counting", 4

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.batches = 0

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        self.batches += bool(set(texts) - self.known)
        self.known |= set(texts)
        return np.tile(np.eye(1, 4, dtype=np.float32), (len(texts), 1))

    def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:
        return np.asarray(embeddings @ self.encode_text([text])[0], np.float64)


def test_geometry_is_worked_out_once_for_a_snapshot_and_anew_for_the_next() -> None:
    snapshot = two_objects()
    first = geometry_of(snapshot)
    assert geometry_of(snapshot) is first
    assert geometry_of(two_objects()) is not first
    assert np.array_equal(first.seen, [True, True])


def test_geometry_goes_with_its_snapshot() -> None:
    snapshot = two_objects()
    geometry = weakref.ref(geometry_of(snapshot))
    assert geometry() is not None
    del snapshot
    gc.collect()
    assert geometry() is None


def test_an_object_without_points_has_the_corners_of_its_box() -> None:
    without_points = dataclasses.replace(two_objects().instances, point_ids=np.zeros(0, np.int32))
    geometry = geometry_of(snapshot_of(without_points))
    assert not geometry.seen.any()
    assert geometry.points_of(1).min(0).tolist() == pytest.approx([1.95, -0.05, -0.05])
    assert geometry.points_of(1).max(0).tolist() == pytest.approx([2.05, 0.05, 0.05])
    assert geometry.gaps(0) == pytest.approx([0.0, 0.9])


def test_all_that_a_sentence_needs_is_encoded_in_one_batch() -> None:
    encoder, snapshot = Counting(), two_objects()
    rank(snapshot, "the small red mug left of the wooden lamp", encoder, LanguageConfig())  # type: ignore[arg-type]
    assert encoder.batches == 1
    rank(snapshot, "the small red mug left of the wooden lamp", encoder, LanguageConfig())  # type: ignore[arg-type]
    assert encoder.batches == 1

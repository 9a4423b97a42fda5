"""Questions about one snapshot share its geometry and one batch of the encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ig_ros.language.query import Place, SceneMemory, rank

from ig_ros.config import LanguageConfig
from ig_ros.types import FloatArray, Instances, ObjectInstance


def box(number: int, label: str, x: float) -> ObjectInstance:
    T = np.eye(4)
    T[0, 3] = x
    return ObjectInstance(number, label, 1.0, 3, T, np.full(3, 0.1), 10)


def two_objects() -> tuple[Instances, Place]:
    ids = np.repeat(np.array([1, 2], np.int32), 10)
    xyz = np.random.default_rng(0).normal(0, 0.02, (20, 3)) + ids[:, None] * [1.0, 0, 0]
    objects = (box(1, "mug", 1.0), box(2, "lamp", 2.0))
    instances = Instances(ids, np.ones(20, np.float32), objects, np.eye(2, 4, dtype=np.float32), "counting", 0.0)
    return instances, Place(xyz, np.full((20, 3), 200, np.uint8))


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
    memory, (instances, place) = SceneMemory(), two_objects()
    first = memory.of(instances, place)
    assert memory.of(instances, place) is first
    assert memory.of(*two_objects()) is not first
    assert np.array_equal(first.seen, [True, True])


def test_all_that_a_sentence_needs_is_encoded_in_one_batch() -> None:
    encoder, (instances, place) = Counting(), two_objects()
    rank("the small red mug left of the wooden lamp", encoder, instances, LanguageConfig(), place=place)  # type: ignore[arg-type]
    assert encoder.batches == 1
    rank("the small red mug left of the wooden lamp", encoder, instances, LanguageConfig(), place=place)  # type: ignore[arg-type]
    assert encoder.batches == 1

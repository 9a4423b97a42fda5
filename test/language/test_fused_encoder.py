"""Two encoders as one, and masks that were embedded by a third."""

from __future__ import annotations

import numpy as np
import pytest

from ig_ros.errors import EncoderError
from ig_ros.language import MaskObservation, describe, embed_masks
from ig_ros.language.encoders import FusedEncoder
from ig_ros.types import Masks


class Half:
    """Texts that begin with the half's letter are its first axis, all others the second."""

    dimension = 2

    def __init__(self, name: str) -> None:
        self.name = name

    def encode_text(self, texts):
        return np.array([[1, 0] if t.startswith(self.name) else [0, 1] for t in texts], np.float32)

    def relevancy(self, text, embeddings):
        return 0.5 + 0.4 * (embeddings @ self.encode_text([text])[0])


class Looks(Half):
    def encode_masks(self, _rgb, masks):
        return {i: np.array([1, 0], np.float32) for i in np.unique(masks.labels) if i}


class Names(Half):
    encode_labels = Half.encode_text


@pytest.fixture
def fused() -> FusedEncoder:
    return FusedEncoder(Looks("i"), Names("l"))


def test_both_halves_are_kept_and_both_are_heard(fused: FusedEncoder) -> None:
    words = describe([MaskObservation("lamp", 1.0, np.array([1, 0], np.float32), 0.9, 0)], fused)
    assert words.embedding.tolist() == [1, 0, 1, 0]
    agree, half, unknown = fused.relevancy("i", np.array([[1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]], np.float32))
    assert agree == pytest.approx(0.9)
    assert half == pytest.approx(0.9), "the half that knows nothing does not vote"
    assert unknown == 0
    assert fused.relevancy("i", np.array([[1, 0, 1, 0]], np.float32))[0] < 0.9, "the other half doubts it"


def test_masks_get_the_image_halfs_name(fused: FusedEncoder) -> None:
    masks = embed_masks(fused, np.zeros((4, 4, 3), np.uint8), Masks(np.ones((4, 4), np.int32)))
    assert masks.encoder == "i"
    assert embed_masks(fused, np.zeros((4, 4, 3), np.uint8), masks) is masks


def test_masks_of_another_encoder_are_refused(fused: FusedEncoder) -> None:
    foreign = Masks(np.ones((4, 4), np.int32), embeddings={1: np.array([1, 0], np.float32)}, encoder="other/model")
    with pytest.raises(EncoderError, match="'other/model'"):
        embed_masks(fused, np.zeros((4, 4, 3), np.uint8), foreign)
    assert embed_masks(Names("l"), np.zeros((4, 4, 3), np.uint8), foreign) is foreign, "it reads names alone"

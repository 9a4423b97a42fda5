"""Votes and means over sightings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from ig_ros.errors import EncoderError
from ig_ros.language import MaskObservation, describe, embed_masks
from ig_ros.language.naming import name_probabilities
from ig_ros.types import Array, FloatArray, Masks

FRESH = itertools.count(100)


class Pictures:
    """An image encoder of the plane: a mask's embedding points to its mean red and green."""

    name = "pictures"
    dimension = 2

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        return np.tile(np.array([1, 0], np.float32), (len(texts), 1))

    def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:  # noqa: ARG002
        return embeddings[:, 0]

    def encode_masks(self, rgb: Array, masks: Masks) -> dict[int, FloatArray]:
        return {int(i): rgb[masks.labels == i, :2].mean(0) for i in np.unique(masks.labels[masks.labels > 0])}


class OnlyWords:
    """A label encoder without an eye."""

    name = "words"
    dimension = 2
    encode_text = Pictures.encode_text
    relevancy = Pictures.relevancy

    def encode_labels(self, labels: Sequence[str]) -> FloatArray:
        return np.array([{"cup": [1, 0], "bowl": [0, 1]}[label] for label in labels], np.float32)


def seen(
    name: str, weight: float, embedding: list[float] | None = None, score: float = 1.0, view: int | None = None
) -> MaskObservation:
    """A sighting in a view of its own, or in the one that is given."""
    own = next(FRESH) if view is None else view
    return MaskObservation(name, score, None if embedding is None else np.array(embedding, np.float32), weight, own)


def test_label_is_the_weighted_vote() -> None:
    words = describe([seen("bowl", 0.5), seen("Cup ", 0.4), seen("cup", 0.4), seen("", 0.9)], None)
    assert (words.label, words.views, words.embedding.shape) == ("cup", 4, (0,))
    assert describe([seen("bowl", 0.5), seen("cup", 0.9, score=0.1)], None).label == "bowl"


def test_mean_of_views_is_weighted_and_unit() -> None:
    views = [seen("", 3.0, [1, 0]), seen("", 4.0, [0, 1]), seen("", 1.0), seen("", 0.1, [0, -1])]
    np.testing.assert_allclose(describe(views, Pictures(), accept=0.2).embedding, [0.6, 0.8], atol=1e-6)


def test_an_object_of_fewer_views_than_it_takes_is_unknown() -> None:
    """Two masks of one view are one view, and one that is not accepted is none."""
    one = [seen("cup", 0.6, [1, 0], view=7), seen("cup", 0.5, [1, 0], view=7), seen("cup", 0.1, [1, 0], view=8)]
    words = describe(one, Pictures(), accept=0.2, min_views=2)
    assert (words.label, words.views, words.embedding.tolist()) == ("", 1, [0.0, 0.0])
    assert describe(one, OnlyWords(), accept=0.2, min_views=2).embedding.tolist() == [0.0, 0.0]
    enough = describe([*one, seen("cup", 0.6, [1, 0], view=9)], Pictures(), accept=0.2, min_views=2)
    assert (enough.label, enough.views, enough.embedding.tolist()) == ("cup", 2, [1.0, 0.0])


def test_nothing_known_is_zero() -> None:
    assert not describe([seen("cup", 1.0)], Pictures()).embedding.any()
    assert not describe([seen("", 1.0, [1, 0])], OnlyWords()).embedding.any()
    assert describe([], OnlyWords()).label == ""


def test_label_encoder_mixes_votes() -> None:
    words, odds = (
        describe([seen("cup", 0.6), seen("bowl", 0.8)], OnlyWords()),
        name_probabilities({"cup": 0.6, "bowl": 0.8}, 0.0, 1),
    )
    np.testing.assert_allclose(
        words.embedding, np.array([odds["cup"], odds["bowl"]]) / np.hypot(*odds.values()), atol=1e-6
    )
    assert (words.label, words.certainty) == ("bowl", odds["bowl"])


def test_foreign_embedding_is_refused() -> None:
    with pytest.raises(EncoderError, match="length 3"):
        describe([seen("", 1.0, [1, 0, 0])], Pictures())


def test_embed_masks_fills_only_what_is_missing() -> None:
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[:2, :, 0] = 7
    masks = Masks(np.repeat([[1], [1], [2], [2]], 4, axis=1).astype(np.int32))
    assert embed_masks(Pictures(), rgb, masks).embeddings[1].tolist() == [7, 0]
    assert embed_masks(OnlyWords(), rgb, masks) is masks
    assert embed_masks(None, rgb, masks) is masks
    own = Masks(masks.labels, embeddings={1: np.ones(2)}, encoder="pictures")
    assert embed_masks(Pictures(), rgb, own) is own
    for name in ("", "words"):
        with pytest.raises(EncoderError, match="'pictures'"):
            embed_masks(Pictures(), rgb, Masks(masks.labels, embeddings={1: np.ones(2)}, encoder=name))

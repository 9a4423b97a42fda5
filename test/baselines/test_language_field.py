"""Words on every Gaussian, and what follows from having no instances. A pixel is 6 % of a card: IoU ends at 0.94."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from baselines.worlds import NAMES, best_iou, with_keyframes, world

from benchmarks.baselines import Material, Prediction
from benchmarks.baselines.language_field import LanguageField
from ig_ros.types import FloatArray, Masks

CLASSES = ("ground", "red card", "blue card", "elephant")


class Words:
    """Every known word is an axis of its own."""

    name = "words"
    dimension = len(CLASSES)

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        return np.array([[t == c for c in CLASSES] for t in texts], np.float32)

    def encode_labels(self, labels: Sequence[str]) -> FloatArray:
        return self.encode_text(labels)

    def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:
        return np.asarray(embeddings @ self.encode_text([text])[0])


def run(material: Material) -> Prediction:
    return LanguageField()(material, np.random.default_rng(0))


def with_masks(material: Material, k: int, **changes: object) -> Material:
    """The same with other masks on keyframe k."""
    frames = list(material.keyframes)
    masks = frames[k].masks
    assert masks is not None
    frames[k] = dataclasses.replace(frames[k], masks=dataclasses.replace(masks, **changes))  # type: ignore[arg-type]
    return with_keyframes(material, tuple(frames), material.views)


@pytest.mark.parametrize("encoder", [None, Words()])
def test_every_gaussian_learns_its_class(encoder: Words | None) -> None:
    material, card = world(classes=CLASSES, encoder=encoder)
    found = run(material)
    assert found.classes is not None
    assert (found.classes == card).mean() > 0.95
    assert all(best_iou(found.ids, card == c) > 0.9 for c in range(3))


def test_one_wrong_view_is_outvoted() -> None:
    material, card = world(classes=CLASSES, encoder=Words())
    found = run(with_masks(material, 2, names={1: "elephant", 2: "elephant", 3: "elephant"}))
    assert found.classes is not None
    assert (found.classes == card).mean() > 0.95


def test_image_embeddings_speak_before_names() -> None:
    material, card = world(classes=CLASSES, encoder=Words(), views=1)
    elephant = Words().encode_text(["elephant"])[0]
    found = run(with_masks(material, 0, embeddings={2: elephant}))
    assert found.classes is not None
    assert (found.classes[card == 2] == 3).mean() > 0.9
    assert (found.classes[card == 1] == 1).mean() > 0.9


def test_two_of_a_class_are_two_only_while_apart() -> None:
    material, card = world(names=NAMES | {2: "red card"}, classes=CLASSES)
    apart = run(material).ids
    assert min(best_iou(apart, card == c) for c in (1, 2)) > 0.9
    joined = LanguageField(voxel=0.25)(material, np.random.default_rng(0)).ids
    assert best_iou(joined, card > 0) > 0.9


def test_without_a_list_the_masks_own_words_separate() -> None:
    material, card = world()
    found = run(material)
    assert found.classes is None
    assert all(best_iou(found.ids, card == c) > 0.9 for c in range(3))


def test_without_words_nothing_is_known() -> None:
    material, _ = world(names={}, classes=CLASSES, encoder=Words())
    found = run(material)
    assert found.classes is not None
    assert (found.classes == -1).all()
    assert (found.ids == -1).all()


def test_masks_nobody_named_do_not_speak() -> None:
    material, card = world(classes=CLASSES, encoder=Words())
    for k in range(1, 5):
        material = with_masks(material, k, names={})
    found = run(material)
    assert found.classes is not None
    assert (found.classes == card).mean() > 0.9
    assert isinstance(material.keyframes[1].masks, Masks)

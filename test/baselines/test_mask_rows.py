"""The rows that live on masks: exact masks give exact objects, and errors of single views are outvoted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from baselines.worlds import best_iou, check, with_keyframes, world
from helpers import ground_labels

from benchmarks.baselines import Material, Method
from benchmarks.baselines.consensus_cloud import ConsensusCloud
from benchmarks.baselines.fusion import FusedObject, MaskFusion
from benchmarks.baselines.mask_graph import MaskGraph
from benchmarks.baselines.registry import method
from benchmarks.baselines.tracking import TrackingAssociation
from ig_ros.types import IntArray

ROWS: tuple[Method, ...] = (
    ConsensusCloud(least=200),
    MaskFusion(),
    method("plain mask fusion"),
    method("mask fusion + words"),
    MaskGraph(),
    TrackingAssociation(),
)
rows = pytest.mark.parametrize("row", ROWS, ids=lambda m: m.name)


def ious(row: Method, material: Material) -> list[float]:
    """Best IoU of ground and cards, on the part of the ground the cards' surroundings cover."""
    found = row(material, np.random.default_rng(0))
    check(found, material)
    inner = (np.abs(found.xyz[:, :2]) < 0.45).all(1)
    card = ground_labels(found.xyz[inner, 0], found.xyz[inner, 1])
    return [best_iou(found.ids[inner], card == c) for c in range(3)]


def relabelled(material: Material, change: Callable[[int, IntArray], IntArray]) -> Material:
    """The material with the label image of each keyframe k replaced by change(k, labels)."""
    keyframes, views = [], []
    for k, (keyframe, view) in enumerate(zip(material.keyframes, material.views, strict=True)):
        assert keyframe.masks is not None
        labels = change(k, view.labels.copy())
        masks = dataclasses.replace(keyframe.masks, labels=labels)
        keyframes.append(dataclasses.replace(keyframe, masks=masks))
        views.append(dataclasses.replace(view, labels=labels))
    return with_keyframes(material, tuple(keyframes), tuple(views))


@rows
def test_exact_masks_give_the_things(row: Method) -> None:
    material, _ = world()
    assert min(ious(row, material)) > 0.85
    assert row(material, np.random.default_rng(0)).ids.max() == 2


@rows
def test_the_same_draw_gives_the_same_answer(row: Method) -> None:
    first, second = (row(world()[0], np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.ids, second.ids)
    np.testing.assert_array_equal(first.xyz, second.xyz)


# Names stay with the numbers: a row that reads them would be lied to here.
@pytest.mark.parametrize("row", [m for m in ROWS if "words" not in m.name], ids=lambda m: m.name)
def test_mask_numbers_mean_nothing_from_image_to_image(row: Method) -> None:
    material, _ = world()
    turned = relabelled(material, lambda k, labels: (labels + k) % 3 + 1)
    assert min(ious(row, turned)) > 0.85


@rows
def test_one_view_that_takes_two_cards_for_one_is_outvoted(row: Method) -> None:
    material, _ = world(views=9)
    spoilt = relabelled(material, lambda k, labels: np.where((labels == 2) & (k == 4), 1, labels))
    assert min(ious(row, spoilt)[1:]) > 0.8


@rows
def test_one_view_that_cuts_a_card_in_two_is_outvoted(row: Method) -> None:
    def cut(k: int, labels: IntArray) -> IntArray:
        middle = np.median(np.nonzero(labels == 1)[0])
        lower = np.arange(len(labels))[:, None] > middle
        return np.where((labels == 1) & lower & (k == 4), 7, labels)

    material, _ = world(views=9)
    assert min(ious(row, relabelled(material, cut))[1:]) > 0.8


@rows
@pytest.mark.parametrize("views", [0, 3])
def test_without_masks_there_are_no_instances(row: Method, views: int) -> None:
    material, _ = world(views=views)
    bare = relabelled(material, lambda _, labels: 0 * labels)
    found = row(bare, np.random.default_rng(0))
    check(found, bare)
    assert (found.ids == -1).all()


@rows
def test_without_a_sensor_only_those_that_need_none_answer(row: Method) -> None:
    material, _ = world(depth=False)
    found = row(material, np.random.default_rng(0))
    check(found, material)
    assert (found.ids >= 0).any() == (not row.needs_depth)


def test_a_track_survives_a_frame_without_its_mask_but_not_a_pause_beyond_memory() -> None:
    material, _ = world(views=7)
    tracker = TrackingAssociation(memory=2)
    for pause, same in ((1, True), (4, False)):
        gaps = range(2, 2 + pause)
        views = relabelled(material, lambda k, labels, g=gaps: np.where((labels == 1) & (k in g), 0, labels)).views  # type: ignore[misc]
        images = tracker.tracks(views, 0.03)
        before, after = (set(images[k][views[k].labels == 1].tolist()) for k in (1, 6))
        assert (before == after) == same


def test_words_decide_where_geometry_cannot() -> None:
    mug, cup = (FusedObject(np.arange(5), np.ones(5, np.int64), {name: 1.0}, None, 1) for name in ("mug", "cup"))
    unnamed = FusedObject(np.arange(5), np.ones(5, np.int64))
    assert mug.likeness(mug) == 1.0
    assert mug.likeness(cup) == 0.0
    assert mug.likeness(unnamed) == 0.5
    mug.add(cup)
    assert mug.likeness(cup) == pytest.approx(0.5)
    assert (mug.frames, mug.votes.tolist()) == (2, [2] * 5)

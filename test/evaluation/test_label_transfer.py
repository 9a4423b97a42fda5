"""Laws of labels on a given cloud: by votes and by a learnt field."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from helpers import CARDS, HALF, ground_labels, orbit, small_config
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from ig_ros.evaluation.label_transfer import (
    ColoredPoints,
    SmoothingOptions,
    accepted_pixels,
    position_encoding,
    smooth_onto,
    transfer_by_vote,
    transfer_ids,
    trusted_points,
)
from ig_ros.mapper import Mapper

seeds = st.integers(0, 100_000)
QUICK = SmoothingOptions(steps=100, batch=128, width=32, frequencies=4, radius=0.2)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, neighbours=st.integers(1, 7))
def test_votes_are_those_of_the_sorted_neighbours(seed: int, neighbours: int) -> None:
    random = np.random.default_rng(seed)
    xyz, ids, targets = random.random((20, 3)), random.integers(-1, 4, 20), random.random((15, 3))
    got = transfer_by_vote(xyz, ids, targets, 0.3, neighbours)
    for row, distance in enumerate(cdist(targets, xyz)):
        near = [i for i in np.argsort(distance)[:neighbours] if distance[i] < 0.3]
        votes = ids[near].tolist()
        winner = max(votes, key=lambda i: (votes.count(i), -votes.index(i)), default=-1)
        assert got.ids[row] == winner
        assert got.confidence[row] == pytest.approx(votes.count(winner) / len(votes) if winner >= 0 else 0)
    assert got.coverage == pytest.approx(np.mean(got.ids >= 0))


def test_one_neighbour_is_the_nearest_point_and_more_outvote_it() -> None:
    xyz = np.array([[0.0, 0, 0], [0.02, 0, 0], [0.03, 0, 0], [0.5, 0, 0]])
    ids, targets = np.array([4, 8, 8, 5]), np.array([[0.001, 0, 0], [0.3, 0, 0]])
    assert transfer_ids(xyz, ids, targets).tolist() == [4, -1]
    voted = transfer_by_vote(xyz, ids, targets, 0.05, 3)
    assert voted.ids.tolist() == [8, -1]
    assert voted.confidence.tolist() == pytest.approx([2 / 3, 0])
    assert voted.coverage == 0.5


@pytest.mark.parametrize(("points", "targets"), [(0, 4), (4, 0), (0, 0)])
def test_nothing_on_nothing(points: int, targets: int) -> None:
    xyz, ids, there = np.zeros((points, 3)), np.ones(points, int), np.zeros((targets, 3))
    voted = transfer_by_vote(xyz, ids, there)
    learnt = smooth_onto(
        ColoredPoints(xyz), ids, np.ones(points, bool), ColoredPoints(there), torch.Generator().manual_seed(0), QUICK
    )
    for result in (voted, learnt):
        assert (result.ids.tolist(), result.coverage) == ([-1] * targets, 0.0)


def halves(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A unit square of two instances, 7 left and 9 right of x = 0.5, none of them on the border itself."""
    xyz = np.column_stack([random.random((n, 2)), np.zeros(n)])
    xyz = xyz[np.abs(xyz[:, 0] - 0.5) > 0.05]
    return xyz, np.where(xyz[:, 0] < 0.5, 7, 9)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_field_overrules_what_is_not_trusted(seed: int) -> None:
    random = np.random.default_rng(seed)
    (xyz, truth), (targets, wanted) = halves(random, 600), halves(random, 400)
    wrong = random.random(len(xyz)) < 0.3
    ids = np.where(wrong, 16 - truth, truth)
    learnt = smooth_onto(
        ColoredPoints(xyz), ids, ~wrong, ColoredPoints(targets), torch.Generator().manual_seed(0), QUICK
    )
    nearest = transfer_ids(xyz, ids, targets, 0.2)
    assert (learnt.ids == wanted).mean() > 0.97 > (nearest == wanted).mean()
    assert learnt.coverage == 1
    assert ((learnt.confidence > 0.5) & (learnt.confidence <= 1)).all()


def test_equal_generators_give_equal_fields_and_the_global_one_is_left_alone() -> None:
    random = np.random.default_rng(0)
    (xyz, ids), (targets, _) = halves(random, 300), halves(random, 200)
    before = torch.get_rng_state()
    options = dataclasses.replace(QUICK, steps=5)
    a, b, c = (
        smooth_onto(
            ColoredPoints(xyz), ids, np.ones(len(xyz), bool), ColoredPoints(targets),
            torch.Generator().manual_seed(seed), options,
        ).confidence
        for seed in (1, 1, 2)
    )  # fmt: skip
    assert (a == b).all()
    assert not np.allclose(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_where_the_scene_lies_and_what_its_ids_are_called_change_no_label() -> None:
    random = np.random.default_rng(3)
    (xyz, ids), (targets, _) = halves(random, 400), halves(random, 300)
    trusted = np.ones(len(xyz), bool)

    def learnt(points: np.ndarray, names: np.ndarray, at: np.ndarray) -> np.ndarray:
        generator = torch.Generator().manual_seed(0)
        return smooth_onto(ColoredPoints(points), names, trusted, ColoredPoints(at), generator, QUICK).ids

    here = learnt(xyz, ids, targets)
    shift = np.array([30.0, -20.0, 5.0])
    there = learnt(xyz + shift, ids + 100, targets + shift)
    assert (there - 100 == here).mean() > 0.99


def test_colour_decides_where_places_are_mixed() -> None:
    """Red and blue points strewn through one cube: place says nothing, so without colour no better than a coin."""
    random = np.random.default_rng(0)
    xyz, targets = random.random((3000, 3)), random.random((300, 3))
    ids, wanted = random.integers(1, 3, 3000), random.integers(1, 3, 300)
    palette = np.array([[0.0, 0, 0], [0.8, 0.2, 0.2], [0.2, 0.2, 0.8]])
    rgb, colors = (palette[i] + 0.05 * random.standard_normal((len(i), 3)) for i in (ids, wanted))
    cloud, trusted = ColoredPoints(xyz, rgb), np.ones(len(xyz), bool)
    plain = dataclasses.replace(QUICK, frequencies=1)  # octaves would learn the places by heart
    right = {}
    for name, shown in (("seen", colors), ("blind", None)):
        generator = torch.Generator().manual_seed(0)
        result = smooth_onto(cloud, ids, trusted, ColoredPoints(targets, shown), generator, plain)
        right[name] = (result.ids == wanted).mean()
    assert right["seen"] > 0.95
    assert right["blind"] < 0.65


def test_beyond_the_radius_is_unknown_and_points_without_an_object_teach_nothing() -> None:
    xyz = np.array([[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0]])
    targets = np.array([[0.1, 0, 0], [2.1, 0, 0], [2.3, 0, 0], [9.0, 0, 0]])
    generator = torch.Generator().manual_seed(0)
    result = smooth_onto(
        ColoredPoints(xyz), np.array([3, 3, -1]), np.ones(3, bool), ColoredPoints(targets), generator, QUICK
    )
    assert result.ids.tolist() == [3, 3, -1, -1]
    assert result.coverage == 0.5
    assert (result.confidence[2:] == 0).all()
    nobody = smooth_onto(
        ColoredPoints(xyz),
        np.array([3, 3, -1]),
        np.array([False, False, True]),
        ColoredPoints(targets),
        generator,
        QUICK,
    )
    assert nobody.ids.tolist() == [-1] * 4


def test_the_position_encoding_is_sines_of_octaves() -> None:
    xyz = torch.tensor([[0.25, -1.0, 0.5]])
    code = position_encoding(xyz, 3)
    assert code.shape == (1, 3 + 6 * 3)
    turns = [np.pi * 2.0**i * x for i in range(3) for x in (0.25, -1.0, 0.5)]
    expected = [0.25, -1.0, 0.5, *np.sin(turns), *np.cos(turns)]
    assert code[0].numpy() == pytest.approx(np.array(expected), abs=1e-5)


def test_an_instance_accepts_the_mask_it_overlaps_best_if_well_enough() -> None:
    shown = np.array([[1, 1, 1, 1, 2, 2, -1, -1]])
    labels = np.array([[5, 5, 5, 6, 6, 0, 7, 7]])
    # 1 accepts 5 (3/4); 2 overlaps 6 (1/3): accepted at 0.2, not at 0.5; nothing shown accepts nothing
    assert accepted_pixels(shown, labels, 0.2).astype(int).tolist() == [[1, 1, 1, 0, 1, 0, 0, 0]]
    assert accepted_pixels(shown, labels, 0.5).astype(int).tolist() == [[1, 1, 1, 0, 0, 0, 0, 0]]
    assert not accepted_pixels(shown, np.zeros_like(labels), 0.0).any()


def test_a_small_map_is_smoothed_onto_the_ground_it_shows() -> None:
    mapper = Mapper(small_config(threads=1))
    for frame in orbit(6):
        mapper.add_frame(frame)
    for _ in range(30):
        mapper.train_step()
    frozen = mapper.freeze()
    snapshot = mapper.instantiate(frozen)
    ids = snapshot.instances.point_ids
    trusted = trusted_points(frozen.gaussians, ids, frozen.keyframes, 0.2)
    assert trusted.any()
    assert not trusted[ids < 0].any(), "a Gaussian of no object is the top contributor of nobody's mask"
    side = np.arange(-HALF, HALF, 0.01)
    spots = np.array([(cx + x, cy + y, 0.0) for _, (cx, cy) in CARDS.values() for x in side for y in side])
    result = smooth_onto(
        ColoredPoints(snapshot.xyz, snapshot.rgb / 255.0), ids, trusted, ColoredPoints(spots),
        torch.Generator().manual_seed(0), QUICK,
    )  # fmt: skip
    card = ground_labels(spots[:, 0], spots[:, 1])
    object_of = {c: np.bincount(result.ids[(card == c) & (result.ids >= 0)]).argmax() for c in CARDS}
    assert len(set(object_of.values())) == 2
    assert result.coverage > 0.95
    assert np.mean([result.ids[i] == object_of.get(int(card[i])) for i in np.flatnonzero(card)]) > 0.85

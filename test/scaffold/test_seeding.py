"""Where anchors are planted: on the surface, at most one per voxel, and only where nothing stands yet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import CAMERA, ground_frame, look_at
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_ros.config import InputConfig, SeedingConfig
from ig_ros.geometry import project, transform
from ig_ros.scaffold.keyframes import Keyframe, make_keyframe
from ig_ros.scaffold.seeding import STRIDE, not_among, plant, seed_from_depth, unseen_pixels, voxel_keys
from ig_ros.types import RenderResult

CONFIG = SeedingConfig()
POSE = look_at((0.1, -0.5, 0.9), (0.0, 0.0, 0.0))
NOTHING = np.zeros(0, np.int64)


def keyframe(depth: bool = True) -> Keyframe:
    return make_keyframe(4, ground_frame(POSE, depth=depth), InputConfig())


def rendered(alpha: np.ndarray, surface: np.ndarray) -> RenderResult:
    """What a model with this opacity and surface would render."""
    a = torch.from_numpy(alpha.astype(np.float32))
    return RenderResult(torch.zeros(*a.shape, 3), a * torch.from_numpy(surface.astype(np.float32)), a)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 400), spread=st.floats(0.02, 3.0), distance=st.floats(0.2, 20.0))
def test_at_most_one_anchor_per_voxel_and_taken_voxels_stay_free(
    seed: int, n: int, spread: float, distance: float
) -> None:
    random = np.random.default_rng(seed)
    points, color = random.uniform(-spread, spread, (n, 3)), random.random((n, 3))
    away = np.full(n, distance)
    first = plant(points, color, away, NOTHING, 7, CONFIG)
    assert first is not None
    edges = first.edge.double().numpy()
    wanted = max(distance * CONFIG.voxel_per_depth, CONFIG.voxel)
    assert ((edges > 0.7 * wanted) & (edges < 1.5 * wanted)).all()
    cells = np.floor(points / edges[0]).astype(int)
    assert len(first.position) == len(np.unique(cells, axis=0))
    assert set(first.owner.tolist()) == {7}
    full_edge = CONFIG.voxel * 2.0 ** np.round(np.log2(edges / CONFIG.voxel))
    taken = voxel_keys(points, np.resize(full_edge, n))
    assert plant(points, color, away, taken, 8, CONFIG) is None
    half = points[: n // 2]
    second = plant(points, color, away, voxel_keys(half, np.resize(full_edge, len(half))), 8, CONFIG)
    occupied = {tuple(c) for c in cells[: n // 2]}
    free = {tuple(c) for c in cells} - occupied
    assert (0 if second is None else len(second.position)) == len(free)


def test_an_anchor_stands_at_the_mean_of_its_points_and_colours() -> None:
    points = np.array([[0.001, 0.001, 0.001], [0.009, 0.005, 0.003], [0.5, 0.5, 0.5]])
    color = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    new = plant(points, color, np.full(3, 0.5), NOTHING, 0, CONFIG)
    assert new is not None
    order = np.argsort(new.position[:, 0].numpy())
    np.testing.assert_allclose(new.position.numpy()[order], [[0.005, 0.003, 0.002], [0.5, 0.5, 0.5]], atol=1e-6)
    np.testing.assert_allclose(new.color.numpy()[order], [[0.5, 0.5, 0], [0, 0, 1]], atol=1e-6)


def test_no_points_no_anchors() -> None:
    assert plant(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), NOTHING, 0, CONFIG) is None


def test_seeds_lie_on_the_measured_surface_with_the_colour_seen_there() -> None:
    frame = keyframe()
    new = seed_from_depth(frame, None, NOTHING, CONFIG)
    assert new is not None
    assert len(new.position) > 300
    assert float(new.position[:, 2].abs().max()) < 0.002  # half precision of the stored depth at 1 m
    local = transform(np.linalg.inv(POSE), new.position.double().numpy())
    uv, _ = project(local, CAMERA)
    assert ((uv > -1) & (uv < [CAMERA.width + 1, CAMERA.height + 1])).all()
    cols, rows = np.clip(uv, 0, [CAMERA.width - 1, CAMERA.height - 1]).astype(int).T
    seen = frame.rgb.numpy()[rows, cols] / 255.0
    assert np.median(np.abs(new.color.numpy() - seen)) < 0.1


def test_nothing_is_planted_where_the_model_covers_the_view() -> None:
    frame = keyframe()
    assert frame.depth is not None
    depth = frame.depth.float().numpy()
    assert seed_from_depth(frame, rendered(np.ones_like(depth), depth), NOTHING, CONFIG) is None
    slightly = depth / (1 + 0.5 * CONFIG.gap_margin)
    assert seed_from_depth(frame, rendered(np.ones_like(depth), slightly), NOTHING, CONFIG) is None
    alpha = np.ones_like(depth)
    alpha[:, : CAMERA.width // 2] = 0.1
    pixels = unseen_pixels(frame, rendered(alpha, depth), CONFIG)
    assert len(pixels) == CAMERA.height * CAMERA.width // 2 // STRIDE**2
    assert pixels[:, 1].max() < CAMERA.width // 2


@pytest.mark.parametrize("factor", [1 - 2 * CONFIG.depth_margin, 1 + 2 * CONFIG.gap_margin], ids=["before", "behind"])
def test_a_surface_elsewhere_than_the_model_is_planted(factor: float) -> None:
    frame = keyframe()
    assert frame.depth is not None
    depth = frame.depth.float().numpy()
    elsewhere = depth.copy()
    elsewhere[20:40, 20:40] /= factor
    pixels = unseen_pixels(frame, rendered(np.ones_like(depth), elsewhere), CONFIG)
    assert len(pixels) == (20 // STRIDE) ** 2
    assert ((pixels >= 20) & (pixels < 40)).all()


def test_pixels_without_depth_propose_nothing() -> None:
    frame = keyframe()
    assert frame.depth is not None
    frame.depth[:, :50] = 0
    assert unseen_pixels(frame, None, CONFIG)[:, 1].min() >= 50
    assert len(unseen_pixels(keyframe(depth=False), None, CONFIG)) == 0
    assert seed_from_depth(keyframe(depth=False), None, NOTHING, CONFIG) is None


def test_every_second_pixel_proposes() -> None:
    assert len(unseen_pixels(keyframe(), None, CONFIG)) == CAMERA.height * CAMERA.width // 4


def test_keys_tell_grids_of_different_edge_apart() -> None:
    points = np.random.default_rng(0).uniform(-2, 2, (500, 3))
    fine, coarse = (voxel_keys(points, np.full(500, e)) for e in (0.02, 0.04))
    assert not np.isin(fine, coarse).any()


def test_no_two_voxels_of_a_scene_share_a_key() -> None:
    """Mirrored cells included: a scene around the origin must not plant one side at the cost of the other."""
    axis = (np.arange(-20, 20) + 0.5) * 0.02
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    for shift in (0.0, 40.0, -1000.0):
        assert len(np.unique(voxel_keys(points + shift, np.full(len(points), 0.02)))) == len(points)


@given(st.sets(st.integers(-20, 20)), st.lists(st.integers(-25, 25)))
def test_what_is_not_among_many_is_what_sets_say(few: set[int], many: list[int]) -> None:
    ordered = np.array(sorted(few), np.int64)
    found = not_among(ordered, np.array(many, np.int64))
    assert set(ordered[found].tolist()) == few - set(many)

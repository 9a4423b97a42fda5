"""Upright boxes: they hold their points, turn with them and stay vertical."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ig_ros.geometry import inverse, transform
from ig_ros.instances.boxes import TRIM, upright_box

seeds = st.integers(0, 10_000)


def brick(seed: int, n: int = 400) -> np.ndarray:
    """(n, 3) points in a brick twice as long as it is wide, somewhere in the world."""
    random = np.random.default_rng(seed)
    size = np.array([0.4, 0.2, random.uniform(0.05, 0.5)])
    return (random.random((n, 3)) - 0.5) * size + random.uniform(-3, 3, 3)


def turned(points: np.ndarray, yaw: float) -> np.ndarray:
    return points @ Rotation.from_euler("z", yaw).as_matrix().T


@settings(max_examples=40, deadline=None)
@given(seed=seeds, yaw=st.floats(-np.pi, np.pi))
def test_all_but_the_trimmed_points_lie_inside(seed: int, yaw: float) -> None:
    points = turned(brick(seed), yaw)
    pose, size = upright_box(points)
    low, high = np.percentile(points, [TRIM, 100 - TRIM], axis=0)
    core = points[((points >= low) & (points <= high)).all(1)]
    local = transform(inverse(pose), core)
    assert (np.abs(local) <= size / 2 + 1e-5).all()
    assert len(core) >= 0.94 * len(points)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, yaw=st.floats(-np.pi, np.pi))
def test_the_pose_is_rigid_upright_and_its_x_axis_the_longer(seed: int, yaw: float) -> None:
    pose, size = upright_box(turned(brick(seed), yaw))
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_array_equal(pose[:3, 2], [0, 0, 1])
    assert size[0] >= size[1] >= 0
    assert size[2] >= 0
    assert -np.pi / 2 <= np.arctan2(pose[1, 0], pose[0, 0]) <= np.pi / 2 + 1e-9


@settings(max_examples=40, deadline=None)
@given(seed=seeds, yaw=st.floats(-np.pi, np.pi))
def test_size_and_direction_turn_with_the_points(seed: int, yaw: float) -> None:
    """The trimming is along the world's axes, so a turned brick loses a slightly different 1 % of its points."""
    points = brick(seed, n=3000)
    pose, size = upright_box(points)
    pose2, size2 = upright_box(turned(points, yaw))
    np.testing.assert_allclose(size2, size, rtol=0.12, atol=0.01)
    assert size2[2] == pytest.approx(size[2], rel=0.02)
    center = turned(pose[:3, 3][None], yaw)[0]
    np.testing.assert_allclose(pose2[:3, 3], center, atol=0.02)
    along = turned(pose[:3, 0][None], yaw)[0]
    assert abs(along @ pose2[:3, 0]) > 0.99


def test_stray_points_do_not_count() -> None:
    points = brick(1, n=1000)
    _, clean = upright_box(points)
    _, dirty = upright_box(np.concatenate([points, points[:5] + 2.0]))
    np.testing.assert_allclose(dirty, clean, rtol=0.1)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_hardly_any_points_still_give_a_box(n: int) -> None:
    points = np.arange(3 * n, dtype=float).reshape(n, 3)
    pose, size = upright_box(points)
    assert np.isfinite(pose).all()
    assert (size >= 0).all()
    assert np.abs(pose[:3, 3] - points.mean(0)).max() < np.abs(points).max() + 1e-6


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_small_pieces_that_lie_apart_do_not_stretch_the_box(seed: int) -> None:
    points = brick(seed, 800)
    stray = points.mean(0) + np.array([0.6, 0, 0]) + np.random.default_rng(seed).normal(0, 0.01, (30, 3))
    (pose, size), (alone, alone_size) = upright_box(np.concatenate([points, stray])), upright_box(points)
    assert np.linalg.norm(pose[:3, 3] - alone[:3, 3]) < 0.01
    assert np.abs(size - alone_size).max() < 0.02


def test_two_halves_of_a_thing_are_both_in_its_box() -> None:
    half = brick(0, 300)
    _, size = upright_box(np.concatenate([half, half + np.array([1.0, 0, 0])]))
    assert size[0] > 1.3


def test_of_many_points_an_even_sample_makes_the_same_box() -> None:
    few, many = brick(1, 2500), brick(1, 40_000)
    assert np.abs(upright_box(few)[1] - upright_box(many)[1]).max() < 0.01

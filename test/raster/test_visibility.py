"""The compiled visibility kernel agrees with projection in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from ig_ros.geometry import inverse, pose_from_quaternion, project, transform
from ig_ros.raster import visible_pixels
from ig_ros.types import Camera, FloatArray, IntArray

CAMERA = Camera(np.array([[50.0, 0, 31.5], [0, 55.0, 23.0], [0, 0, 1]]), 64, 48)
POSE = pose_from_quaternion(np.array([0.3, -0.2, 0.5]), np.array([0.9, 0.1, -0.2, 0.3]))


def slow(points: FloatArray, depth: FloatArray, relative: float, absolute: float) -> tuple[IntArray, FloatArray]:
    """Pixel or -1 of every point, and how far it is from changing: in pixels and metres, whichever is less."""
    uv, z = project(transform(inverse(POSE), points), CAMERA)
    inside = (z > 0.05) & (uv >= 0).all(1) & (uv[:, 0] < CAMERA.width) & (uv[:, 1] < CAMERA.height)
    cols, rows = np.where(inside[:, None], uv, 0).astype(int).T
    surface = depth[rows, cols]
    gap = relative * z + absolute - np.abs(z - surface)
    pixel = np.where(inside & (surface > 0) & (gap >= 0), rows * CAMERA.width + cols, -1)
    margin = np.minimum(np.abs(uv - np.round(uv)).min(1), np.abs(gap))
    return pixel, np.minimum(margin, np.abs(z - 0.05))


def test_agrees_with_projection_in_double_precision() -> None:
    random = np.random.default_rng(0)
    points = transform(POSE, random.uniform([-2, -2, -1], [2, 2, 4], (5000, 3)))
    depth = random.uniform(0.5, 4, (48, 64))
    depth[random.random(depth.shape) < 0.2] = 0
    expected, margin = slow(points, depth, 0.1, 0.3)
    found = visible_pixels(points, CAMERA, POSE, depth, 0.1, 0.3)
    clear = margin > 1e-4
    assert clear.mean() > 0.95
    assert (expected[clear] >= 0).sum() > 100
    np.testing.assert_array_equal(found[clear], expected[clear])


def test_points_that_are_no_numbers_are_hidden() -> None:
    points = np.array([[np.nan, 0, 1], [np.inf, 0, 1], [0, 0, -np.inf]])
    assert (visible_pixels(points, CAMERA, np.eye(4), np.ones((48, 64)), 0.1, 10.0) == -1).all()


def test_no_points_and_wrong_sizes() -> None:
    assert visible_pixels(np.zeros((0, 3)), CAMERA, POSE, np.ones((48, 64)), 0.1, 0.1).shape == (0,)
    with pytest.raises(ValueError, match="do not fit"):
        visible_pixels(np.zeros((3, 3)), CAMERA, POSE, np.ones((10, 10)), 0.1, 0.1)

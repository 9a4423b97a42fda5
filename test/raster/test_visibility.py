"""The compiled visibility kernel agrees with projection in double precision."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ig_ros.geometry import inverse, pose_from_quaternion, project, transform
from ig_ros.raster import DepthView, PointVisibility, ViewProjection, believe_loose, visible_pixels
from ig_ros.raster.visibility import LOOSE
from ig_ros.types import Camera, FloatArray, IntArray

CAMERA = Camera(np.array([[50.0, 0, 31.5], [0, 55.0, 23.0], [0, 0, 1]]), 64, 48)
POSE = pose_from_quaternion(np.array([0.3, -0.2, 0.5]), np.array([0.9, 0.1, -0.2, 0.3]))


def slow(
    points: FloatArray, depth: FloatArray, relative: float, absolute: float, quadratic: float, least: float
) -> tuple[IntArray, FloatArray]:
    """Pixel or -1 of every point, and how far it is from changing: in pixels and metres, whichever is less."""
    uv, z = project(transform(inverse(POSE), points), CAMERA)
    inside = (z > 0.05) & (uv >= 0).all(1) & (uv[:, 0] < CAMERA.width) & (uv[:, 1] < CAMERA.height)
    cols, rows = np.where(inside[:, None], uv, 0).astype(int).T
    surface = depth[rows, cols]
    gap = np.minimum(relative * z, np.maximum(quadratic * z * z, least)) + absolute - np.abs(z - surface)
    pixel = np.where(inside & (surface > 0) & (gap >= 0), rows * CAMERA.width + cols, -1)
    margin = np.minimum(np.abs(uv - np.round(uv)).min(1), np.abs(gap))
    return pixel, np.minimum(margin, np.abs(z - 0.05))


@pytest.mark.parametrize(("quadratic", "least"), [(np.inf, 0.0), (0.05, 0.0), (0.03, 0.1)])
def test_agrees_with_projection_in_double_precision(quadratic: float, least: float) -> None:
    random = np.random.default_rng(0)
    points = transform(POSE, random.uniform([-2, -2, -1], [2, 2, 4], (5000, 3)))
    depth = random.uniform(0.5, 4, (48, 64))
    depth[random.random(depth.shape) < 0.2] = 0
    expected, margin = slow(points, depth, 0.1, 0.3, quadratic, least)
    found = visible_pixels(points, DepthView(CAMERA, POSE, depth, 0.1, 0.3, quadratic, least))
    clear = margin > 1e-4
    assert clear.mean() > 0.95
    assert (expected[clear] >= 0).sum() > 100
    np.testing.assert_array_equal(found[clear], expected[clear])


def test_points_that_are_no_numbers_are_hidden() -> None:
    points = np.array([[np.nan, 0, 1], [np.inf, 0, 1], [0, 0, -np.inf]])
    assert (visible_pixels(points, DepthView(CAMERA, np.eye(4), np.ones((48, 64)), 0.1, 10.0)) == -1).all()


def test_no_points_and_wrong_sizes() -> None:
    assert visible_pixels(np.zeros((0, 3)), DepthView(CAMERA, POSE, np.ones((48, 64)), 0.1, 0.1)).shape == (0,)
    with pytest.raises(ValueError, match="does not fit"):
        visible_pixels(np.zeros((3, 3)), DepthView(CAMERA, POSE, np.ones((10, 10)), 0.1, 0.1))


def test_points_get_what_the_pixel_says_that_shows_them() -> None:
    random = np.random.default_rng(1)
    xyz = transform(POSE, random.uniform([-2, -2, -1], [2, 2, 4], (2000, 3))).astype(np.float32)
    surface = DepthView(CAMERA, POSE, random.uniform(0.5, 4, (48, 64)), 0.1, 0.3)
    place = random.integers(0, 4, 48 * 64).astype(np.int32)
    normal = random.integers(-127, 128, (48 * 64, 3)).astype(np.int8)
    start = random.integers(-5, 5, (len(xyz), 3)).astype(np.int32)
    known = PointVisibility(xyz, start.copy(), np.ones(len(xyz), np.int32))
    mask = np.full(len(xyz), -1, np.int32)
    known.add([ViewProjection(surface, normal, place, 10, mask)], 0.5)

    pixel = visible_pixels(xyz, surface)
    shown = pixel >= 0
    assert 50 < shown.sum() < len(xyz)
    np.testing.assert_array_equal(mask[~shown], -1)
    tight = dataclasses.replace(surface, relative=0.05, absolute=0.15)  # half of each
    close = shown & (visible_pixels(xyz, tight) >= 0)
    assert 0.2 < close.sum() / shown.sum() < 0.8
    plain = np.where(place[pixel] > 0, place[pixel] + 10, 0)
    np.testing.assert_array_equal(mask[close], plain[close])
    loose = shown & ~close
    np.testing.assert_array_equal(mask[loose], LOOSE - plain[loose])
    np.testing.assert_array_equal(known.closely, 1 + close)
    want = start.copy()
    want[shown] += normal[pixel[shown]]
    np.testing.assert_array_equal(known.total, want)

    table = mask[None].copy()
    believe_loose(table, np.flatnonzero(loose)[::2])
    assert (table[0, loose][::2] >= 0).all()
    assert (table[0, loose][1::2] <= LOOSE).all()
    np.testing.assert_array_equal(table[0, loose][::2], plain[loose][::2])
    np.testing.assert_array_equal(table[0, ~loose], mask[~loose])

"""Touching sub-objects and the surface between them."""

from __future__ import annotations

import numpy as np
import pytest

from ig_ros.config import InstanceConfig
from ig_ros.instances.observation import observe_gaussians, prepare_views
from ig_ros.instances.region_graph import find_boundaries
from ig_ros.instances.visibility import LabelledView
from ig_ros.types import Camera, FloatArray

CONFIG = InstanceConfig()
VOXEL = CONFIG.voxel
UP, SIDE = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])


def grid(n: int = 12) -> FloatArray:
    """(n * n, 2) points one voxel apart, centred between voxel borders."""
    steps = (np.arange(n) + 0.5) * VOXEL
    return np.stack(np.meshgrid(steps, steps), axis=2).reshape(-1, 2)


def corner(second_normal: FloatArray, sign: float) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """A floor (x < 0) and a wall at x = 0 going up (sign 1: a concave corner) or down (-1: a convex edge)."""
    flat = grid()
    floor = np.stack([-flat[:, 0], flat[:, 1], np.zeros(len(flat))], axis=1)
    wall = np.stack([np.zeros(len(flat)), flat[:, 1], sign * flat[:, 0]], axis=1)
    normal = np.concatenate([np.tile(UP, (len(flat), 1)), np.tile(second_normal, (len(flat), 1))])
    return np.concatenate([floor, wall]), normal, np.repeat([0, 1], len(flat))


def smoothness(xyz: FloatArray, normal: FloatArray, color: FloatArray, labels: np.ndarray) -> float:
    found = find_boundaries(xyz, normal, color, np.full(len(xyz), 2 * VOXEL), labels, CONFIG)
    assert found.pairs.tolist() == [[0, 1]]
    return float(found.smooth[0] / found.length[0])


def test_a_thing_on_its_support_meets_it_in_a_crease_and_an_edge_is_no_crease() -> None:
    for normal, sign in ((-SIDE, 1.0), (SIDE, -1.0)):
        xyz, normals, labels = corner(normal, sign)
        smooth = smoothness(xyz, normals, np.full_like(xyz, 0.5), labels)
        assert smooth < 0.2 if sign > 0 else smooth > 0.8


def test_a_plane_goes_on_unless_its_colour_changes() -> None:
    flat = grid()
    xyz = np.column_stack([flat, np.zeros(len(flat))])
    labels = (flat[:, 0] > flat[:, 0].mean()).astype(np.int64)
    normal, gray = np.tile(UP, (len(flat), 1)), np.full_like(xyz, 0.5)
    assert smoothness(xyz, normal, gray, labels) > 0.9
    assert smoothness(xyz, normal, np.where(labels[:, None] > 0, 0.9, gray), labels) < 0.1


def test_only_what_is_within_reach_touches() -> None:
    x = np.array([0.0, 0.03, 0.2])
    xyz = np.stack([x, 0 * x, 0 * x], axis=1)
    normal = np.tile(UP, (3, 1))
    pairs = [
        find_boundaries(xyz, normal, xyz, np.full(3, reach), np.arange(3), CONFIG).pairs.tolist()
        for reach in (0.04, 0.4)
    ]
    assert pairs == [[[0, 1]], [[0, 1], [0, 2], [1, 2]]]


def test_pairs_are_the_same_whatever_the_order_of_the_points() -> None:
    random = np.random.default_rng(3)
    xyz = random.random((300, 3)) * 0.3
    labels = (xyz[:, 0] * 20).astype(np.int64)
    normal = np.tile(UP, (300, 1))
    order = random.permutation(300)
    reach = np.full(300, 0.05)
    a = find_boundaries(xyz, normal, xyz, reach, labels, CONFIG)
    b = find_boundaries(xyz[order], normal, xyz[order], reach, labels[order], CONFIG)
    assert a.pairs.tolist() == b.pairs.tolist()
    np.testing.assert_allclose(a.smooth, b.smooth, rtol=1e-6)


@pytest.mark.parametrize("tilt", [0.0, 20.0, 40.0])
def test_normals_of_a_tilted_plane_point_at_the_camera(tilt: float) -> None:
    """Camera at the origin looking along z, a plane one metre ahead turned about y."""
    camera = Camera(np.array([[100.0, 0, 40], [0, 100.0, 30], [0, 0, 1]]), 80, 60)
    normal = np.array([np.sin(np.radians(tilt)), 0.0, -np.cos(np.radians(tilt))])
    cols, rows = np.meshgrid(np.arange(80), np.arange(60))
    rays = np.stack([(cols - 40) / 100, (rows - 30) / 100, np.ones(cols.shape)], axis=2)
    depth = normal[2] / (rays @ normal)
    view = LabelledView(camera, np.eye(4), np.zeros(depth.shape, np.int32), depth.astype(np.float32))
    points = (rays * depth[..., None])[5:-5:7, 5:-5:7].reshape(-1, 3)
    seen = observe_gaussians(points, prepare_views([view], [], 0.03), 0.03, 2)
    angle = np.degrees(np.arccos(np.clip(seen.normal @ normal, -1, 1)))
    assert angle.max() < 2.0


def test_unseen_points_have_no_normal() -> None:
    assert (observe_gaussians(np.ones((4, 3)), [], 0.03, 2).normal == 0).all()

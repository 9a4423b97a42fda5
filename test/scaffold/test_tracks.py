"""Depth from posed pictures alone, against the exact depth of a textured plane."""

from __future__ import annotations

import dataclasses

import numpy as np
from helpers import ground_frame, look_at

from ig_ros.config import InputConfig, SeedingConfig
from ig_ros.scaffold.keyframes import Keyframe, make_keyframe
from ig_ros.scaffold.tracks import choose_partners, estimate_depth, triangulate
from ig_ros.types import Camera

CAMERA = Camera(np.array([[160.0, 0, 96], [0, 160.0, 72], [0, 0, 1]]), 192, 144)
CONFIG = SeedingConfig()
BORDER = 12  # px


def view(uid: int, x: float, y: float = -0.4, height: float = 0.9) -> tuple[Keyframe, np.ndarray]:
    """A keyframe without depth that looks at the ground beside it, and its exact depth."""
    frame = ground_frame(look_at((x, y, height), (x * 0.5, 0.0, 0.0)), uid, camera=CAMERA)
    assert frame.depth is not None
    return make_keyframe(uid, dataclasses.replace(frame, depth=None), InputConfig()), frame.depth


def inside(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Away from the border of the picture, where half of what the flow looks at is missing."""
    return (np.minimum(rows, CAMERA.height - 1 - rows) >= BORDER) & (
        np.minimum(cols, CAMERA.width - 1 - cols) >= BORDER
    )


def test_triangulated_depth_is_right_within_two_percent() -> None:
    new, truth = view(1, 0.12)
    old, _ = view(0, 0.0)
    points = triangulate(new, old, CONFIG)
    rows, cols = points.pixels.T
    assert len(rows) > 0.5 * truth.size / CONFIG.stride**2
    relative = np.abs(points.depth - truth[rows, cols]) / truth[rows, cols]
    inner = inside(rows, cols)
    assert np.median(relative[inner]) < 0.01
    assert np.percentile(relative[inner], 95) < 0.02
    assert np.percentile(relative, 90) < 0.03
    assert np.abs(np.median(points.xyz[:, 2])) < 0.005
    assert (points.error < CONFIG.flow_max_error).all()


def test_several_partners_give_a_cleaner_and_unbiased_depth() -> None:
    views = [view(i, 0.1 * i) for i in range(5)]
    new, truth = views[2]
    partners = choose_partners([v for v, _ in views], 2)
    depth = estimate_depth(new, partners, CONFIG)
    known = (depth > 0) & inside(*np.indices(depth.shape))
    assert depth.shape == truth.shape
    assert known.sum() > 0.5 * truth.size / CONFIG.stride**2
    error = (depth[known] - truth[known]) / truth[known]
    assert np.percentile(np.abs(error), 95) < 0.02
    assert abs(np.median(error)) < 0.005


def test_no_parallax_no_points() -> None:
    new, _ = view(1, 0.0)
    old, _ = view(0, 0.0)
    assert len(triangulate(new, old, CONFIG).pixels) == 0
    assert not estimate_depth(new, [old, old], CONFIG).any()


def test_one_partner_is_not_enough_to_agree() -> None:
    assert not estimate_depth(view(1, 0.1)[0], [view(0, 0.0)[0]], CONFIG).any()
    assert not estimate_depth(view(1, 0.1)[0], [], CONFIG).any()


def test_a_wrong_pose_yields_hardly_any_points() -> None:
    new, _ = view(1, 0.12)
    old, _ = view(0, 0.0)
    lifted = old.T_world_camera.copy()
    lifted[:3, 3] += lifted[:3, 1] * 0.2  # across the epipolar lines
    wrong = dataclasses.replace(old, T_world_camera=lifted)
    right, misled = (len(triangulate(new, o, CONFIG).pixels) for o in (old, wrong))
    assert misled < 0.1 * right


def test_partners_look_the_same_way_from_another_spot() -> None:
    views = [view(i, x)[0] for i, x in enumerate((0.0, 0.001, 0.15, 1.2))]
    turned = dataclasses.replace(view(4, 0.15)[0])
    turned.T_world_camera = turned.T_world_camera @ np.diag([-1.0, -1, 1, 1])
    partners = choose_partners([*views, turned], 0)
    assert [p.uid for p in partners][:1] == [2]
    assert 1 not in {p.uid for p in partners}  # hardly any baseline
    assert 4 not in {p.uid for p in partners}  # upside down
    assert 0 not in {p.uid for p in partners}

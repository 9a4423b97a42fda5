"""Depth from posed pictures alone, against the exact depth of a textured ground and of a box before a wall."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from helpers import ground_frame, look_at

from ig_ros.config import InputConfig, SeedingConfig
from ig_ros.scaffold.keyframes import Keyframe, make_keyframe
from ig_ros.scaffold.multiview_stereo import choose_partners, estimate_depth
from ig_ros.scaffold.seeding import STRIDE
from ig_ros.types import Camera, Frame

CAMERA = Camera(np.array([[160.0, 0, 96], [0, 160.0, 72], [0, 0, 1]]), 192, 144)
CONFIG = SeedingConfig()
WALL, BOX = 2.0, 1.0  # m, depth of the wall and of the plate before it
PLATE = 0.15  # m, half its width


def view(uid: int, x: float, y: float = -0.4, height: float = 0.9) -> tuple[Keyframe, np.ndarray]:
    """A keyframe without depth that looks at the ground beside it, and its exact depth."""
    frame = ground_frame(look_at((x, y, height), (x * 0.5, 0.0, 0.0)), uid, camera=CAMERA)
    assert frame.depth is not None
    return make_keyframe(uid, dataclasses.replace(frame, depth=None), InputConfig()), frame.depth


def plate_view(uid: int, x: float) -> tuple[Keyframe, np.ndarray]:
    """A camera at (x, 0, 0) looking along z at a textured plate before a textured wall, and the exact depth."""
    rows, cols = np.indices((CAMERA.height, CAMERA.width)) + 0.5
    u, v = (cols - CAMERA.K[0, 2]) / CAMERA.K[0, 0], (rows - CAMERA.K[1, 2]) / CAMERA.K[1, 1]
    on_plate = (np.abs(u * BOX + x) < PLATE) & (np.abs(v * BOX) < PLATE)
    depth = np.where(on_plate, BOX, WALL).astype(np.float32)
    random = np.random.default_rng(3)
    texture = cv2.GaussianBlur(random.uniform(0, 255, (512, 512, 3)).astype(np.float32), (0, 0), 2.0)
    texture = np.clip((texture - 127) * 4 + 127, 0, 255)
    at = [((c * depth + s) * 100 + 256).astype(np.float32) for c, s in ((u, x), (v, 0.0))]
    rgb = cv2.remap(texture, at[0], at[1] + on_plate.astype(np.float32) * 97, cv2.INTER_LINEAR)
    T = np.eye(4)
    T[0, 3] = x
    return make_keyframe(uid, Frame(uid, rgb.astype(np.uint8), CAMERA, T), InputConfig()), depth


def relative_error(depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
    known = depth > 0
    return np.asarray((depth[known] - truth[known]) / truth[known])


def test_depth_is_dense_unbiased_and_within_two_percent() -> None:
    views = [view(i, 0.1 * i) for i in range(5)]
    new, truth = views[2]
    depth = estimate_depth(new, choose_partners([v for v, _ in views], 2), CONFIG)
    error = relative_error(depth, truth)
    assert depth.shape == truth.shape
    assert len(error) > 0.7 * truth.size / STRIDE**2
    assert np.percentile(np.abs(error), 95) < 0.02
    assert abs(np.median(error)) < 0.005


def test_background_beside_an_edge_keeps_its_own_depth() -> None:
    views = [plate_view(i, 0.08 * (i - 2)) for i in range(5)]
    new, truth = views[2]
    depth = estimate_depth(new, choose_partners([v for v, _ in views], 2), CONFIG)
    plate = (truth == BOX).astype(np.uint8)
    ring = (cv2.dilate(plate, np.ones((21, 21), np.uint8)) > 0) & (cv2.dilate(plate, np.ones((7, 7), np.uint8)) == 0)
    beside = depth[ring & (depth > 0)]
    assert len(beside) > 0.5 * ring.sum() / STRIDE**2
    assert (np.abs(beside - WALL) < 0.05 * WALL).mean() > 0.95
    inner = depth[(cv2.erode(plate, np.ones((5, 5), np.uint8)) > 0) & (depth > 0)]
    assert (np.abs(inner - BOX) < 0.03 * BOX).mean() > 0.97


def test_a_picture_without_texture_has_hardly_any_depth() -> None:
    views = [view(i, 0.1 * i)[0] for i in range(4)]
    bare = [dataclasses.replace(v, rgb=v.rgb * 0 + 90) for v in views]
    depth = estimate_depth(bare[1], [bare[0], bare[2], bare[3]], CONFIG)
    assert (depth > 0).sum() < 0.04 * depth.size / STRIDE**2  # corners that few hypotheses see


def test_no_parallax_no_depth() -> None:
    new, _ = view(1, 0.0)
    old, _ = view(0, 0.0)
    assert not estimate_depth(new, [old, old], CONFIG).any()
    aside, _ = view(2, 0.004)
    assert not estimate_depth(new, [aside, aside], CONFIG).any()


def test_one_partner_is_not_enough() -> None:
    assert not estimate_depth(view(1, 0.1)[0], [view(0, 0.0)[0]], CONFIG).any()
    assert not estimate_depth(view(1, 0.1)[0], [], CONFIG).any()


def test_wrong_poses_yield_less_depth() -> None:
    views = [view(i, 0.1 * i)[0] for i in range(3)]
    wrong = []
    for old in (views[0], views[2]):
        lifted = old.T_world_camera.copy()
        lifted[:3, 3] += lifted[:3, 1] * 0.2  # across the epipolar lines
        wrong.append(dataclasses.replace(old, T_world_camera=lifted))
    right, misled = ((estimate_depth(views[1], p, CONFIG) > 0).sum() for p in ([views[0], views[2]], wrong))
    assert misled < 0.3 * right


def test_partners_look_the_same_way_from_another_spot() -> None:
    views = [view(i, x)[0] for i, x in enumerate((0.0, 0.001, 0.15, 1.2))]
    turned = dataclasses.replace(view(4, 0.15)[0])
    turned.T_world_camera = turned.T_world_camera @ np.diag([-1.0, -1, 1, 1])
    partners = choose_partners([*views, turned], 0)
    assert [p.uid for p in partners][:1] == [2]
    assert 1 not in {p.uid for p in partners}  # hardly any baseline
    assert 4 not in {p.uid for p in partners}  # upside down
    assert 0 not in {p.uid for p in partners}

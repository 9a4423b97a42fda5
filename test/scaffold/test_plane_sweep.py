"""The plane sweep's costs: lowest at the truth, whatever hides in one view, neutral where nobody looks."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from helpers import ground_frame, look_at

from ig_ros.config import InputConfig
from ig_ros.scaffold.keyframes import Keyframe, make_keyframe
from ig_ros.scaffold.multiview_stereo import TRUNCATION, Sweep
from ig_ros.types import Camera

CAMERA = Camera(np.array([[160.0, 0, 96], [0, 160.0, 72], [0, 0, 1]]), 192, 144)


def down(uid: int, x: float) -> tuple[Keyframe, np.ndarray]:
    """A keyframe 1 m above the ground that looks straight down: one inverse depth fits it all."""
    T = np.diag([1.0, -1.0, -1.0, 1.0])
    T[:3, 3] = x, 0.0, 1.0
    frame = ground_frame(T, uid, camera=CAMERA)
    assert frame.depth is not None
    return make_keyframe(uid, dataclasses.replace(frame, depth=None), InputConfig()), frame.depth


def test_the_true_plane_costs_least() -> None:
    new, truth = down(0, 0.0)
    assert np.allclose(truth, 1.0, atol=1e-3)
    sweep = Sweep(new, [down(1, 0.1)[0], down(2, -0.1)[0]], stride=2)
    inverse_depths = (0.6, 0.8, 1.0, 1.25, 1.6)
    costs = np.stack([sweep.cost(r) for r in inverse_depths])
    textured = costs.max(0) > 20
    assert textured.sum() > 200
    assert (costs.argmin(0) == 2)[textured].mean() > 0.97


def test_a_map_of_one_depth_costs_what_its_plane_costs() -> None:
    sweep = Sweep(down(0, 0.0)[0], [down(1, 0.1)[0], down(2, -0.13)[0]], stride=2)
    flat = np.full(sweep.shape, 0.9, np.float32)
    difference = np.abs(sweep.cost_of(flat) - sweep.cost(0.9))
    assert np.percentile(difference, 95) <= 2.0


def test_what_one_partner_cannot_see_two_others_explain() -> None:
    new, others = down(0, 0.0)[0], [down(i, x)[0] for i, x in ((1, 0.1), (2, -0.1), (3, 0.05))]
    open_view = Sweep(new, others[:2], 2).cost(1.0)
    both_see = (slice(None), slice(12, -12))
    blocked = dataclasses.replace(others[2], rgb=torch.zeros_like(others[2].rgb))
    assert (Sweep(new, [*others[:2], blocked], 2).cost(1.0) <= open_view + 1e-6)[both_see].all()
    alone = Sweep(new, [blocked, blocked], 2).cost(1.0)
    assert np.median(alone[both_see]) > np.median(open_view[both_see])


def test_outside_every_picture_the_cost_is_neutral() -> None:
    new = down(0, 0.0)[0]
    away = [down(1, 5.0)[0], down(2, 6.0)[0]]
    assert (Sweep(new, away, 2).cost(1.0) == TRUNCATION).all()


def test_channels_follow_a_tilted_pair() -> None:
    pose_a, pose_b = look_at((0.0, -0.4, 0.9), (0.0, 0.0, 0.0)), look_at((0.12, -0.4, 0.9), (0.06, 0.0, 0.0))
    frames = [ground_frame(T, i, camera=CAMERA) for i, T in enumerate((pose_a, pose_b, pose_b))]
    keyframes = [make_keyframe(f.index, dataclasses.replace(f, depth=None), InputConfig()) for f in frames]
    assert frames[0].depth is not None
    truth = 1.0 / frames[0].depth[::2, ::2]
    sweep = Sweep(keyframes[0], keyframes[1:], 2)
    inner = (slice(8, -8), slice(8, -8))
    right, wrong = sweep.cost_of(truth)[inner], sweep.cost_of(truth * 1.2)[inner]
    assert np.median(right) < 0.5 * np.median(wrong)

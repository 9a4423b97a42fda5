"""What a keyframe keeps of its frame, which keyframes are replayed and which are forgotten."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers import CAMERA, ground_frame, look_at
from scipy.spatial.transform import Rotation

from ig_ros.config import InputConfig, KeyframeConfig, TrainingConfig
from ig_ros.scaffold.keyframes import RECENT, KeyframeStore, make_keyframe, newest
from ig_ros.types import Camera, Frame, Masks

BLANK = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)


def frame(x: float = 0.0, yaw: float = 0.0, stamp: float = 0.0) -> Frame:
    """A black picture at x (m), turned by yaw (deg) about the vertical, at stamp (s)."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("y", yaw, degrees=True).as_matrix()
    T[0, 3] = x
    return Frame(int(stamp * 1e9), BLANK, CAMERA, T)


def test_frames_are_reduced_and_bad_depth_is_blanked() -> None:
    pose = look_at((0.0, -0.3, 0.9), (0.0, 0.0, 0.0))
    full = ground_frame(pose)
    assert full.depth is not None
    spoilt = full.depth.copy()
    spoilt[:10, :10], spoilt[10:20, :10], spoilt[20:30, :10] = np.nan, 0.05, 50.0
    spoilt[30:40, :10] = np.inf
    keyframe = make_keyframe(1, dataclasses.replace(full, depth=spoilt), InputConfig(max_width=64))
    assert (keyframe.camera.width, keyframe.camera.height) == (64, 48)
    assert keyframe.camera.K[0, 0] == pytest.approx(CAMERA.K[0, 0] * 64 / 96)
    assert tuple(keyframe.rgb.shape) == (48, 64, 3)
    assert keyframe.depth is not None
    depth = keyframe.depth.float().numpy()
    assert np.isfinite(depth).all()
    assert not depth[:26, :6].any()
    assert (depth[:, 7:] > 0.1).all()
    assert keyframe.labels is not None
    assert set(np.unique(keyframe.labels.numpy())) == {0, 1, 2}
    assert keyframe.masks is not None
    assert keyframe.masks.names == {1: "red card", 2: "blue card"}


def test_small_images_are_not_enlarged_and_depth_can_be_switched_off() -> None:
    keyframe = make_keyframe(1, ground_frame(look_at((0, -0.3, 0.9), (0, 0, 0))), InputConfig(use_depth=False))
    assert keyframe.camera == CAMERA
    assert keyframe.depth is None


def test_masks_that_come_late_are_reduced_too() -> None:
    camera = Camera(np.diag([100.0, 100, 1]), 96, 72)
    keyframe = make_keyframe(1, Frame(0, BLANK, camera, np.eye(4)), InputConfig(max_width=64))
    labels = np.zeros((72, 96), np.int32)
    labels[:, 48:] = 70000
    keyframe.set_masks(Masks(labels, {70000: "wall"}))
    assert keyframe.labels is not None
    assert tuple(keyframe.labels.shape) == (48, 64)
    assert (keyframe.labels[:, 32:] == 70000).all()
    assert not keyframe.labels[:, :32].any()


@pytest.mark.parametrize("background", [0, 5])
def test_huge_mask_ids_are_renumbered_with_all_that_is_said_of_them(background: int) -> None:
    labels = np.full((CAMERA.height, CAMERA.width), background, np.int32)
    labels[:10, :10], labels[-10:, -10:] = 2**31 - 1, 3_000_000
    keyframe = make_keyframe(1, frame(), InputConfig())
    keyframe.set_masks(Masks(labels, {3_000_000: "mug", 3: "not there"}, {2**31 - 1: 0.5}))
    assert keyframe.labels is not None
    assert keyframe.masks is not None
    small = keyframe.labels.numpy()
    np.testing.assert_array_equal(small, keyframe.masks.labels)
    assert small.max() <= 3
    assert len(np.unique(np.stack([small.ravel(), labels.ravel()]), axis=1).T) == 3, "one to one"
    assert (small == 0).any() == (background == 0)
    assert keyframe.masks.names == {int(small[-1, -1]): "mug"}
    assert keyframe.masks.scores == {int(small[0, 0]): 0.5}


def test_when_full_the_redundant_inner_view_goes_and_uids_go_on() -> None:
    store = KeyframeStore(KeyframeConfig(capacity=4))
    for x in (0.0, 1.0, 1.1, 2.0):
        store.add(frame(x), InputConfig())
    newest = store.add(frame(3.0), InputConfig())
    assert len(store) == 4
    kept = [float(k.T_world_camera[0, 3]) for k in store.items]
    assert kept in ([0.0, 1.0, 2.0, 3.0], [0.0, 1.1, 2.0, 3.0])
    assert newest.uid == 4
    assert store.items[-1] is newest
    for i in range(20):
        last = store.add(frame(4.0 + i), InputConfig())
        assert len(store) == 4
        assert store.items[-1] is last
        assert len({k.uid for k in store.items}) == 4
    assert store.items[0].uid == 0  # the first view has no neighbour before it that could replace it


def filled(n: int) -> KeyframeStore:
    store = KeyframeStore(KeyframeConfig())
    for i in range(n):
        store.add(frame(float(i)), InputConfig())
    return store


def test_the_recent_share_of_replay_is_honoured() -> None:
    store, rng = filled(50), np.random.default_rng(0)
    config = TrainingConfig(replay_recent=0.4, replay_hard=0.0)
    picks = [store.choose(0, config, rng).uid for _ in range(4000)]
    expected = 0.4 + 0.6 * RECENT / 50
    assert np.mean([p >= 50 - RECENT for p in picks]) == pytest.approx(expected, abs=0.04)
    assert len(set(picks)) == 50


def test_the_hard_share_goes_to_high_loss_and_to_the_forgotten() -> None:
    store, rng = filled(20), np.random.default_rng(0)
    config = TrainingConfig(replay_recent=0.0, replay_hard=1.0)
    for k in store.items:
        k.loss, k.last_used = 0.1, 100
    store.items[3].loss = 1.0
    picks = [store.choose(100, config, rng).uid for _ in range(200)]
    assert np.mean([p == 3 for p in picks]) > 0.9
    store.items[3].loss = 0.1
    store.items[8].last_used = -400
    picks = [store.choose(100, config, rng).uid for _ in range(200)]
    assert np.mean([p == 8 for p in picks]) > 0.9


def test_a_corridor_driven_again_and_again_stays_covered() -> None:
    store = KeyframeStore(KeyframeConfig(capacity=30))
    for trip in range(6):
        for x in np.linspace(0.0, 10.0, 21)[:: 1 if trip % 2 == 0 else -1]:
            store.add(frame(x), InputConfig())
    where = np.sort([float(k.T_world_camera[0, 3]) for k in store.items])
    assert len(store) == 30
    assert np.diff(where, prepend=0.0, append=10.0).max() <= 1.0  # no stretch was given up
    assert [k.uid for k in store.items[-10:]] == list(range(116, 126))  # and the newest are all there


def test_keyframes_that_miss_something_sleep_unless_all_do() -> None:
    store, rng = filled(4), np.random.default_rng(0)
    store.items[1].missing = {7}
    assert [k.uid for k in store.awake()] == [0, 2, 3]
    config = TrainingConfig()
    assert {store.choose(i, config, rng).uid for i in range(100)} == {0, 2, 3}
    for k in store.items:
        k.missing = {7}
    assert [k.uid for k in store.awake()] == [0, 1, 2, 3]


def test_a_keyframe_whose_masks_came_late_is_not_the_newest_and_a_clock_that_started_again_is() -> None:
    store = KeyframeStore(KeyframeConfig())
    for x, stamp in enumerate((100.0, 102.5, 101.0)):
        store.add(frame(0.1 * x, stamp=stamp), InputConfig())
    assert newest(store.items).stamp == 102_500_000_000
    store.add(frame(0.5, stamp=1.0), InputConfig())
    assert newest(store.items).stamp == 1_000_000_000

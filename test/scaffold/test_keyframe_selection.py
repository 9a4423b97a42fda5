"""Which frames become keyframes: those that moved or show new ground, and are sharp; never those that jumped."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from helpers import CAMERA, ground_frame, look_at
from scipy.spatial.transform import Rotation

from ig_ros.config import KeyframeConfig
from ig_ros.errors import FrameError
from ig_ros.scaffold.keyframe_selection import BLUR_PATIENCE, KeyframeGate, SeenArea, Verdict, laplacian_variance
from ig_ros.types import Frame, Masks

GATE = KeyframeConfig(min_translation=0.05, min_rotation=5.0, max_speed=2.0)
BLANK = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)


def frame(x: float = 0.0, yaw: float = 0.0, stamp: float = 0.0) -> Frame:
    """A black picture at x (m), turned by yaw (deg) about the vertical, at stamp (s)."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("y", yaw, degrees=True).as_matrix()
    T[0, 3] = x
    return Frame(int(stamp * 1e9), BLANK, CAMERA, T)


def ground(x: float, number: int, blur: float = 0.0, plain: float = 1.0) -> Frame:
    """The ground from above x (m), out of focus by a Gaussian of `blur` px, with its contrast reduced to `plain`."""
    taken = ground_frame(look_at((x, -0.2, 0.9), (x, 0.0, 0.0)), number)
    rgb = cv2.GaussianBlur(taken.rgb, (0, 0), blur) if blur else taken.rgb
    return dataclasses.replace(taken, rgb=(128 + plain * (rgb.astype(np.float32) - 128)).astype(np.uint8))


def test_the_gate_opens_on_motion_or_rotation_since_the_last_keyframe() -> None:
    gate = KeyframeGate(GATE, 320)
    assert gate.admit(frame())
    assert not gate.admit(frame(0.03, stamp=0.1))
    assert not gate.admit(frame(0.049, stamp=0.2))  # measured from the keyframe, not from the last frame
    assert gate.admit(frame(0.051, stamp=0.3))
    assert not gate.admit(frame(0.051, yaw=4.9, stamp=0.4))
    assert gate.admit(frame(0.051, yaw=5.1, stamp=0.5))
    assert not gate.admit(frame(0.051, yaw=5.1, stamp=0.6))


def test_a_jump_is_refused_by_name_and_the_old_track_goes_on() -> None:
    gate = KeyframeGate(GATE, 320)
    gate.admit(frame(stamp=0.0))
    with pytest.raises(FrameError, match=r"max_speed") as caught:
        gate.admit(frame(5.0, stamp=0.1))
    assert caught.value.cause == "pose_jump"
    assert gate.admit(frame(0.06, stamp=0.2))
    with pytest.raises(FrameError):  # the suspicion was forgotten: a second, lone jump is refused again
        gate.admit(frame(5.0, stamp=0.3))


def test_a_jump_that_stays_is_believed() -> None:
    gate = KeyframeGate(GATE, 320)
    gate.admit(frame(stamp=0.0))
    with pytest.raises(FrameError):
        gate.admit(frame(5.0, stamp=0.1))
    assert gate.admit(frame(5.02, stamp=0.2))
    assert gate.admit(frame(5.1, stamp=0.3))
    with pytest.raises(FrameError):
        gate.admit(frame(0.0, stamp=0.4))


def test_poses_that_scatter_are_never_believed() -> None:
    gate = KeyframeGate(GATE, 320)
    gate.admit(frame(stamp=0.0))
    for i, x in enumerate((5.0, -7.0, 20.0, -30.0)):
        with pytest.raises(FrameError):
            gate.admit(frame(x, stamp=0.1 * (i + 1)))


def test_fast_but_possible_motion_passes() -> None:
    gate = KeyframeGate(GATE, 320)
    gate.admit(frame(stamp=0.0))
    assert gate.admit(frame(1.9, stamp=1.0))


def wall(depth: float, near: float | None = None) -> Frame:
    """A wall at `depth` (m) before a standing camera, its left third at `near` (m) instead."""
    image = np.full((CAMERA.height, CAMERA.width), depth, np.float32)
    if near is not None:
        image[:, : CAMERA.width // 3] = near
    return dataclasses.replace(frame(), depth=image)


def test_a_standing_camera_keeps_what_shows_new_ground_once() -> None:
    gate = KeyframeGate(GATE, 320)
    assert gate.admit(wall(3.0))
    assert not gate.admit(wall(3.05))
    assert gate.admit(wall(3.0, near=1.5))  # a door opened
    assert not gate.admit(wall(3.0, near=1.52))
    assert not gate.admit(wall(3.0))
    assert gate.admit(wall(5.0))
    gate.forget_area()
    assert gate.admit(wall(5.0))
    by_motion_alone = KeyframeGate(dataclasses.replace(GATE, new_area=1.0), 320)
    assert [by_motion_alone.admit(f) for f in (wall(3.0), wall(3.0, near=1.5), wall(5.0))] == [True, False, False]


def test_the_new_share_is_that_of_the_pixels_on_new_ground() -> None:
    area = SeenArea(GATE.capacity)
    assert area.new_share(wall(2.0)) == 1.0
    assert area.new_share(frame()) == 0.0  # without depth nothing is known
    area.add(wall(2.0))
    assert area.new_share(wall(2.0)) == 0.0
    assert area.new_share(wall(2.0, near=1.0)) == pytest.approx(1 / 3, abs=0.04)
    sparse = dataclasses.replace(frame(), depth=np.zeros((CAMERA.height, CAMERA.width), np.float32))
    assert area.new_share(sparse) == 0.0
    area.add(sparse)


def test_a_blurred_picture_waits_for_a_sharp_one() -> None:
    gate = KeyframeGate(GATE, 320)
    verdicts = [gate.judge(ground(0.06 * i, i, blur=3.0 if i == 4 else 0.0)) for i in range(7)]
    assert [v is Verdict.BLURRED for v in verdicts] == [i == 4 for i in range(7)]
    assert verdicts.count(Verdict.KEYFRAME) == 6
    standing = gate.judge(ground(0.36, 7, blur=3.0))
    assert standing is Verdict.NOT_NEW  # the gate asks for sharpness only where it would take the picture


def test_where_all_is_blurred_some_are_taken() -> None:
    gate = KeyframeGate(GATE, 320)
    for i in range(4):
        gate.judge(ground(0.06 * i, i))
    verdicts = [gate.judge(ground(0.06 * i, i, blur=3.0)) for i in range(4, 16)]
    patience = BLUR_PATIENCE
    assert verdicts[: patience + 1] == [Verdict.BLURRED] * patience + [Verdict.KEYFRAME]
    assert verdicts[-4:] == [Verdict.KEYFRAME] * 4  # by now the neighbours are as blurred


def test_plain_ground_is_not_blurred_ground_and_cameras_are_judged_apart() -> None:
    gate = KeyframeGate(GATE, 320)
    assert all(gate.admit(ground(0.06 * i, i, plain=1.0 - 0.1 * i)) for i in range(6))
    other = KeyframeGate(GATE, 320)
    for i in range(6):
        sharp = ground(0.06 * i, 2 * i)
        soft = dataclasses.replace(ground(0.06 * i, 2 * i + 1, blur=3.0), source="rear")
        assert laplacian_variance(soft.rgb, 320) < 0.1 * laplacian_variance(sharp.rgb, 320)
        assert other.admit(sharp)
        assert other.admit(soft)
    take_all = KeyframeGate(dataclasses.replace(GATE, blur_ratio=0.0), 320)
    assert all(take_all.admit(ground(0.06 * i, i, blur=3.0 * (i % 2))) for i in range(6))


def test_where_few_frames_have_masks_these_are_judged_by_the_last_keyframe_that_has_some() -> None:
    gate = KeyframeGate(GATE, 320)
    masks = Masks(np.zeros((CAMERA.height, CAMERA.width), np.int32))
    assert gate.admit(frame())
    assert gate.admit(dataclasses.replace(frame(0.01, stamp=0.1), masks=masks))  # the first with masks
    assert not gate.admit(dataclasses.replace(frame(0.03, stamp=0.2), masks=masks))
    assert gate.admit(frame(0.065, stamp=0.3))
    assert not gate.admit(frame(0.07, stamp=0.4))
    assert gate.admit(dataclasses.replace(frame(0.07, stamp=0.5), masks=masks))
    assert not gate.admit_masks(frame(0.1, stamp=0.6))
    assert gate.admit_masks(frame(0.13, stamp=0.7))
    assert not gate.admit_masks(frame(0.13, stamp=0.7))

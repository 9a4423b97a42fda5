"""Poses that drift are refined on what was measured before; what depth does not hold stays as it came."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from helpers import look_at, small_config
from scipy.spatial.transform import Rotation

from ig_ros.geometry import inverse
from ig_ros.mapper import Mapper
from ig_ros.scaffold.keyframes import Keyframe, make_keyframe
from ig_ros.scaffold.pose_correction import Correction
from ig_ros.scaffold.pose_refinement import MapCorrection, PoseRefiner, drift_warning
from ig_ros.types import Camera, FloatArray, Frame

CAMERA = Camera(np.array([[144.0, 0, 80], [0, 144, 60], [0, 0, 1]]), 160, 120)
BOXES = ((-0.2, -0.05, -0.1, 0.1, 0.3), (0.1, 0.25, -0.2, -0.05, 0.25), (0.0, 0.12, 0.15, 0.3, 0.2))  # x, x, y, y, top
Scene = Callable[[FloatArray, FloatArray], FloatArray]


def rays(T: FloatArray) -> tuple[FloatArray, FloatArray]:
    rows, cols = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width]
    d = np.stack([(cols + 0.5 - 80) / 144, (rows + 0.5 - 60) / 144, np.ones(rows.shape)], axis=2)
    return T[:3, 3], d @ T[:3, :3].T


def floor(eye: FloatArray, d: FloatArray) -> FloatArray:
    return np.asarray(-eye[2] / d[..., 2])


def table(eye: FloatArray, d: FloatArray) -> FloatArray:
    """A floor with boxes: every direction is held."""
    z = floor(eye, d)
    for x0, x1, y0, y1, top in BOXES:
        near, far = np.full(z.shape, -np.inf), np.full(z.shape, np.inf)
        for axis, (a, b) in enumerate(((x0, x1), (y0, y1), (0, top))):
            ends = np.sort(np.stack([(a - eye[axis]) / d[..., axis], (b - eye[axis]) / d[..., axis]]), axis=0)
            near, far = np.maximum(near, ends[0]), np.minimum(far, ends[1])
        z = np.where(near < far, np.minimum(z, near), z)
    return np.asarray(z)


def view(i: int, scene: Scene = table, T: FloatArray | None = None, depth: FloatArray | None = None) -> Frame:
    """What is seen from the i-th of some places, with the pose T (4, 4) instead of the true one."""
    true = place(i)
    seen = scene(*rays(true)).astype(np.float32) if depth is None else depth
    rgb = np.full((CAMERA.height, CAMERA.width, 3), 128, np.uint8)
    return Frame(i * 100_000_000, rgb, CAMERA, true if T is None else T, seen, None, i)


def place(i: int) -> FloatArray:
    return look_at((0.7 * np.sin(0.15 * i - 0.7), -0.7 * np.cos(0.15 * i - 0.7), 0.7), (0.0, 0.0, 0.1))


def motion(x: float = 0.02, degrees: float = 1.0) -> FloatArray:
    """A turn about the scene's middle and a shift along the floor."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [degrees, -degrees, degrees], degrees=True).as_matrix()
    T[:3, 3] = (x, -x / 2, x / 2)
    return T


def refined(frames: list[Frame], offset: FloatArray | None = None) -> tuple[PoseRefiner, list[Keyframe]]:
    refiner, keyframes = PoseRefiner(), []
    for frame in frames:
        keyframes.append(make_keyframe(len(keyframes), frame, small_config().input))
        if offset is not None:
            keyframes[-1].T_world_camera[:3, 3] += offset
        refiner.refine(keyframes[-1], keyframes)
    return refiner, keyframes


def error(T: FloatArray, wanted: FloatArray) -> tuple[float, float]:
    """Metres and degrees."""
    turn = Rotation.from_matrix(T[:3, :3].T @ wanted[:3, :3]).magnitude()
    return float(np.linalg.norm(T[:3, 3] - wanted[:3, 3])), float(np.degrees(turn))


def test_a_known_motion_is_taken_back() -> None:
    frames = [view(0), view(1), *(view(i, T=motion() @ place(i)) for i in (2, 3))]
    refiner, keyframes = refined(frames)
    for i in (2, 3):
        shift, turn = error(keyframes[i].T_world_camera, place(i))
        assert shift < 0.003
        assert turn < 0.15
    assert refiner.counts == {"alone": 1, "refined": 3}
    assert error(refiner.correction.T_map_slam, np.eye(4))[0] > 0.005, "answers are corrected by the mean of the newest"


def test_exact_poses_stay_bit_for_bit() -> None:
    refiner, keyframes = refined([view(i) for i in range(4)])
    assert all(np.array_equal(k.T_world_camera, place(i)) for i, k in enumerate(keyframes))
    assert not refiner.correction.moves


def test_a_floor_alone_holds_height_and_tilt_and_lets_the_rest_slide() -> None:
    wrong = np.eye(4)
    wrong[:3, 3] = (0.03, 0.02, 0.04)
    refiner, keyframes = refined([view(0, floor), view(1, floor, wrong @ place(1))])
    moved = keyframes[1].T_world_camera[:3, 3] - place(1)[:3, 3]
    np.testing.assert_allclose(moved, [0.03, 0.02, 0.0], atol=0.003)
    assert refiner.counts == {"alone": 1, "sliding": 1}


@pytest.mark.parametrize("kind", ["noise", "scaled", "empty"])
def test_garbage_depth_leaves_the_pose_and_is_no_surface_for_others(kind: str) -> None:
    true = table(*rays(place(1))).astype(np.float32)
    noise = np.random.default_rng(1).uniform(0.3, 3, true.shape).astype(np.float32)
    garbage = {"noise": noise, "scaled": true * 1.3, "empty": true * 0}[kind]
    refiner, keyframes = refined([view(0), view(1, depth=garbage), view(2, T=motion() @ place(2))])
    np.testing.assert_array_equal(keyframes[1].T_world_camera, place(1))
    assert refiner.counts["refined"] == 1
    assert error(keyframes[2].T_world_camera, place(2))[0] < 0.004


def test_the_correction_is_carried_to_keyframes_that_see_nothing_known() -> None:
    away = np.eye(4)
    away[0, 3] = 3.0
    drift = motion(0.03, 0.0)
    frames = [view(0), view(1, T=drift @ place(1)), view(2, T=drift @ away @ place(2))]
    _, keyframes = refined(frames)
    assert error(keyframes[2].T_world_camera, away @ place(2))[0] < 0.004


def test_far_from_the_origin_and_again_it_is_the_same() -> None:
    frames = [view(0), *(view(i, T=motion() @ place(i)) for i in (1, 2))]
    offset = np.array([512_345.6, 5_403_210.9, 301.2])
    near, again, far = (refined(frames, o)[1] for o in (None, None, offset))
    for a, b, c in zip(near, again, far, strict=True):
        np.testing.assert_array_equal(a.T_world_camera, b.T_world_camera)
        np.testing.assert_allclose(c.T_world_camera[:3, 3] - offset, a.T_world_camera[:3, 3], atol=1e-6)


def test_a_loop_closure_that_finds_the_same_drift_does_not_correct_it_twice() -> None:
    """The SLAM system moves its drifted keyframes back to where refinement has put them already."""
    mapper, drift = Mapper(small_config(poses__refine="auto")), motion(0.04, 0.0)
    for i in range(4):
        mapper.insert(view(i, T=place(i) if i < 2 else drift @ place(i)))
    back = Correction(np.array([1, 2]) * 100_000_000, np.stack([np.eye(4), inverse(drift)]))
    mapper.correct(back, submitted=4)
    for i, keyframe in enumerate(mapper.keyframes.items):
        assert error(keyframe.T_world_camera, place(i))[0] < 0.004
    assert error(mapper.state.refiner.correction.T_map_slam, np.eye(4))[0] < 0.004


def test_a_shift_of_the_whole_map_takes_the_refined_keyframes_along() -> None:
    mapper, shift = Mapper(small_config(poses__refine="auto")), np.eye(4)
    shift[0, 3] = 0.7
    for i in range(4):
        mapper.insert(view(i, T=motion(0.03 * (i % 2), 0.0) @ place(i)))
    before = [k.T_world_camera for k in mapper.keyframes.items]
    mapper.correct(Correction(np.array([0]), shift[None]), submitted=4)
    for T, keyframe in zip(before, mapper.keyframes.items, strict=True):
        np.testing.assert_allclose(keyframe.T_world_camera, shift @ T, atol=1e-9)
    mapper.insert(view(4, T=shift @ place(4)))
    assert error(mapper.keyframes.items[-1].T_world_camera, shift @ place(4))[0] < 0.004


def test_points_of_a_drifted_slam_system_are_planted_where_the_map_has_them() -> None:
    mapper, shift = Mapper(small_config(poses__refine="auto")), np.eye(4)
    shift[0, 3] = 0.25
    mapper.insert(view(0))
    mapper.state.refiner.correction = MapCorrection(shift)
    assert mapper.add_points(np.array([[0.0, 0.0, 2.0]], np.float32), None) == 1
    np.testing.assert_allclose(mapper.scaffold.anchors.position[-1], [0.25, 0.0, 2.0], atol=1e-6)


def test_off_leaves_every_pose() -> None:
    mapper = Mapper(small_config())
    for i in range(2):
        mapper.insert(view(i, T=motion(0.03 * i) @ place(i)))
    np.testing.assert_array_equal(mapper.keyframes.items[1].T_world_camera, motion(0.03) @ place(1))


def test_of_a_large_drift_somebody_is_told() -> None:
    assert drift_warning(MapCorrection(shift=0.04)) == ""
    assert "25 cm and 1.1 deg" in drift_warning(MapCorrection(shift=0.25, turn=0.02))

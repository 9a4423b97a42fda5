"""Corrected poses: the map goes with its keyframes, rigidly where they agree, and looks the same from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import orbit, small_config
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ig_ros.errors import FrameError
from ig_ros.mapper import Mapper
from ig_ros.scaffold import rotations
from ig_ros.scaffold.pose_correction import blend_weights, check_rigid
from ig_ros.types import FloatArray

UNIT = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)


def motion(degrees: float, x: float, axis: str = "z") -> FloatArray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    T[0, 3] = x
    return T


def trained(poses: list[FloatArray] | None = None, steps: int = 30, frames: int = 8) -> Mapper:
    """A map of the ground; `poses` are what the frames claim, instead of where they were taken."""
    mapper = Mapper(small_config())
    for i, frame in enumerate(orbit(frames)):
        claimed = frame if poses is None else type(frame)(
            frame.stamp, frame.rgb, frame.camera, poses[i], frame.depth, frame.masks, frame.index
        )  # fmt: skip
        mapper.insert(claimed)
        for _ in range(steps // frames):
            mapper.train_step()
    return mapper


@settings(max_examples=50, deadline=None)
@given(UNIT, UNIT, st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_turns_are_rotations(a: list[float], b: list[float], v: list[float]) -> None:
    first, second = (torch.nn.functional.normalize(torch.tensor(q, dtype=torch.float64), dim=0) for q in (a, b))
    vector = torch.tensor(v, dtype=torch.float64)
    truth = Rotation.from_quat(first[[1, 2, 3, 0]]) * Rotation.from_quat(second[[1, 2, 3, 0]])
    np.testing.assert_allclose(rotations.rotate(rotations.compose(first, second), vector), truth.apply(v), atol=1e-9)
    np.testing.assert_allclose(
        rotations.rotate(rotations.inverse(first), rotations.rotate(first, vector)), v, atol=1e-9
    )


@pytest.mark.parametrize("axis", ["z", "x"])
def test_one_motion_of_all_keyframes_moves_the_map_as_a_rigid_body(axis: str) -> None:
    mapper = trained()
    keyframe, D = mapper.keyframes.items[3], motion(40.0, 2.0, axis)
    before, seen = mapper.scaffold.canonical(), mapper.scaffold.render(keyframe.camera, keyframe.T_world_camera, True)
    moments = {n: (a.clone(), b.clone()) for n, (a, b) in mapper.scaffold.anchors.moments.items()}
    assert mapper.correct_poses({k.stamp: D @ k.T_world_camera for k in mapper.keyframes.items}) == 8
    after = mapper.scaffold.canonical()
    moved = before.means.double().numpy() @ D[:3, :3].T + D[:3, 3]
    np.testing.assert_allclose(after.means.numpy(), moved, atol=1e-5)
    again = mapper.scaffold.render(keyframe.camera, keyframe.T_world_camera, True)
    # same picture from the moved camera: shapes, offsets and what depends on the view direction have turned too
    np.testing.assert_allclose(again.features.numpy(), seen.features.numpy(), atol=2e-3)
    np.testing.assert_allclose(again.depth.numpy(), seen.depth.numpy(), atol=2e-3)
    for name, (a, b) in mapper.scaffold.anchors.moments.items():
        assert torch.equal(a, moments[name][0])
        assert torch.equal(b, moments[name][1])


def test_two_corrections_are_one_after_the_other() -> None:
    once, twice = trained(), trained()
    first, second = motion(20.0, 0.3), motion(-50.0, 1.0, "x")
    once.correct_poses({k.stamp: second @ first @ k.T_world_camera for k in once.keyframes.items})
    for D in (first, second):
        twice.correct_poses({k.stamp: D @ k.T_world_camera for k in twice.keyframes.items})
    a, b = once.scaffold.canonical(), twice.scaffold.canonical()
    np.testing.assert_allclose(a.means.numpy(), b.means.numpy(), atol=1e-5)
    np.testing.assert_allclose(a.quats.numpy(), b.quats.numpy(), atol=1e-4)


def test_only_what_the_moved_keyframe_and_its_neighbours_bore_moves() -> None:
    mapper = trained()
    keyframe = mapper.keyframes.items[4]
    owner = mapper.scaffold.anchors.data["owner"].numpy()
    assert (owner == 4).any()
    before = mapper.scaffold.anchors.data["position"].clone()
    unknown = {17: np.eye(4)}
    assert mapper.correct_poses({keyframe.stamp: motion(0.0, 0.4) @ keyframe.T_world_camera} | unknown) == 1
    shift = (mapper.scaffold.anchors.data["position"] - before)[:, 0].numpy()
    np.testing.assert_allclose(shift[owner == 4], 0.2, atol=1e-5)
    np.testing.assert_allclose(shift[(owner == 3) | (owner == 5)], 0.1, atol=1e-5)
    assert not shift[(owner < 3) | (owner > 5)].any()


def test_anchors_of_a_forgotten_keyframe_follow_its_neighbours() -> None:
    places, weights = blend_weights(np.array([0, 5, 9, 10, 12]), np.array([4, 8, 10]))
    total = np.zeros((5, 3))
    for row in range(5):
        np.add.at(total[row], places[row], weights[row])
    expected = [[1, 0, 0], [0.75, 0.25, 0], [0, 0.5, 0.5], [0, 0.25, 0.75], [0, 0, 1]]
    np.testing.assert_allclose(total, expected, atol=1e-12)


@pytest.mark.parametrize("bad", [np.eye(3), np.diag([1.0, 1, 2, 1]), np.full((4, 4), np.nan), np.diag([1.0, 1, -1, 1])])
def test_a_pose_that_is_not_rigid_is_refused_before_anything_moves(bad: FloatArray) -> None:
    with pytest.raises(FrameError) as caught:
        check_rigid(bad)
    assert caught.value.cause == "bad_pose"
    mapper = trained(steps=0, frames=2)
    first, second = (k.stamp for k in mapper.keyframes.items)
    poses = [k.T_world_camera.copy() for k in mapper.keyframes.items]
    with pytest.raises(FrameError):
        mapper.correct_poses({first: motion(5.0, 1.0), second: bad})
    for keyframe, pose in zip(mapper.keyframes.items, poses, strict=True):
        np.testing.assert_array_equal(keyframe.T_world_camera, pose)


def test_a_loop_closed_is_within_3_cm_of_a_map_without_drift_after_200_steps() -> None:
    true = [frame.T_world_camera for frame in orbit(12)]
    drift = [motion(10.0 * s, 0.3 * s) for s in np.linspace(0, 1, 12)]  # 10 deg and 30 cm at the end
    drifted = trained([D @ T for D, T in zip(drift, true, strict=True)], steps=60, frames=12)
    clean = trained(true, steps=60, frames=12)
    drifted_objects = drifted.instantiate().instances.objects  # drift may show a card twice
    stamps = [k.stamp for k in drifted.keyframes.items]
    assert drifted.correct_poses(dict(zip(stamps, true, strict=True))) == 12
    for mapper in (drifted, clean):
        for _ in range(200):
            mapper.train_step()
    healed, truth = (m.instantiate().instances.objects for m in (drifted, clean))
    center = {o.label: o.T_world_box[:3, 3] for o in truth}
    assert sorted(o.label for o in healed) == sorted(center) == ["blue card", "red card"]
    for thing in healed:
        assert np.linalg.norm(thing.T_world_box[:3, 3] - center[thing.label]) < 0.03
        assert thing.id in {o.id for o in drifted_objects if o.label == thing.label}
    view = clean.keyframes.items[6]
    a, b = (m.scaffold.render(view.camera, view.T_world_camera) for m in (drifted, clean))
    depth = (a.depth / a.alpha.clamp_min(1e-3) - b.depth / b.alpha.clamp_min(1e-3)).abs()
    assert float(depth.quantile(0.95)) < 0.03
    error = (a.features[..., :3] - view.rgb.float() / 255).square().mean().sqrt()
    best = (b.features[..., :3] - view.rgb.float() / 255).square().mean().sqrt()
    assert float(error) < 1.4 * float(best)

"""Laws of the perturbations: nothing at strength 0, the stated figure at strength 1, the same for the same seed."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from benchmarks.reality.perturbations import (
    ALL,
    DRIFT,
    EXPOSURE,
    NOISE,
    POSE_NOISE,
    SHIFT,
    VALID,
    Perturbed,
    Strength,
    alignment,
    moved,
    pose_errors,
)  # fmt: skip
from ig_ros.types import Camera, FloatArray, Frame

CAMERA = Camera(np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), 64, 48)
N = 40


class Corridor:
    """Frames of random texture 2 m away; depth tells its frame and column."""

    name, truth = "corridor", None

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Frame:
        random = np.random.default_rng(i)
        T = moved(np.eye(4), np.array([0.02 * i, 0, 0]), np.array([0, 0.01 * i, 0]))
        depth = np.tile(2 + np.arange(64, dtype=np.float32) / 100, (48, 1)) + np.float32(i / 1000)
        depth[0] = 0
        return Frame(i, random.integers(60, 180, (48, 64, 3), dtype=np.uint8), CAMERA, T, depth, index=i)


def test_strength_0_leaves_every_frame_as_it_is() -> None:
    for i in (0, N - 1):
        clean, same = Corridor()[i], Perturbed(Corridor(), Strength())[i]
        for name in ("rgb", "depth", "T_world_camera"):
            np.testing.assert_array_equal(getattr(clean, name), getattr(same, name))


@pytest.mark.parametrize("name", [f.name for f in fields(Strength)])
def test_the_same_seed_gives_the_same_frame_and_something_is_changed(name: str) -> None:
    datasets = [Perturbed(Corridor(), Strength.only(name), seed) for seed in (1, 1, 2)]
    frames = [[d[i] for i in range(8)] for d in (*datasets[:2], Corridor(), datasets[2])]
    values = [[np.stack([getattr(f, n) for f in fs]) for n in ("rgb", "depth", "T_world_camera")] for fs in frames]
    assert all((a == b).all() for a, b in zip(values[0], values[1], strict=True))
    assert any((a != b).any() for a, b in zip(values[0], values[2], strict=True))
    if name not in ("shift", "latency"):  # no chance in these
        assert any((a != b).any() for a, b in zip(values[0], values[3], strict=True))


def poses(strength: Strength) -> tuple[FloatArray, FloatArray]:
    frames = Perturbed(Corridor(), strength)
    used = np.stack([frames[i].T_world_camera for i in range(N)])
    return np.stack([frames.true_poses[i] for i in range(N)]), used


def test_drift_reaches_its_figure_and_starts_at_the_truth() -> None:
    true, used = poses(Strength.only("drift"))
    away = np.linalg.norm(true[:, :3, 3] - used[:, :3, 3], axis=1)
    turned = np.degrees(np.arccos(((used[:, :3, :3] * true[:, :3, :3]).sum((1, 2)) - 1) / 2))
    assert away[0] == 0
    assert away.max() == pytest.approx(DRIFT[0])
    assert turned.max() == pytest.approx(DRIFT[1], rel=1e-4)
    half = poses(Strength(drift=0.5))[1]
    assert np.linalg.norm(true[:, :3, 3] - half[:, :3, 3], axis=1).max() == pytest.approx(DRIFT[0] / 2)


def test_pose_noise_has_its_figure_and_every_frame_its_own() -> None:
    true, used = poses(Strength.only("pose_noise"))
    away = used[:, :3, 3] - true[:, :3, 3]
    assert np.sqrt((away**2).sum(1).mean()) == pytest.approx(POSE_NOISE[0], rel=0.2)
    assert abs(np.corrcoef(away[:-1].ravel(), away[1:].ravel())[0, 1]) < 0.3


def test_depth_is_shifted_exactly() -> None:
    depth, clean = Perturbed(Corridor(), Strength.only("shift"))[3].depth, Corridor()[3].depth
    assert depth is not None
    assert clean is not None
    np.testing.assert_array_equal(depth[:, SHIFT:], clean[:, :-SHIFT])
    assert not depth[:, :SHIFT].any()


def test_holes_leave_their_share_of_what_was_measured() -> None:
    depth, clean = Perturbed(Corridor(), Strength.only("holes"))[3].depth, Corridor()[3].depth
    assert depth is not None
    assert clean is not None
    assert (depth > 0).sum() == round(VALID * (clean > 0).sum())
    np.testing.assert_array_equal(depth[depth > 0], clean[depth > 0])


def test_depth_noise_grows_with_the_square_of_the_distance() -> None:
    clean = Corridor()[3].depth
    noisy = Perturbed(Corridor(), Strength.only("noise"))[3].depth
    assert noisy is not None
    assert clean is not None
    assert not noisy[0].any()
    assert ((noisy - clean)[1:] / clean[1:] ** 2).std() == pytest.approx(NOISE, rel=0.1)


def test_late_depth_is_that_of_the_frame_before_and_the_first_its_own() -> None:
    frames = Perturbed(Corridor(), Strength.only("latency"))
    for i, source in ((0, 0), (7, 6)):
        np.testing.assert_array_equal(frames[i].depth, Corridor()[source].depth)
        np.testing.assert_array_equal(frames[i].rgb, Corridor()[i].rgb)


def test_exposure_is_one_gain_and_offset_and_blur_keeps_the_mean() -> None:
    clean = Corridor()[5].rgb.astype(float)
    exposed = Perturbed(Corridor(), Strength.only("exposure"))[5].rgb.astype(float)
    gain, offset = np.polyfit(clean.ravel(), exposed.ravel(), 1)
    assert np.abs(gain * clean + offset - exposed).max() < 1
    assert abs(np.log(gain)) < 4 * EXPOSURE[0]
    frames = Perturbed(Corridor(), Strength.only("blur"))
    images = [frames[i].rgb.astype(float) for i in range(N)]
    assert min(image.std() for image in images) < 0.8 * clean.std()
    assert all(abs(image.mean() - Corridor()[i].rgb.mean()) < 2 for i, image in enumerate(images))


def test_a_rigid_motion_of_the_whole_map_is_no_pose_error() -> None:
    true, used = poses(ALL)
    T = moved(np.eye(4), np.array([3.0, -1, 2]), np.array([0.3, 0.8, -0.5]))
    np.testing.assert_allclose(alignment(true, T @ true), T, atol=1e-9)
    assert pose_errors(true, T @ true) == pytest.approx((0, 0), abs=1e-6)
    assert pose_errors(true, T @ used) == pytest.approx(pose_errors(true, used))

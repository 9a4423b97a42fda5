"""A world simple enough to be known exactly: a textured ground z = 0 with two coloured cards on it, seen from above."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ig_ros.config import Config
from ig_ros.types import Camera, FloatArray, Frame, Instances, IntArray, MapSnapshot, Masks

CAMERA = Camera(np.array([[90.0, 0, 48], [0, 90.0, 36], [0, 0, 1]]), 96, 72)
CARDS = {1: ("red card", (-0.25, 0.0)), 2: ("blue card", (0.25, 0.0))}  # id -> name, centre in m
HALF = 0.14  # m, half an edge of a card
TEXEL = 0.005  # m
EXTENT = 3.0  # m, the texture covers [-EXTENT, EXTENT]


def _texture() -> FloatArray:
    """(T, T) grey in [0, 1] with detail at several scales, for optical flow to hold on to."""
    rng = np.random.default_rng(7)
    size = int(2 * EXTENT / TEXEL)
    layers = [cv2.GaussianBlur(rng.standard_normal((size, size)).astype(np.float32), (0, 0), s) * s for s in (3, 8, 20)]
    grey = np.sum(layers, axis=0)
    return np.clip(0.5 + 0.2 * grey / grey.std(), 0, 1)


TEXTURE = _texture()


def need(package: str, extra: str) -> None:
    """Skip the running test where a package of an extra is missing; with CI set, where all are to be there, fail it."""
    if importlib.util.find_spec(package) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{package} (extra {extra}) is not installed")


def look_at(eye: tuple[float, float, float], target: tuple[float, float, float]) -> FloatArray:
    """(4, 4) camera-to-world pose at `eye` (m) looking at `target`, x right, y down, z forward, world z up."""
    forward = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    right = np.cross(forward, (0.0, 1.0, 0.0) if abs(forward[2]) > 0.999 else (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    T[:3, 3] = eye
    return T


def ground_labels(x: FloatArray, y: FloatArray) -> IntArray:
    """Id of the card at each point of the ground, 0 = bare ground."""
    labels = np.zeros(x.shape, np.int32)
    for number, (_, (cx, cy)) in CARDS.items():
        labels[(np.abs(x - cx) < HALF) & (np.abs(y - cy) < HALF)] = number
    return labels


def ground_frame(
    T: FloatArray,
    number: int = 0,
    *,
    camera: Camera = CAMERA,
    depth: bool = True,
    masks: bool = True,
    stamp: int | None = None,
) -> Frame:
    """The exact picture, depth and masks of the ground from a pose that looks down; frame numbers come at 10 Hz."""
    rows, cols = np.mgrid[0 : camera.height, 0 : camera.width]
    rays = np.stack([(cols + 0.5 - camera.K[0, 2]) / camera.K[0, 0], (rows + 0.5 - camera.K[1, 2]) / camera.K[1, 1]], 2)
    rays = np.concatenate([rays, np.ones((*rows.shape, 1))], axis=2) @ T[:3, :3].T
    z = -T[2, 3] / rays[..., 2]
    assert (z > 0).all(), "the camera must look at the ground with all its pixels"
    x, y = T[0, 3] + z * rays[..., 0], T[1, 3] + z * rays[..., 1]
    texel = [((a + EXTENT) / TEXEL - 0.5).astype(np.float32) for a in (x, y)]
    grey = cv2.remap(TEXTURE, texel[0], texel[1], cv2.INTER_LINEAR)
    labels = ground_labels(x, y)
    tint = np.array([[1.0, 1.0, 1.0], [1.0, 0.25, 0.25], [0.25, 0.35, 1.0]])[labels]
    rgb = (255 * np.clip(grey[..., None] * tint, 0, 1)).astype(np.uint8)
    names = {i: CARDS[i][0] for i in np.unique(labels).tolist() if i}
    return Frame(
        number * 100_000_000 if stamp is None else stamp, rgb, camera, T,
        z.astype(np.float32) if depth else None, Masks(labels, names) if masks else None, number,
    )  # fmt: skip


def orbit(n: int, **options: Any) -> list[Frame]:
    """n frames on an arc half a metre above the ground, all looking at its middle."""
    angles = np.linspace(-1.0, 1.0, n)
    eyes = [(0.45 * np.sin(a), -0.45 * np.cos(a), 0.8) for a in angles]
    return [ground_frame(look_at(eye, (0.0, 0.0, 0.0)), i, **options) for i, eye in enumerate(eyes)]


def small_config(**changes: Any) -> Config:
    """A configuration for tests of seconds: two threads, no language model, early instance features."""
    values: dict[str, Any] = {
        "threads": 2,
        "device": "cpu",
        "language.encoder": "none",
        "seeding.voxel": 0.03,
        "training.warmup_visits": 5,
        "training.joint_visits": 60,
        "instances.sub_objects": 300,
        "instances.interval": 1000.0,
        "keyframes.max_speed": 1000.0,
    }
    return Config.from_dict(values | {k.replace("__", "."): v for k, v in changes.items()})


def planar_pose(x: float, y: float = 0.0, yaw: float = 0.0) -> FloatArray:
    """(4, 4) at (x, y, 0) m, turned by yaw rad about z."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", yaw).as_matrix()
    T[:3, 3] = (x, y, 0)
    return T


def snapshot_of(instances: Instances) -> MapSnapshot:
    """A map of objects of which only the boxes are known."""
    none = np.zeros(0, np.float32)
    return MapSnapshot(1, 0, 0, np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), none, instances)

"""A wall with a mug and a plate on it, seen by a camera that moves sideways; small and exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scannet_writer import write_scannet_layout

from ig_ros.types import Camera, Frame, Masks

WIDTH, HEIGHT = 160, 120
NAMES = {1: "mug", 2: "plate"}


def small_camera(width: int = WIDTH, height: int = HEIGHT) -> Camera:
    """90 degrees wide."""
    return Camera(np.array([[width / 2, 0, width / 2], [0, width / 2, height / 2], [0, 0, 1.0]]), width, height)


def small_frame(index: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Frame:
    """The wall is 2 m away, its two things 1.5 m; the camera moves 2 cm per frame."""
    labels = np.zeros((height, width), np.int32)
    shift = index
    labels[height // 3 : height // 2, 20 + shift : 50 + shift] = 1
    labels[height // 2 : 3 * height // 4, 80 + shift : 120 + shift] = 2
    rgb = np.full((height, width, 3), 90, np.uint8)
    rgb[labels == 1], rgb[labels == 2] = (200, 40, 40), (240, 240, 220)
    depth = np.where(labels > 0, 1.5, 2.0).astype(np.float32)
    T = np.eye(4)
    T[0, 3] = -0.02 * index
    masks = Masks(labels, NAMES, {1: 0.9, 2: 0.8})
    return Frame(index * 33_000_000, rgb, small_camera(width, height), T, depth, masks, index)


class SmallScene:
    """A dataset of such frames."""

    name = "small"
    truth = None

    def __init__(self, frames: int) -> None:
        self._count = frames

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, i: int) -> Frame:
        return small_frame(i)


def write_scene(folder: Path, frames: int) -> Path:
    """The scene as a folder that `open_dataset` reads."""
    write_scannet_layout(SmallScene(frames), folder)
    return folder

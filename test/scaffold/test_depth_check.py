"""Depth beside its colour: noticed where cards before a wall have it elsewhere than their colour, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from ig_ros.scaffold.depth_check import IMAGES, DepthCheck
from ig_ros.types import Camera, Frame

WIDTH, HEIGHT = 320, 240
CAMERA = Camera(np.array([[290.0, 0, 160], [0, 290, 120], [0, 0, 1]]), WIDTH, HEIGHT)


def frame(number: int, shift: tuple[int, int] = (0, 0), source: str = "") -> Frame:
    """Ten cards at 0.8 to 1.5 m before a wall at 2.5 m; their depth lies `shift` px (right, down) of their colour."""
    rng = np.random.default_rng(number)
    rgb = rng.integers(90, 110, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    depth = np.full((HEIGHT, WIDTH), 2.5, np.float32)
    for _ in range(10):
        left, top, z = rng.integers(30, WIDTH - 90), rng.integers(30, HEIGHT - 80), rng.uniform(0.8, 1.5)
        wide, high = rng.integers(20, 50, 2)
        rgb[top : top + high, left : left + wide] = rng.integers(0, 255, 3)
        depth[top + shift[1] : top + shift[1] + high, left + shift[0] : left + shift[0] + wide] = z
    return Frame(number, rgb, CAMERA, np.eye(4), depth, source=source)


def verdict(shift: tuple[int, int], images: int = IMAGES) -> str:
    check = DepthCheck()
    for number in range(images):
        check.look(frame(number, shift))
    return check.warning


@pytest.mark.field("wrong", "depth that lies 5 px beside its colour", "one warning with figures")
def test_depth_beside_its_colour_is_told_with_figures() -> None:
    said = verdict((5, 0))
    assert "depth lies beside its colour" in said
    moved = float(said.partition("moved by ")[2].split(" ")[0])
    assert moved == pytest.approx(5.0, abs=1.0)
    assert "publish registered depth" in said


@pytest.mark.parametrize("shift", [(0, -6), (4, 4)])
def test_any_direction(shift: tuple[int, int]) -> None:
    assert verdict(shift)


def test_registered_depth_is_fine() -> None:
    assert verdict((0, 0)) == ""


def test_a_few_images_tell_nothing() -> None:
    assert verdict((5, 0), IMAGES - 1) == ""


def test_without_edges_nothing_is_sure() -> None:
    check = DepthCheck()
    for number in range(IMAGES):
        rgb = np.full((HEIGHT, WIDTH, 3), 99, np.uint8)
        check.look(Frame(number, rgb, CAMERA, np.eye(4), np.full((HEIGHT, WIDTH), 2.0)))
    assert check.warning == ""


def test_cameras_are_judged_one_by_one() -> None:
    check = DepthCheck()
    for number in range(IMAGES):
        check.look(frame(number, (5, 0), "left"))
        check.look(frame(number, (0, 0), "right"))
    assert "of camera 'left'" in check.warning

"""Pieces of the scene's shell that do not touch."""

from __future__ import annotations

import numpy as np

from ig_ros.config import InstanceConfig
from ig_ros.instances.mask_histograms import MaskHistograms
from ig_ros.instances.merging import ShellPlane, facing_in, flat_plane, join_coplanar
from ig_ros.instances.visibility import Observations
from ig_ros.types import FloatArray, IntArray

SPACING = 0.02
CONFIG = InstanceConfig()


def sheet(x: tuple[float, float], y: tuple[float, float], z: float) -> FloatArray:
    """Points 4 cm apart on a horizontal rectangle."""
    a, b = np.meshgrid(np.arange(*x, 0.04), np.arange(*y, 0.04))
    return np.stack([a.ravel(), b.ravel(), np.full(a.size, z)], axis=1)


def world(
    second_height: float = 0.0, views: int = 0, together: bool = False
) -> tuple[FloatArray, IntArray, Observations]:
    """Two sheets a metre apart with a block above them, seen `views` times with one mask or two."""
    pieces = [sheet((0, 1), (0, 1), 0.0), sheet((2, 3), (0, 1), second_height), sheet((1.2, 1.8), (0, 1), 0.8)]
    group = np.repeat([0, 1, 2], [len(p) for p in pieces])
    columns = np.array([[3 * k + 1, 3 * k + (1 if together else 2), 3 * k + 3] for k in range(views)], np.int32)
    mask = columns[:, group] if views else np.zeros((0, len(group)), np.int32)
    view = np.append(0, np.repeat(np.arange(views), 3))
    ones = np.ones(3 * views + 1, np.int64)
    return np.concatenate(pieces), group, Observations(mask, view, ones, ones)


def joined(*args: object) -> bool:
    xyz, group, observed = world(*args)  # type: ignore[arg-type]
    after = rejoined(xyz, group, observed)
    return bool(after[group == 0][0] == after[group == 1][0])


def rejoined(xyz: FloatArray, group: IntArray, observed: Observations) -> IntArray:
    """(P,) group of every point afterwards, -1 stays -1."""
    count = int(group.max()) + 1
    histograms = MaskHistograms(group, count, observed, CONFIG)
    return np.append(join_coplanar(xyz, group, SPACING, histograms, CONFIG), -1)[group]


def shell_plane(points: FloatArray, scene: FloatArray, tolerance: float) -> ShellPlane | None:
    flat = flat_plane(points, tolerance)
    return None if flat is None else facing_in(flat, scene, tolerance)


def test_a_floor_in_two_pieces_is_one() -> None:
    assert joined()
    assert joined(0.0, 10, True)


def test_masks_that_tell_them_apart_have_the_last_word() -> None:
    assert not joined(0.0, 10, False)


def test_another_height_is_another_thing() -> None:
    assert not joined(0.2)


def test_a_table_top_is_no_shell() -> None:
    """Half of the scene lies beneath it, half above."""
    top = sheet((0, 1), (0, 1), 0.7)
    below, above = sheet((0, 1), (0, 1), 0.0), sheet((0, 1), (0, 1), 1.2)
    scene = np.concatenate([top, below, above])
    assert shell_plane(top, scene, 0.04) is None
    plane = shell_plane(below, scene, 0.04)
    assert plane is not None
    np.testing.assert_allclose(plane.normal, [0, 0, 1], atol=1e-6)  # into the scene


def test_small_and_curved_groups_are_no_plane() -> None:
    random = np.random.default_rng(0)
    ball = random.standard_normal((500, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    assert shell_plane(ball, ball, 0.04) is None
    assert shell_plane(sheet((0, 0.2), (0, 1), 0.0), sheet((0, 1), (0, 1), 0.0), 0.04) is None


def test_unowned_points_stay_unowned() -> None:
    xyz, group, observed = world()
    group = np.where(np.arange(len(group)) % 3 == 0, -1, group)
    after = rejoined(xyz, group, observed)
    assert ((after < 0) == (group < 0)).all()


def test_a_scrap_that_no_view_judges_does_not_tie_rug_to_floor() -> None:
    """Floor and rug lie in one plane and are told apart; a hidden scrap between them may join only one."""
    sheets = [sheet((0, 1), (0, 1), 0.0), sheet((2, 3), (0, 1), 0.0), sheet((1.2, 1.8), (0, 1), 0.0)]
    group = np.repeat([0, 1, 2], [len(p) for p in sheets])
    columns = np.array([[2 * k + 1, 2 * k + 2, -1] for k in range(10)], np.int32)
    ones = np.ones(21, np.int64)
    observed = Observations(columns[:, group], np.append(0, np.repeat(np.arange(10), 2)), ones, ones)
    after = rejoined(np.concatenate(sheets), group, observed)
    floor, rug, scrap = (after[group == g][0] for g in range(3))
    assert floor != rug
    assert scrap in (floor, rug)

"""What every relation obeys, wherever the map lies and however it is turned about the vertical."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest

from ig_ros.language.relations import DIRECTIONS, MEANINGS, between, direction, region, related
from ig_ros.language.scene_geometry import SceneGeometry, geometry_of
from ig_ros.language.viewpoint import Viewpoint
from ig_ros.types import FloatArray, Instances, MapSnapshot, ObjectInstance

FROM_SOUTH = np.array([[1.0, 0, 0, 0], [0, 0, 1, -3], [0, -1, 0, 1], [0, 0, 0, 1]])  # x right, looks along +y
BOXES = {  # label: centre, size; the table's top is z = 0.7
    "floor": ((0, 0, -0.01), (4, 4, 0.02)),
    "table": ((0, 0, 0.69), (1.6, 1.0, 0.02)),
    "large book": ((0.4, 0.1, 0.72), (0.24, 0.2, 0.04)),
    "small book": ((0.4, 0.1, 0.75), (0.2, 0.16, 0.02)),
    "apple": ((0.4, 0.1, 0.8), (0.07, 0.07, 0.08)),
    "mug": ((-0.4, 0.1, 0.75), (0.08, 0.08, 0.1)),
    "cup": ((0.0, 0.1, 0.75), (0.08, 0.08, 0.1)),
    "ball": ((0.2, 0.0, 0.1), (0.2, 0.2, 0.2)),
    "nut": ((0.0, 0.4, 0.73), (0.04, 0.04, 0.04)),
}
NAMES = list(BOXES)
RELATIONS = (*sorted(DIRECTIONS), *sorted(MEANINGS))
REGIONS = ("center of", "edge of", "corner of", "left side of", "right side of", "front side of", "back side of")
TRAY = ((0.0, 0.4, 0.745), (0.2, 0.16, 0.09))  # open above: walls around the nut


def surface(center: FloatArray, size: FloatArray, sides: tuple[int, ...] = (0, 1, 2)) -> FloatArray:
    random = np.random.default_rng(3)
    points = random.uniform(-0.5, 0.5, (1500, 3))
    side = random.choice(sides, 1500)
    points[np.arange(1500), side] = np.sign(points[np.arange(1500), side]) * 0.5
    return points * size + center


def scene(degrees: float = 0.0, shift: tuple[float, float, float] = (0, 0, 0)) -> SceneGeometry:
    """The boxes and the tray, turned about the vertical and moved."""
    T = pose(degrees, shift)
    objects, points = [], []
    for number, (label, (center, size)) in enumerate({**BOXES, "tray": TRAY}.items(), start=1):
        own = surface(np.array(center), np.array(size), (0, 1) if label == "tray" else (0, 1, 2))
        if label == "tray":
            own = np.concatenate([own, surface(np.array((0, 0.4, 0.702)), np.array((0.2, 0.16, 0.001)))])
        box = np.eye(4)
        box[:3, 3] = center
        objects.append(ObjectInstance(number, label, 1.0, 5, T @ box, np.array(size), len(own)))
        points.append(own @ T[:3, :3].T + T[:3, 3])
    ids = np.repeat(np.arange(1, len(points) + 1, dtype=np.int32), [len(p) for p in points])
    xyz, ones = np.concatenate(points), np.ones(len(ids), np.float32)
    gray = np.full((len(ids), 3), 100, np.uint8)
    return geometry_of(MapSnapshot(1, 0, 0, xyz, gray, ones, Instances(ids, ones, tuple(objects)), None))


def pose(degrees: float, shift: tuple[float, float, float]) -> FloatArray:
    T = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    T[:2, :2], T[:3, 3] = [[c, -s], [s, c]], shift
    return T


HERE, VIEW = scene(), Viewpoint.of_camera(FROM_SOUTH)
N = len(HERE)


def table_of(name: str, world: SceneGeometry = HERE, view: Viewpoint = VIEW) -> FloatArray:
    """(S, S) how far object a stands in that relation to b."""
    if name in REGIONS:
        return np.stack([region(name, world, b, view) for b in range(N)], axis=1)
    return np.stack([related(name, world, b, view) for b in range(N)], axis=1)


def holds(name: str, a: str, b: str) -> bool:
    labels = HERE.labels
    return bool(table_of(name)[labels.index(a), labels.index(b)] >= 0.5)


@pytest.mark.parametrize("name", [*RELATIONS, *REGIONS])
def test_nothing_is_related_to_itself(name: str) -> None:
    assert np.diag(table_of(name)).max() < 0.5


@pytest.mark.parametrize(("degrees", "shift"), [(70.0, (0.0, 0.0, 0.0)), (-200.0, (450_000.0, 5_400_000.0, 120.0))])
@pytest.mark.parametrize("name", [*RELATIONS, *REGIONS])
def test_turning_and_moving_the_map_changes_nothing(name: str, degrees: float, shift: tuple[float, ...]) -> None:
    turned = scene(degrees, shift)
    view = Viewpoint.of_camera(pose(degrees, shift) @ FROM_SOUTH)
    assert np.abs(table_of(name, turned, view) - table_of(name)).max() < 0.05


def test_between_turns_with_the_map_and_does_not_care_for_the_order() -> None:
    mug, book = NAMES.index("mug"), NAMES.index("large book")
    score = between(HERE, (mug, book), VIEW.position)
    assert score.argmax() == NAMES.index("cup")
    assert np.allclose(score, between(HERE, (book, mug), VIEW.position))
    assert np.abs(score - between(scene(70), (mug, book), VIEW.position)).max() < 0.05


@pytest.mark.parametrize(("first", "second"), [("left of", "right of"), ("in front of", "behind")])
def test_converse_directions(first: str, second: str) -> None:
    """For an observer far away, who sees all things in parallel."""
    T = FROM_SOUTH.copy()
    T[1, 3] = -1000.0
    view = Viewpoint.of_camera(T)
    there, back = table_of(first, view=view) >= 0.5, table_of(second, view=view).T >= 0.5
    alike = [NAMES.index(n) for n in ("mug", "cup")]  # of one size: a cone is as wide as its anchor
    assert (there[np.ix_(alike, alike)] == back[np.ix_(alike, alike)]).all()
    assert direction("left of", HERE, NAMES.index("cup"), view)[NAMES.index("mug")] > 0.8


def test_above_is_the_converse_of_under_and_next_to_its_own() -> None:
    assert np.allclose(table_of("above"), table_of("under").T)
    near = table_of("next to")
    assert (np.abs(near - near.T) < 0.05).all()


def test_with_is_the_converse_of_on_and_in() -> None:
    """Up to what stands on a board within its anchor, which is meant less by "on"."""
    either = np.maximum(table_of("on"), table_of("in"))
    assert ((table_of("with").T >= 0.5) == (either >= 0.5)).all()


def test_on_and_under_exclude_each_other() -> None:
    assert not ((table_of("on") >= 0.5) & (table_of("under") >= 0.5)).any()
    assert not ((table_of("on") >= 0.5) & (table_of("on").T >= 0.5)).any()


def test_supports() -> None:
    on = {(a, b) for a, b in product(HERE.labels, HERE.labels) if holds("on", a, b)}
    assert on >= {("large book", "table"), ("small book", "large book"), ("apple", "small book"), ("mug", "table"),
                  ("ball", "floor")}  # fmt: skip
    assert not on & {("apple", "large book"), ("apple", "table"), ("small book", "table"), ("ball", "table")}
    assert holds("under", "ball", "table")
    assert holds("under", "small book", "apple")
    assert not holds("under", "mug", "table")
    assert holds("in", "nut", "tray")
    assert not holds("in", "ball", "table")
    assert not holds("in", "mug", "tray")


@pytest.mark.parametrize(
    ("name", "things"),
    [("center of", {"cup"}), ("left side of", {"mug"}), ("right side of", {"large book", "small book", "apple"})],
)
def test_regions_of_the_table(name: str, things: set[str]) -> None:
    found = region(name, HERE, NAMES.index("table"), VIEW)
    assert {n for n, s in zip(HERE.labels, found, strict=True) if s >= 0.5} == things


def test_left_of_a_thing_that_carries_nothing_is_meant_where_its_left_side_is_said() -> None:
    laptop = NAMES.index("cup")
    assert np.allclose(related("left side of", HERE, laptop, VIEW), related("left of", HERE, laptop, VIEW))


def test_geometry_stays_equal_to_itself_alone() -> None:
    assert dataclasses.replace(HERE) != HERE

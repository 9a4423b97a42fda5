"""Relations and attributes in a scene of boxes whose places are known: a table, and things on it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ig_ros.config import LanguageConfig
from ig_ros.errors import QueryError
from ig_ros.language import Scope, Viewpoint, rank
from ig_ros.types import FloatArray, Instances, MapSnapshot, ObjectInstance, QueryResult, QueryStatus

FROM_SOUTH = np.array([[1.0, 0, 0, 0], [0, 0, 1, -2], [0, -1, 0, 1], [0, 0, 0, 1]])  # x right, looks along +y
THINGS = {  # id: label, centre, size, colour; the table's top is z = 0.7
    1: ("table", (0, 0, 0.69), (1.6, 1.0, 0.02), (140, 100, 60)),
    2: ("laptop", (0, 0, 0.75), (0.3, 0.2, 0.1), (60, 60, 60)),
    3: ("mug", (-0.35, 0.0, 0.75), (0.08, 0.08, 0.1), (200, 30, 30)),
    4: ("mug", (0.4, 0.05, 0.75), (0.08, 0.08, 0.1), (30, 60, 200)),
    5: ("book", (0.0, 0.35, 0.715), (0.2, 0.15, 0.03), (40, 160, 60)),
    6: ("apple", (0.0, 0.35, 0.77), (0.07, 0.07, 0.08), (200, 40, 30)),
    7: ("bowl", (0.0, -0.35, 0.73), (0.15, 0.15, 0.06), (240, 240, 240)),
    8: ("ball", (0.5, 0.3, 0.03), (0.06, 0.06, 0.06), (230, 220, 40)),
    9: ("floor", (0, 0, -0.01), (4, 4, 0.02), (90, 90, 90)),
}


def world() -> MapSnapshot:
    random = np.random.default_rng(0)
    objects, points, ids, colors = [], [], [], []
    for number, (label, center, size, color) in THINGS.items():
        T = np.eye(4)
        T[:3, 3] = center
        objects.append(ObjectInstance(number, label, 1.0, 5, T, np.array(size), 1500))
        inside = random.uniform(-0.5, 0.5, (1500, 3))
        side = random.integers(0, 3, 1500)
        inside[np.arange(1500), side] = np.sign(inside[np.arange(1500), side]) * 0.5
        points.append(inside * size + center)
        ids.append(np.full(1500, number, np.int32))
        colors.append(np.clip(random.normal(color, 12, (1500, 3)), 0, 255).astype(np.uint8))
    ones = np.ones(1500 * len(THINGS), np.float32)
    instances, xyz = Instances(np.concatenate(ids), ones, tuple(objects)), np.concatenate(points).astype(np.float32)
    return MapSnapshot(1, 0, 0, xyz, np.concatenate(colors), ones, instances, FROM_SOUTH)


WORLD = world()


def ask(text: str, viewpoint: FloatArray | None = None, **limits: object) -> QueryResult:
    scope = Scope(viewpoint=None if viewpoint is None else Viewpoint.of_camera(viewpoint), **limits)
    return rank(WORLD, text, None, LanguageConfig(), 0, 0.0, scope)


def found(text: str, **options: object) -> list[int]:
    return [h.object.id for h in ask(text, **options).hits]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("the mug left of the laptop", 3),
        ("the mug to the right of the laptop", 4),
        ("what is behind the laptop", 5),
        ("the object in front of the laptop", 7),
        ("the apple on the book", 6),
        ("the book under the apple", 5),
        ("the ball under the table", 8),
        ("the red mug", 3),
        ("the blue mug", 4),
        ("the laptop between the mugs", 2),
        ("the thing between the bowl and the book", 2),
        ("the mug nearest to the ball", 4),
        ("the leftmost mug", 3),
        ("the mug on the right", 4),
        ("the mug next to the laptop", 3),
        ("the largest object on the table", 2),
        ("the mug on the table left of the laptop", 3),
        ("the red thing on the book", 6),
    ],
)
def test_the_meant_object_comes_first(text: str, first: int) -> None:
    assert found(text)[:1] == [first], ask(text).message


@pytest.mark.parametrize(
    "text",
    ["the book left of the laptop", "the bowl on the book", "the green mug", "the mug on the shelf",
     "the apple under the table",
     "the table on the mug", "the bowl behind the laptop"],
)  # fmt: skip
def test_false_descriptions_are_refused(text: str) -> None:
    assert ask(text).status is QueryStatus.ABSENT


def test_the_missing_anchor_is_named() -> None:
    assert "no 'shelf'" in ask("the mug on the shelf").message


def test_left_is_the_observers() -> None:
    half_turn = np.diag([-1.0, -1.0, 1.0, 1.0]) @ FROM_SOUTH
    assert found("the mug left of the laptop", viewpoint=half_turn)[:1] == [4]
    assert found("the thing in front of the laptop", viewpoint=half_turn)[:1] == [5]


def test_everything_on_the_table() -> None:
    assert set(found("everything on the table")) >= {2, 3, 4, 5, 7}
    assert not {1, 8, 9} & set(found("everything on the table"))


def test_scope() -> None:
    T = np.eye(4)
    T[:3, 3] = (-0.35, 0, 0.75)
    assert found("mug", T_world_box=T, size=np.full(3, 0.3)) == [3]
    assert found("", T_world_box=T, size=np.full(3, 0.3)) == [3]
    assert found("", id=7) == [7]
    assert "object 77 is not in the map" in ask("", id=77).message
    with pytest.raises(QueryError, match="empty"):
        ask("")


def test_body_axes() -> None:
    facing_east = np.eye(4)  # x forward, y left
    facing_east[:3, 3] = (-2, 0, 0)
    view = Viewpoint.of_body(facing_east)
    assert np.allclose(view.forward, [1, 0, 0])
    assert np.allclose(view.right, [0, -1, 0])


def test_a_camera_that_looks_straight_down() -> None:
    T = np.array([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 2], [0, 0, 0, 1]])  # image up is +y
    view = Viewpoint.of_camera(T)
    assert np.allclose(view.right, [1, 0, 0])
    assert np.allclose(view.forward, [0, 1, 0])


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("the mug nearest to me", 4),
        ("the thing closest to you", 7),
        ("the closest mug to me", 4),
        ("the mug farthest from the robot", 3),
        ("the mug on my left", 3),
        ("the mug left of me", 3),
        ("the mug right of the robot", 4),
        ("the bowl in front of me", 7),
        ("the laptop between me and the book", 2),
        ("the ball next to you", 8),
    ],
)
def test_who_looks_is_an_anchor_too(text: str, first: int) -> None:
    """The observer stands near the ball, between the mugs, and looks north; the ball lies at its feet."""
    here = np.eye(4)
    here[:3, :3] = FROM_SOUTH[:3, :3]
    here[:3, 3] = (0.1, -0.7, 0.6)
    if "ball" in text:
        here[:3, 3] = (0.9, 0.4, 0.0)
    assert found(text, viewpoint=here)[:1] == [first], ask(text, viewpoint=here).message


def test_nothing_is_behind_an_observer_who_stands_before_everything() -> None:
    outside = FROM_SOUTH.copy()
    outside[:3, 3] = (0, -5, 1)
    assert ask("the mug behind me", viewpoint=outside).status is QueryStatus.ABSENT
    assert ask("the mug on me", viewpoint=outside).status is QueryStatus.ABSENT
    back = np.diag([-1.0, -1.0, 1.0, 1.0]) @ outside  # at y = 5, looking south: turned away from there it is
    back[:3, :3] = FROM_SOUTH[:3, :3]
    assert set(found("the mug behind me", viewpoint=back)) == {3, 4}


def test_a_thing_called_robot_is_meant_where_there_is_one() -> None:
    renamed = [dataclasses.replace(o, label="robot") if o.id == 8 else o for o in WORLD.instances.objects]
    world = dataclasses.replace(WORLD, instances=dataclasses.replace(WORLD.instances, objects=tuple(renamed)))
    far = Scope(Viewpoint.of_camera(np.diag([1.0, 1, 1, 1]) @ translated(FROM_SOUTH, (-3, 0, 0))))

    def first(text: str, scope: Scope) -> int:
        return rank(world, text, None, LanguageConfig(), 0, 0.0, scope).hits[0].object.id

    assert first("the mug nearest to the robot", Scope()) == 4
    assert first("the mug nearest to the robot", far) == 4
    assert first("the mug nearest to me", far) == 3


def translated(T: FloatArray, by: tuple[float, float, float]) -> FloatArray:
    moved = T.copy()
    moved[:3, 3] += by
    return moved

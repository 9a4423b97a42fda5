"""Pointing, views, surfaces and removal on the ground with two cards, mapped by the real mapper."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from cards import map_of_cards
from helpers import CARDS, orbit, small_config

from ig_ros.errors import QueryError
from ig_ros.mapper import Mapper
from ig_ros.planning import object_at_pixel, object_at_point, object_surface, render_view
from ig_ros.planning.object_geometry import REACH, free_side, normals
from ig_ros.types import Instances, MapSnapshot, ObjectInstance


@pytest.fixture(scope="module")
def mapper() -> Mapper:
    return map_of_cards(8, 60)


def number_of(mapper: Mapper, name: str) -> int:
    return next(o.id for o in mapper.latest.instances.objects if o.label == name)


@pytest.mark.parametrize("card", CARDS)
def test_a_point_on_a_card_means_the_card(mapper: Mapper, card: int) -> None:
    name, (x, y) = CARDS[card]
    assert object_at_point(mapper.latest, np.array([x, y, 0.0])).label == name
    with pytest.raises(QueryError, match="no object at"):
        object_at_point(mapper.latest, np.array([x, y, 1.0]))


def test_the_pixel_that_shows_a_card_means_the_card(mapper: Mapper) -> None:
    keyframe = mapper.view()
    rows, cols = np.nonzero(keyframe.labels.numpy() == 1)
    u, v = cols.mean() + 0.5, rows.mean() + 0.5
    found, point = object_at_pixel(mapper.latest, keyframe.camera, keyframe.T_world_camera, u, v)
    assert found.label == CARDS[1][0]
    assert abs(point[2]) < 0.05
    with pytest.raises(QueryError, match="outside"):
        object_at_pixel(mapper.latest, keyframe.camera, keyframe.T_world_camera, -1, 5)


def test_views_show_what_is_asked_for(mapper: Mapper) -> None:
    keyframe, red, blue = mapper.view(), number_of(mapper, "red card"), number_of(mapper, "blue card")

    def ids(**masking: tuple[int, ...]) -> set[int]:
        view = render_view(mapper.latest, keyframe.camera, keyframe.T_world_camera, **masking)
        return set(np.unique(view.instances).tolist()) - {0}

    assert {red, blue} <= ids()
    assert ids(only=(red,)) == {red}
    assert red not in ids(without=(red,))
    view = render_view(mapper.latest, keyframe.camera, keyframe.T_world_camera)
    seen = view.depth > 0
    assert np.median(np.abs(view.depth - keyframe.depth.float().numpy())[seen]) < 0.03
    with pytest.raises(QueryError, match="object 99"):
        render_view(mapper.latest, keyframe.camera, keyframe.T_world_camera, only=(99,))


def test_a_removed_object_stays_away_and_the_others_stay(mapper: Mapper) -> None:
    other = Mapper(mapper.config)
    for frame in orbit(8):
        other.add_frame(frame)
    for _ in range(60):
        other.train_step()
    other.instantiate()
    red = number_of(other, "red card")
    before = len(other.scaffold.anchors)
    gone = other.remove_object(red)
    assert gone > 5
    assert len(other.scaffold.anchors) == before - gone
    assert red not in [o.id for o in other.latest.instances.objects]
    for _ in range(20):
        other.train_step()
    labels = [o.label for o in other.instantiate().instances.objects]
    assert "red card" not in labels
    assert "blue card" in labels
    with pytest.raises(QueryError, match="not in the map"):
        other.remove_object(red)


def test_an_object_removed_during_an_instantiation_stays_away(mapper: Mapper) -> None:
    other = Mapper(mapper.config)
    for frame in orbit(8):
        other.add_frame(frame)
    for _ in range(60):
        other.train_step()
    other.instantiate()
    red, frozen = number_of(other, "red card"), other.freeze()
    other.remove_object(red)
    version = other.latest.version
    snapshot = other.instantiate(frozen)  # of the map with the card
    assert other.latest is snapshot
    assert red not in [o.id for o in snapshot.instances.objects]
    assert not (snapshot.instances.point_ids == red).any()
    assert snapshot.version > version
    assert "blue card" in [o.label for o in snapshot.instances.objects]


def block_on_a_table(wall: bool) -> MapSnapshot:
    """A 10 cm cube on z = 0.7, a table under it and, if asked for, a wall right of it and a lid above."""
    random = np.random.default_rng(1)
    cube = random.uniform(-0.05, 0.05, (600, 3))
    side = random.integers(0, 3, 600)
    cube[np.arange(600), side] = np.sign(cube[np.arange(600), side]) * 0.05
    cube += [0, 0, 0.75]
    table = np.column_stack([random.uniform(-0.5, 0.5, (3000, 2)), np.full(3000, 0.7)])
    parts, ids = [cube, table], [np.full(600, 1), np.full(3000, 2)]
    if wall:
        lid = np.column_stack([random.uniform(-0.2, 0.2, (500, 2)), np.full(500, 0.85)])
        plate = np.column_stack([np.full(500, 0.12), random.uniform(-0.2, 0.2, 500), random.uniform(0.7, 0.9, 500)])
        parts += [lid, plate]
        ids += [np.full(1000, 3)]
    xyz, owner = np.concatenate(parts).astype(np.float32), np.concatenate(ids).astype(np.int32)
    T = np.eye(4)
    T[2, 3] = 0.75
    box = ObjectInstance(1, "cube", 1.0, 3, T, np.full(3, 0.1), 600)
    ones = np.ones(len(xyz), np.float32)
    instances = Instances(owner, ones, (box,))
    return MapSnapshot(1, 1, 0, xyz, np.zeros((len(xyz), 3), np.uint8), ones, instances)


def test_the_support_of_a_block() -> None:
    surface = object_surface(block_on_a_table(wall=False), 1)
    assert surface.support == 2
    assert surface.plane is not None
    assert np.allclose(surface.plane, [0, 0, 1, -0.7], atol=1e-3)
    assert np.allclose(surface.free_side, [0, 0, 1])
    assert surface.clearance == REACH
    top = block_on_a_table(wall=False).xyz[surface.rows][:, 2] > 0.7999
    assert np.median(surface.normals[top][:, 2]) > 0.95


def test_the_free_side_turns_away_from_obstacles() -> None:
    surface = object_surface(block_on_a_table(wall=True), 1)
    assert abs(surface.free_side[2]) < 1e-6
    assert surface.free_side[0] < 0.5
    assert surface.clearance == REACH


def test_normals_of_a_plane_and_an_empty_neighbourhood() -> None:
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 6), np.linspace(0, 1, 6)), -1).reshape(-1, 2)
    flat = np.column_stack([grid, np.zeros(len(grid))])
    assert np.allclose(normals(flat, np.array([0.5, 0.5, -1.0])), [0, 0, 1], atol=1e-6)
    box = ObjectInstance(1, "", 1.0, 3, np.eye(4), np.full(3, 0.1), 1)
    assert free_side(np.zeros((0, 3)), box, None)[1] == REACH


def test_a_view_is_that_of_the_moment_and_of_the_camera_asked_for_or_refused() -> None:
    mapper = Mapper(small_config())
    for i, frame in enumerate(orbit(4)):  # 0.1 s apart
        mapper.add_frame(dataclasses.replace(frame, source=("left", "right")[i % 2]))
    stamps = [k.stamp for k in mapper.keyframes.items]
    assert mapper.view(stamps[1] + 40_000_000).stamp == stamps[1]
    assert mapper.view(stamps[1] + 40_000_000, "left").stamp == stamps[2]
    assert mapper.view(None, "left").stamp == stamps[2]
    with pytest.raises(QueryError, match=r"the nearest image that the map keeps is 0\.30 s away"):
        mapper.view(stamps[-1] + 300_000_000)
    with pytest.raises(QueryError, match="no image"):
        mapper.view(None, "rear")

"""The mapper from frames to answers, on a ground with two cards."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from helpers import CARDS, orbit, small_config

from ig_ros.errors import FrameError, QueryError
from ig_ros.geometry import back_project, transform
from ig_ros.mapper import Mapper
from ig_ros.types import FloatArray, MapSnapshot, QueryStatus


def trained(frames: int = 6, steps: int = 40, **changes: object) -> Mapper:
    mapper = Mapper(small_config(**changes))
    for frame in orbit(frames):
        mapper.add_frame(frame)
    for _ in range(steps):
        mapper.train_step()
    return mapper


def assert_same(a: MapSnapshot, b: MapSnapshot) -> None:
    for name in ("xyz", "rgb", "opacity"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_array_equal(a.instances.point_ids, b.instances.point_ids)
    assert [(o.id, o.label, o.views, o.points) for o in a.instances.objects] == [
        (o.id, o.label, o.views, o.points) for o in b.instances.objects
    ]


def test_two_cards_are_mapped_found_and_named() -> None:
    mapper = trained()
    snapshot = mapper.instantiate()
    assert {o.label for o in snapshot.instances.objects} == {name for name, _ in CARDS.values()}
    for name, center in CARDS.values():
        result = mapper.query(name)
        assert result.status is QueryStatus.FOUND
        hit = result.hits[0]
        assert hit.object.label == name
        np.testing.assert_allclose(hit.object.T_world_box[:3, 3], [*center, 0.0], atol=0.04)
    assert mapper.query("green card").status is QueryStatus.ABSENT
    with pytest.raises(QueryError):
        mapper.query("   ")


def test_the_snapshot_is_consistent_and_outlives_the_training() -> None:
    mapper = trained()
    snapshot = mapper.instantiate()
    n = len(snapshot.xyz)
    assert n > 500
    assert snapshot.rgb.shape == (n, 3)
    assert len(snapshot.opacity) == len(snapshot.instances.point_ids) == len(snapshot.instances.point_confidence) == n
    assert snapshot.stamp == mapper.keyframes.items[-1].stamp
    assert snapshot.step == 40
    known = {o.id for o in snapshot.instances.objects}
    assert set(np.unique(snapshot.instances.point_ids).tolist()) <= known | {-1}
    for thing in snapshot.instances.objects:
        assert thing.points == (snapshot.instances.point_ids == thing.id).sum()
        assert 0 <= thing.confidence <= 1
    copy = dataclasses.replace(snapshot, xyz=snapshot.xyz.copy(), opacity=snapshot.opacity.copy())
    for _ in range(5):
        mapper.train_step()
    assert_same(snapshot, copy)


def test_ids_and_versions_last_while_training_goes_on() -> None:
    mapper = trained()
    first = {o.label: o.id for o in mapper.instantiate().instances.objects}
    for _ in range(20):
        mapper.train_step()
    second = mapper.instantiate()
    assert {o.label: o.id for o in second.instances.objects} == first
    assert second.version == 2
    assert second.step == 60


def test_the_same_seed_gives_the_same_map_and_objects() -> None:
    assert_same(trained().instantiate(), trained().instantiate())


def test_pictures_and_poses_alone_plant_anchors_and_train() -> None:
    mapper = Mapper(small_config())
    frames = orbit(8, depth=False)
    mapper.add_frame(frames[0])
    assert len(mapper.scaffold.anchors) == 0
    for frame in frames[1:]:
        mapper.add_frame(frame)
    assert len(mapper.scaffold.anchors) > 200
    height = mapper.scaffold.anchors.data["position"][:, 2].abs()
    assert float(height.median()) < 0.02
    losses = [r.loss for r in (mapper.train_step() for _ in range(60)) if r is not None]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])
    labels = {o.label for o in mapper.instantiate().instances.objects}
    assert {"red card", "blue card"} <= labels


def test_what_returns_no_depth_in_any_image_is_planted_by_stereo() -> None:
    mapper = Mapper(small_config())
    for frame in orbit(8):
        assert frame.depth is not None
        rows, cols = np.indices(frame.depth.shape).reshape(2, -1)
        x = transform(frame.T_world_camera, back_project(frame.depth, frame.camera, rows, cols))[:, 0]
        measured = np.where(x.reshape(frame.depth.shape) < 0, frame.depth, 0).astype(np.float32)
        mapper.add_frame(dataclasses.replace(frame, depth=measured))
    planted = mapper.scaffold.anchors.data["position"].numpy()
    planted = planted[planted[:, 0] > 0.05]
    assert len(planted) > 50
    assert np.median(np.abs(planted[:, 2])) < 0.02


def test_depth_can_be_ignored() -> None:
    mapper = Mapper(small_config(input__use_depth=False))
    mapper.add_frame(orbit(4)[0])
    assert len(mapper.scaffold.anchors) == 0


def test_map_points_are_planted_once_with_the_colour_seen_there() -> None:
    mapper = Mapper(small_config())
    points = np.array([[-0.25, 0.0, 0.0], [0.25, 0.0, 0.0], [0.25, 0.001, 0.0], [0.0, 0.3, 0.0]])
    with pytest.raises(FrameError) as caught:
        mapper.add_points(points, None)
    assert caught.value.cause == "points_before_image"
    mapper.add_frame(orbit(5, depth=False)[2])
    assert mapper.add_points(points, None) == 3
    assert mapper.add_points(points, None) == 0
    anchors = mapper.scaffold.anchors
    x = anchors.data["position"][:, 0]
    color = anchors.parameters["color"].sigmoid()
    red, blue = color[x < -0.2][0], color[x > 0.2][0]
    assert float(red[0]) > 1.5 * float(red[2])
    assert float(blue[2]) > 1.5 * float(blue[0])
    given = mapper.add_points(np.array([[0.9, 0.9, 0.0]]), np.array([[255, 0, 51]], np.uint8))
    assert given == 1
    np.testing.assert_allclose(anchors.parameters["color"][-1].sigmoid(), [0.98, 0.02, 0.2], atol=1e-3)


def test_max_anchors_bounds_every_way_of_planting() -> None:
    mapper = Mapper(small_config(seeding__max_anchors=150))
    for frame in orbit(4):
        mapper.add_frame(frame)
    assert len(mapper.scaffold.anchors) == 150
    assert mapper.add_points(np.array([[2.0, 2.0, 0.0]]), None) == 0
    assert len(mapper.scaffold.anchors) == 150


def test_a_view_of_new_ground_is_planted_although_the_model_shows_nothing_there() -> None:
    """The first camera's anchors are all out of the second one's sight."""
    mapper = Mapper(small_config())
    frames = orbit(3)
    mapper.add_frame(frames[0])
    started = len(mapper.scaffold.anchors)
    moved = frames[1].T_world_camera.copy()
    moved[0, 3] += 50.0
    assert frames[1].depth is not None
    mapper.add_frame(dataclasses.replace(frames[1], T_world_camera=moved))
    assert len(mapper.scaffold.anchors) > 1.5 * started


def test_frames_without_motion_are_not_kept() -> None:
    mapper = Mapper(small_config())
    frame = orbit(3)[0]
    assert mapper.add_frame(frame)
    assert not mapper.add_frame(dataclasses.replace(frame, stamp=frame.stamp + 1))
    assert len(mapper.keyframes) == 1


def test_an_empty_map_answers_why_it_cannot_and_instantiates_to_nothing() -> None:
    mapper = Mapper(small_config())
    assert mapper.query("mug").status is QueryStatus.NOT_READY
    snapshot = mapper.instantiate()
    assert len(snapshot.xyz) == 0
    assert snapshot.instances.objects == ()
    result = mapper.query("mug")
    assert result.status is QueryStatus.NOT_READY
    assert result.message


def test_without_masks_the_map_has_no_objects_and_says_so() -> None:
    mapper = Mapper(small_config())
    for frame in orbit(4, masks=False):
        mapper.add_frame(frame)
    for _ in range(10):
        mapper.train_step()
    snapshot = mapper.instantiate()
    assert len(snapshot.xyz) > 0
    assert snapshot.instances.objects == ()
    assert (snapshot.instances.point_ids == -1).all()
    assert mapper.query("red card").status is QueryStatus.NOT_READY


def test_a_map_frozen_before_a_reset_is_not_instantiated_after_it() -> None:
    mapper = Mapper(small_config())
    mapper.add_frame(next(iter(orbit(1))))
    frozen = mapper.freeze()
    mapper.reset()
    with pytest.raises(QueryError, match="emptied or replaced"):
        mapper.instantiate(frozen)
    assert mapper.latest is None


def test_reset_forgets_everything_and_starts_as_new() -> None:
    mapper = trained()
    first = mapper.instantiate()
    mapper.reset()
    assert len(mapper.scaffold.anchors) == len(mapper.keyframes) == mapper.trainer.step == 0
    assert mapper.query("red card").status is QueryStatus.NOT_READY
    for frame in orbit(6):
        mapper.add_frame(frame)
    for _ in range(40):
        mapper.train_step()
    again = mapper.instantiate()
    given = max(o.id for o in first.instances.objects)
    assert min(o.id for o in again.instances.objects) == given + 1, "no id is given twice"
    ids = np.where(again.instances.point_ids > 0, again.instances.point_ids - given, -1).astype(np.int32)
    objects = tuple(dataclasses.replace(o, id=o.id - given) for o in again.instances.objects)
    instances = dataclasses.replace(again.instances, point_ids=ids, objects=objects)
    assert_same(dataclasses.replace(again, instances=instances), first)


def test_objects_of_a_map_that_was_reset_meanwhile_do_not_come_back() -> None:
    mapper = trained()

    class Resetting:
        """Names labels, and resets the map while an instantiation waits for it."""

        name, dimension = "resetting", 2

        def encode_text(self, texts: Sequence[str]) -> FloatArray:
            return self.encode_labels(texts)

        def encode_labels(self, labels: Sequence[str]) -> FloatArray:
            mapper.reset()
            return np.ones((len(labels), 2), np.float32)

        def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:  # noqa: ARG002
            return np.ones(len(embeddings))

    mapper.encoder = Resetting()
    assert len(mapper.instantiate().instances.objects) == 2
    assert mapper.latest is None
    assert mapper.query("red card").status is QueryStatus.NOT_READY


@pytest.mark.parametrize(("trusted", "named"), [(1, False), (2, True)])
def test_an_object_described_in_one_view_has_no_language(trusted: int, named: bool) -> None:
    """The segmenter vouches for the masks of the first `trusted` frames alone; all of them help to find the objects."""
    mapper = Mapper(small_config())
    for i, frame in enumerate(orbit(5)):
        assert frame.masks is not None
        scores = dict.fromkeys(CARDS, 1.0 if i < trusted else 0.0)
        mapper.add_frame(dataclasses.replace(frame, masks=dataclasses.replace(frame.masks, scores=scores)))
    for _ in range(10):
        mapper.train_step()
    found = mapper.instantiate().instances
    assert len(found.objects) == 2
    assert {o.label for o in found.objects} == ({name for name, _ in CARDS.values()} if named else {""})

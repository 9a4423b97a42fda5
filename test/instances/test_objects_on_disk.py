"""Objects on disk are still known, and are the same objects when the camera returns."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from helpers import ground_frame, look_at, small_config

from ig_ros.errors import QueryError, StorageError
from ig_ros.instances.tracking import ObjectTracker
from ig_ros.map_io import load_map, save_map
from ig_ros.mapper import Mapper
from ig_ros.types import FloatArray, Frame, Instances, MapSnapshot, ObjectInstance, QueryStatus

UNIT = np.array([0.6, 0.8], np.float32)


def thing(number: int) -> ObjectInstance:
    return ObjectInstance(number, f"thing {number}", 0.9, 3, np.eye(4), np.ones(3), 10)


def snapshot(*things: ObjectInstance) -> MapSnapshot:
    table: FloatArray = np.tile(UNIT, (len(things), 1))
    instances = Instances(np.zeros(0, np.int32), np.zeros(0, np.float32), things, table)
    return MapSnapshot(1, 1, 0, np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0), instances)


def seen(tracker: ObjectTracker, places: dict[int, range], on_disk: range, latest: MapSnapshot | None) -> Instances:
    """An instantiation that finds one thing at each place, by its expected id: the uids of its anchors."""
    uid = np.array([u for anchors in places.values() for u in anchors], np.int64)
    instance = np.repeat(np.arange(len(places)), [len(anchors) for anchors in places.values()])
    tracker.begin(uid, np.array(on_disk))
    ids = tracker.rename(uid, instance, len(places))
    assert ids.tolist() == list(places)
    found = snapshot(*(thing(int(i)) for i in ids)).instances
    return tracker.complete(found, uid, latest, np.zeros((0, 3), np.uint8))


ONE, TWO = range(10, 15), range(20, 25)  # uids of their anchors


def test_an_object_on_disk_keeps_id_box_name_and_embedding() -> None:
    tracker, latest = ObjectTracker(), snapshot(thing(1), thing(2))
    seen(tracker, {1: ONE, 2: TWO}, range(0), None)
    original = latest.instances.objects[0]
    for _ in range(3):  # it stays known although later snapshots never find it
        instances = seen(tracker, {2: TWO}, range(10, 20), latest)
        assert [o.id for o in instances.objects] == [2, 1]
        kept = instances.objects[1]
        assert (kept.label, kept.T_world_box, kept.size) == (original.label, original.T_world_box, original.size)
        np.testing.assert_array_equal(instances.embeddings, [UNIT, UNIT])
        assert instances.vanished == ()
        latest = dataclasses.replace(latest, instances=instances)


def test_what_was_pruned_and_not_paged_is_gone() -> None:
    tracker = ObjectTracker()
    seen(tracker, {1: ONE, 2: TWO}, range(0), None)
    instances = seen(tracker, {2: TWO}, range(99, 100), snapshot(thing(1), thing(2)))
    assert [o.id for o in instances.objects] == [2]
    assert instances.vanished == (1,)


def test_what_returns_has_its_id_and_is_found_only_once() -> None:
    tracker, latest = ObjectTracker(), snapshot(thing(1), thing(2))
    seen(tracker, {1: ONE, 2: TWO}, range(0), None)
    assert [o.id for o in seen(tracker, {1: ONE}, TWO, latest).objects] == [1, 2]
    again = seen(tracker, {1: ONE, 2: TWO}, range(0), latest)
    assert [o.id for o in again.objects] == [1, 2]
    assert not tracker.is_on_disk(2)


def test_an_object_taken_out_of_the_map_is_no_longer_on_disk() -> None:
    tracker = ObjectTracker()
    seen(tracker, {1: ONE}, range(0), None)
    assert seen(tracker, {}, ONE, snapshot(thing(1))).objects
    assert tracker.is_on_disk(1)
    tracker.forget(1)
    assert not tracker.is_on_disk(1)
    assert not seen(tracker, {}, ONE, None).objects


def test_a_copy_changes_without_the_original() -> None:
    tracker = ObjectTracker()
    seen(tracker, {1: ONE, 2: TWO}, range(0), None)
    before = tracker.state()
    other = tracker.copy()
    seen(other, {2: TWO, 3: range(30, 35)}, ONE, snapshot(thing(1), thing(2)))
    other.forget(1)
    arrays, labels = tracker.state()
    assert labels == before[1]
    for name, array in before[0].items():
        np.testing.assert_array_equal(arrays[name], array)


def drive(stops: FloatArray, first: int) -> list[Frame]:
    return [ground_frame(look_at((x, -0.15, 0.8), (x, 0.05, 0.0)), first + i) for i, x in enumerate(stops)]


def test_a_robot_that_drives_away_still_answers_and_finds_the_same_objects_on_return() -> None:
    mapper = Mapper(small_config(seeding__max_anchors=2000, memory__reach=1.3, memory__tile=0.3))

    def go(stops: FloatArray, first: int, steps: int) -> MapSnapshot:
        for frame in drive(stops, first):
            mapper.insert(frame)
            for _ in range(steps):
                mapper.train_step()
        return mapper.instantiate()

    home = go(np.linspace(-0.3, 0.3, 6), 0, 8)
    ids = {o.label: o.id for o in home.instances.objects}
    assert set(ids) == {"red card", "blue card"}
    far = go(np.linspace(0.6, 2.4, 7), 10, 1)
    far = go(np.linspace(2.4, 2.2, 3), 20, 1)
    red = next(o for o in home.instances.objects if o.label == "red card")
    assert np.abs(far.xyz - red.T_world_box[:3, 3]).max(axis=1).min() > 0.2  # nothing of it is in memory
    assert {o.label: o.id for o in far.instances.objects} == ids
    kept = next(o for o in far.instances.objects if o.label == "red card")
    np.testing.assert_allclose(kept.T_world_box, red.T_world_box, atol=0.02)
    answer = mapper.query("red card")
    assert answer.status is QueryStatus.FOUND
    assert answer.hits[0].object.id == ids["red card"]
    back = go(np.linspace(2.1, 0.0, 8), 30, 1)
    assert {o.label: o.id for o in back.instances.objects} == ids
    assert np.abs(back.xyz - red.T_world_box[:3, 3]).max(axis=1).min() < 0.1


def test_a_saved_map_keeps_what_is_on_disk_and_resumes(tmp_path: Path) -> None:
    mapper = Mapper(small_config(seeding__max_anchors=2000, memory__reach=1.3, memory__tile=0.3))
    for frame in drive(np.linspace(-0.3, 0.3, 6), 0):
        mapper.insert(frame)
        for _ in range(8):
            mapper.train_step()
    ids = {o.label: o.id for o in mapper.instantiate().instances.objects}
    for frame in drive(np.linspace(0.6, 2.4, 8), 10):
        mapper.insert(frame)
    mapper.instantiate()
    away = mapper.state.pager.uids_on_disk()
    assert len(away) > 500
    save_map(mapper, tmp_path / "map")
    loaded = Mapper(mapper.config)
    for _ in range(2):  # a map that was loaded and has used its tiles up is still whole on disk
        load_map(loaded, tmp_path / "map")
        np.testing.assert_array_equal(np.sort(loaded.state.pager.uids_on_disk()), np.sort(away))
        assert [k.missing for k in loaded.keyframes.items] == [k.missing for k in mapper.keyframes.items]
        assert {o.label: o.id for o in loaded.instantiate().instances.objects} == ids
        for frame in drive(np.linspace(2.1, 0.0, 8), 30):
            loaded.insert(frame)
        assert {o.label: o.id for o in loaded.instantiate().instances.objects} == ids
        assert len(np.intersect1d(loaded.scaffold.anchors.data["uid"].numpy(), away)) > 500
    next((tmp_path / "map" / "tiles").iterdir()).write_bytes(b"damaged")
    with pytest.raises(StorageError, match="damaged"):
        load_map(loaded, tmp_path / "map")


def test_the_encoder_is_known_and_an_object_on_disk_cannot_be_removed() -> None:
    mapper, tracker = Mapper(small_config()), ObjectTracker()
    state, labels = tracker.state()
    state |= {"on_disk.uid": np.array([10]), "on_disk.id": np.array([4])}
    tracker.load_state(state, labels, None)
    assert not tracker.is_on_disk(4)
    latest = snapshot(thing(4))
    latest = dataclasses.replace(
        latest, instances=dataclasses.replace(latest.instances, encoder="words", threshold=0.4)
    )
    tracker.load_state(state, labels, latest)
    none = Instances(np.zeros(0, np.int32), np.zeros(0, np.float32))
    tracker.begin(np.zeros(0, np.int64), np.array([10]))
    instances = tracker.complete(none, np.zeros(0, np.int64), latest, np.zeros((0, 3), np.uint8))
    assert (instances.encoder, instances.threshold) == ("words", 0.4)
    assert instances.embeddings.shape == (1, 2)
    mapper.adopt(
        dataclasses.replace(mapper.state, latest=dataclasses.replace(latest, instances=instances), tracker=tracker)
    )
    with pytest.raises(QueryError, match="far away"):
        mapper.remove_object(4)

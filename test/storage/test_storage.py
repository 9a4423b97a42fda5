"""Maps on disk: what is written comes back equal; what is not a map is refused and nothing is lost."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import orbit, small_config
from safetensors.torch import load_file
from storage.maps import make

from ig_ros.errors import StorageError
from ig_ros.map_io import CLOUD, KEYFRAMES, MANIFEST, MODEL, SCHEMA, load_map, read_snapshot, save_map
from ig_ros.mapper import Mapper
from ig_ros.types import MapSnapshot


def assert_snapshots_equal(a: MapSnapshot | None, b: MapSnapshot | None) -> None:
    assert a is not None
    assert b is not None
    assert (a.version, a.step, a.stamp) == (b.version, b.step, b.stamp)
    for name in ("xyz", "rgb", "opacity"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("point_ids", "point_confidence", "embeddings"):
        np.testing.assert_array_equal(getattr(a.instances, name), getattr(b.instances, name))
    assert a.instances.encoder == b.instances.encoder
    assert a.instances.merged_into == b.instances.merged_into
    assert a.instances.vanished == b.instances.vanished
    assert len(a.instances.objects) == len(b.instances.objects) > 0
    for one, other in zip(a.instances.objects, b.instances.objects, strict=True):
        for field in dataclasses.fields(one):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def assert_maps_equal(a: Mapper, b: Mapper) -> None:
    for name, tensor in a.scaffold.anchors.state().items():
        assert torch.equal(tensor, b.scaffold.anchors.state()[name]), name
    for name, tensor in a.scaffold.decoder.state_dict().items():
        assert torch.equal(tensor, b.scaffold.decoder.state_dict()[name]), name
    assert a.trainer.step == b.trainer.step
    assert a.keyframes.next_uid == b.keyframes.next_uid
    assert len(a.keyframes) == len(b.keyframes) > 0
    for one, other in zip(a.keyframes.items, b.keyframes.items, strict=True):
        for name in ("uid", "stamp", "index", "estimated", "loss", "uses", "last_used", "source"):
            assert getattr(one, name) == getattr(other, name), name
        np.testing.assert_array_equal(one.T_world_camera, other.T_world_camera)
        np.testing.assert_array_equal(one.camera.K, other.camera.K)
        for name in ("rgb", "depth", "labels"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name
        assert one.masks is not None
        assert other.masks is not None
        assert one.masks.names == other.masks.names
    (arrays, labels), (others, other_labels) = a.state.tracker.state(), b.state.tracker.state()
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name])
    assert labels == other_labels != []
    assert_snapshots_equal(a.latest, b.latest)


def test_a_loaded_map_equals_the_saved_one_and_trains_on(mapper: Mapper, saved: Path) -> None:
    loaded = Mapper(mapper.config)
    load_map(loaded, saved)
    assert_maps_equal(mapper, loaded)
    result = loaded.train_step()
    assert result is not None
    assert result.step == mapper.trainer.step + 1
    assert result.loss < 0.1  # it goes on where it stood instead of learning anew
    ids = {o.label: o.id for o in loaded.instantiate().instances.objects}
    assert mapper.latest is not None
    assert ids == {o.label: o.id for o in mapper.latest.instances.objects}


def test_new_things_of_a_loaded_map_get_new_numbers(mapper: Mapper, saved: Path) -> None:
    loaded = Mapper(mapper.config)
    load_map(loaded, saved)
    anchors = loaded.scaffold.anchors
    before = int(anchors.data["uid"].max())
    loaded.add_points(np.array([[2.0, 2.0, 0.0]]), None)
    assert int(anchors.data["uid"][-1]) > before
    assert loaded.keyframes.next_uid == mapper.keyframes.next_uid


def test_a_map_of_another_schema_is_refused_with_the_remedy(mapper: Mapper, saved: Path) -> None:
    old = json.loads((saved / MANIFEST).read_text()) | {"schema": SCHEMA - 1}
    (saved / MANIFEST).write_text(json.dumps(old))
    with pytest.raises(StorageError, match="map the recording again"):
        load_map(Mapper(mapper.config), saved)


def test_a_map_of_more_keyframes_than_fit_keeps_as_many_as_fit(mapper: Mapper, saved: Path) -> None:
    small = Mapper(small_config(keyframes__capacity=3))
    load_map(small, saved)
    assert len(small.keyframes) == 3
    small.add_frame(dataclasses.replace(orbit(9)[7], stamp=10**12))
    assert len(small.keyframes) == 3
    assert small.train_step() is not None


def test_objects_alone_can_be_read(mapper: Mapper, saved: Path) -> None:
    snapshot, config = read_snapshot(saved)
    assert_snapshots_equal(snapshot, mapper.latest)
    assert config == mapper.config


def test_a_map_without_objects_or_frames_is_a_map_too(tmp_path: Path) -> None:
    empty = Mapper(small_config())
    save_map(empty, tmp_path / "map")
    loaded = make(1)
    load_map(loaded, tmp_path / "map")
    assert len(loaded.scaffold.anchors) == len(loaded.keyframes) == 0
    assert loaded.latest is None
    assert read_snapshot(tmp_path / "map")[0] is None


def test_saving_again_replaces_and_leaves_no_scratch(mapper: Mapper, saved: Path) -> None:
    save_map(mapper, saved)
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]
    assert sorted(p.name for p in saved.iterdir()) == sorted([MANIFEST, MODEL, KEYFRAMES, CLOUD])


def test_a_folder_that_is_not_a_map_is_never_overwritten(mapper: Mapper, tmp_path: Path) -> None:
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter1.tex").write_text("years of work")
    with pytest.raises(StorageError, match="not a map"):
        save_map(mapper, foreign)
    assert (foreign / "chapter1.tex").read_text() == "years of work"
    with pytest.raises(StorageError, match="not a map"):
        load_map(Mapper(mapper.config), foreign)


@pytest.mark.parametrize("kind", ["file in the way", "parent is a file", "proc"])
def test_a_path_that_cannot_be_written_is_named(mapper: Mapper, tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("mine")
    target = {
        "file in the way": tmp_path / "file",
        "parent is a file": tmp_path / "file" / "map",
        "proc": Path("/proc/ig_ros/map"),
    }[kind]
    with pytest.raises(StorageError) as caught:
        save_map(mapper, target)
    assert str(target) in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_map_inside_another_map_is_refused(mapper: Mapper, saved: Path) -> None:
    for inside in (saved / "x", saved / "deep" / "x"):
        with pytest.raises(StorageError, match="inside the map"):
            save_map(mapper, inside)
    save_map(mapper, saved)
    assert load_file(saved / MODEL)


def test_a_name_of_an_unfinished_map_is_refused_and_what_bears_it_stays(mapper: Mapper, saved: Path) -> None:
    with pytest.raises(StorageError, match="dot"):
        save_map(mapper, saved.with_name(".map.old"))
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_everything_is_on_the_disk_before_the_name(
    mapper: Mapper, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    sync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda h: (events.append(Path(os.readlink(f"/proc/self/fd/{h}")).name), sync(h)))
    monkeypatch.setattr(os, "rename", lambda a, b: events.append("rename") or rename(a, b))
    save_map(mapper, saved)
    before, after = events[: events.index("rename")], events[events.index("rename") + 2 :]
    assert {MANIFEST, MODEL, KEYFRAMES, CLOUD} <= set(before)
    assert before[-1].startswith(".map.")
    assert after == [saved.parent.name]


def test_a_full_disk_is_told_and_the_map_before_stays(mapper: Mapper, saved: Path) -> None:
    before = {p.name: p.read_bytes() for p in saved.iterdir()}
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
    try:
        with pytest.raises(StorageError) as caught:
            save_map(mapper, saved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert str(saved) in str(caught.value)
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == before


def test_a_map_that_could_not_be_loaded_does_not_replace_one_that_can(saved: Path) -> None:
    broken = make(2)
    broken.scaffold.anchors.data["opacity"][3] = float("nan")
    with pytest.raises(StorageError, match="not finite"):
        save_map(broken, saved)
    load_map(Mapper(broken.config), saved)
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(mapper: Mapper, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(StorageError, match="locked"):
        save_map(mapper, locked / "map")


def test_a_map_of_other_scaffold_parameters_says_what_to_do(saved: Path) -> None:
    with pytest.raises(StorageError, match="scaffold parameters"):
        load_map(Mapper(small_config(scaffold__children=4)), saved)


def test_a_missing_folder_is_not_a_map(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        read_snapshot(tmp_path / "nowhere")

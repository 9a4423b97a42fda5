"""Labelled clouds and one file per object: read back they are the snapshot."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyData

from ig_ros.errors import StorageError
from ig_ros.export import labelled_points, names_of, write_objects, write_pcd, write_ply
from ig_ros.types import Instances, MapSnapshot, ObjectInstance

N = 30


def thing(number: int, label: str, points: int) -> ObjectInstance:
    return ObjectInstance(number, label, 0.9, 4, np.eye(4), np.ones(3), points)


@pytest.fixture
def snapshot() -> MapSnapshot:
    rng = np.random.default_rng(2)
    ids = np.repeat([-1, 3, 70_000], 10).astype(np.int32)
    instances = Instances(
        ids, rng.random(N).astype(np.float32), (thing(3, "tea mug / Tasse", 10), thing(70_000, "", 10))
    )
    xyz, rgb = rng.normal(size=(N, 3)).astype(np.float32), rng.integers(0, 256, (N, 3)).astype(np.uint8)
    return MapSnapshot(1, 5, 7, xyz, rgb, rng.random(N).astype(np.float32), instances)


def test_a_labelled_ply_is_the_snapshot(tmp_path: Path, snapshot: MapSnapshot) -> None:
    assert write_ply(tmp_path / "l.ply", labelled_points(snapshot), names_of(snapshot)) == N
    data = PlyData.read(str(tmp_path / "l.ply"))
    vertex = data["vertex"]
    np.testing.assert_array_equal(np.stack([vertex[a] for a in "xyz"], 1), snapshot.xyz)
    np.testing.assert_array_equal(np.stack([vertex[c] for c in ("red", "green", "blue")], 1), snapshot.rgb)
    np.testing.assert_array_equal(vertex["instance"], snapshot.instances.point_ids)
    np.testing.assert_array_equal(vertex["confidence"], snapshot.instances.point_confidence)
    np.testing.assert_array_equal(vertex["opacity"], snapshot.opacity)
    assert data.comments == ["object 3 tea mug / Tasse", "object 70000"]


def test_a_label_in_another_script_does_not_break_the_header(tmp_path: Path, snapshot: MapSnapshot) -> None:
    write_ply(tmp_path / "l.ply", labelled_points(snapshot), {3: "чашка", 4: "Tüte"})
    assert len(PlyData.read(str(tmp_path / "l.ply"))["vertex"]) == N


def test_a_pcd_is_the_snapshot(tmp_path: Path, snapshot: MapSnapshot) -> None:
    """Parsed by hand, after the format's own page: nothing of the library that wrote it."""
    assert write_pcd(tmp_path / "l.pcd", labelled_points(snapshot)) == N
    head, _, body = (tmp_path / "l.pcd").read_bytes().partition(b"DATA binary\n")
    fields = {line.split()[0]: line.split()[1:] for line in head.decode().splitlines()[1:]}
    assert int(fields["POINTS"][0]) == N
    kinds = {("F", "4"): "<f4", ("U", "4"): "<u4", ("I", "4"): "<i4"}
    layout = [(n, kinds[t, s]) for n, t, s in zip(fields["FIELDS"], fields["TYPE"], fields["SIZE"], strict=True)]
    table = np.frombuffer(body, layout)
    assert len(table) == N
    np.testing.assert_array_equal(np.stack([table[a] for a in "xyz"], 1), snapshot.xyz)
    np.testing.assert_array_equal(table["label"], np.maximum(snapshot.instances.point_ids, 0))
    assert table["label"].dtype == np.uint32
    np.testing.assert_array_equal(table["confidence"], snapshot.instances.point_confidence)
    bits = table["rgb"].view(np.uint32)
    packed = np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255], 1)
    np.testing.assert_array_equal(packed, snapshot.rgb)


def test_every_object_has_a_file_with_its_own_points(tmp_path: Path, snapshot: MapSnapshot) -> None:
    paths = write_objects(tmp_path / "objects", snapshot)
    assert [p.name for p in paths] == ["0003_tea-mug-tasse.ply", "70000.ply"]
    for path, number in zip(paths, (3, 70_000), strict=True):
        vertex = PlyData.read(str(path))["vertex"]
        own = snapshot.instances.point_ids == number
        np.testing.assert_array_equal(np.stack([vertex[a] for a in "xyz"], 1), snapshot.xyz[own])
        assert set(vertex["instance"].tolist()) == {number}
    entries = json.loads((tmp_path / "objects" / "objects.json").read_text())
    assert [(e["file"], e["id"], e["points"]) for e in entries] == [
        (p.name, n, 10) for p, n in zip(paths, (3, 70_000), strict=True)
    ]


def test_a_second_export_leaves_nothing_of_the_first_and_nothing_else_is_touched(
    tmp_path: Path, snapshot: MapSnapshot
) -> None:
    write_objects(tmp_path, snapshot)
    (tmp_path / "mine.ply").write_text("precious")
    fewer = dataclasses.replace(snapshot.instances, objects=snapshot.instances.objects[1:])
    write_objects(tmp_path, dataclasses.replace(snapshot, instances=fewer))
    assert {p.name for p in tmp_path.iterdir()} == {"70000.ply", "objects.json", "mine.ply"}


def test_there_is_no_pcd_of_nothing(tmp_path: Path, snapshot: MapSnapshot) -> None:
    with pytest.raises(StorageError, match="no points"):
        write_pcd(tmp_path / "l.pcd", labelled_points(snapshot)[:0])


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, snapshot: MapSnapshot) -> None:
    (tmp_path / "file").write_text("mine")
    points = labelled_points(snapshot)
    for write in (lambda p: write_ply(p / "l.ply", points, {}), lambda p: write_objects(p, snapshot)):
        with pytest.raises(StorageError, match="file"):
            write(tmp_path / "file")


@pytest.mark.parametrize("ending", ["ply", "pcd"])
def test_what_fails_half_way_leaves_the_file_that_was_there(
    tmp_path: Path, snapshot: MapSnapshot, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    target, points = tmp_path / f"l.{ending}", labelled_points(snapshot)

    def write() -> int:
        return write_ply(target, points, {}) if ending == "ply" else write_pcd(target, points)

    write()
    before = target.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=f"cannot write .*l.{ending}: No space left"):
        write()
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [target.name]

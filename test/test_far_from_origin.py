"""Maps far from the world's origin (large buildings, UTM) are as good as those near it: results move along, no more."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from helpers import small_config

from ig_ros.datasets import open_dataset
from ig_ros.evaluation.label_transfer import transfer_ids
from ig_ros.evaluation.metrics import instance_score
from ig_ros.map_io import load_map, save_map
from ig_ros.mapper import Mapper
from ig_ros.planning.picking import object_at_point
from ig_ros.planning.view_rendering import render_view
from ig_ros.types import FloatArray, Frame, MapSnapshot

PLACES = {"300 m": (300.0, -307.3, 2.0), "10 km": (1e4, 7e3, 100.0), "UTM": (512_345.6, 5_403_210.9, 301.2)}
DATASET = open_dataset("sim:tabletop?width=160&frames=16&masks=exact")


def moved(frame: Frame, offset: FloatArray) -> Frame:
    T = frame.T_world_camera.copy()
    T[:3, 3] += offset
    return dataclasses.replace(frame, T_world_camera=T)


def mapped(offset: FloatArray) -> tuple[Mapper, MapSnapshot]:
    mapper = Mapper(small_config(seeding__voxel=0.025, instances__sub_objects=1000))
    for i in range(len(DATASET)):
        mapper.add_frame(moved(DATASET[i], offset))
    for _ in range(40):
        mapper.train_step()
    return mapper, mapper.instantiate()


@pytest.fixture(scope="module")
def near() -> MapSnapshot:
    return mapped(np.zeros(3))[1]


def score_of(snapshot: MapSnapshot, offset: FloatArray) -> float:
    assert DATASET.truth is not None
    ids = transfer_ids(snapshot.xyz - offset, snapshot.instances.point_ids, DATASET.truth.points)
    return instance_score(ids, DATASET.truth.ids).miou


def centers(snapshot: MapSnapshot, offset: FloatArray) -> dict[str, FloatArray]:
    """Where the small objects are that bear a name of their own."""
    things = snapshot.instances.objects
    names = [o.label for o in things]
    return {
        o.label: o.T_world_box[:3, 3] - offset for o in things
        if o.points > 100 and o.size.max() < 0.6 and names.count(o.label) == 1
    }  # fmt: skip


@pytest.mark.field("wrong", "poses far from the origin (300 m, 10 km, UTM)", "the same objects at the same places")
@pytest.mark.parametrize("place", PLACES)
def test_the_same_map_elsewhere(place: str, near: MapSnapshot, tmp_path: Path) -> None:
    offset = np.array(PLACES[place])
    mapper, there = mapped(offset)
    # Another place is another voxel grid, like another seed: five seeds give 91.2 to 92.9 here, 89.8 to 93.3 at 300 m
    # and 92.4 to 93.7 in UTM. Without an origin of its own the map had 57 at 10 km, 5 in UTM.
    assert score_of(there, offset) > 88
    wanted, found = centers(near, np.zeros(3)), centers(there, offset)
    assert len(set(wanted) - set(found)) <= 1, "another seed loses one now and then"
    for name in wanted.keys() & found.keys():
        np.testing.assert_allclose(found[name], wanted[name], atol=0.03, err_msg=name)
    row = int(np.flatnonzero(there.instances.point_ids > 0)[0])
    assert object_at_point(there, there.xyz[row]).id == there.instances.point_ids[row]
    frame = moved(DATASET[3], offset)
    view = render_view(there, frame.camera, frame.T_world_camera)
    assert np.abs(view.color.astype(float) - frame.rgb).mean() < 20  # after 40 steps; 14 is reached, 60 off by a step
    loaded = Mapper(mapper.config)
    load_map(loaded, save_map(mapper, tmp_path / "map"))
    again = loaded.instantiate()
    np.testing.assert_array_equal(again.xyz, there.xyz)
    step = np.eye(4)
    step[:3, 3] = 0.5, 0.0, 0.0
    before = loaded.scaffold.anchors.position
    loaded.correct_poses({k.stamp: step @ k.T_world_camera for k in loaded.keyframes.items})
    np.testing.assert_allclose(loaded.scaffold.anchors.position - before, [[0.5, 0.0, 0.0]] * len(before), atol=1e-5)

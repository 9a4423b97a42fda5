"""Mapping a dataset without ROS: every frame is fed, none that is refused ends the run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from colmap_folder import POINTS, scene
from helpers import orbit, small_config

from ig_ros.datasets import SceneTruth, open_dataset
from ig_ros.datasets.base import SparsePoints
from ig_ros.datasets.scannet_truth import nyu40_class
from ig_ros.evaluation.offline import Budget, MappingProgress, class_score, map_dataset, truth_score
from ig_ros.mapper import Mapper
from ig_ros.types import Frame, Instances, MapSnapshot, ObjectInstance


class Recording(list[Frame]):
    """A list of frames as a dataset."""

    name, truth = "recording", None


def jumping(n: int, bad: int, *, depth: bool) -> Recording:
    """n frames of which one stands forty metres aside."""
    frames = Recording(orbit(n, depth=depth))
    T = frames[bad].T_world_camera.copy()
    T[0, 3] += 40.0
    frames[bad] = dataclasses.replace(frames[bad], T_world_camera=T)
    return frames


@pytest.mark.parametrize("depth", [True, False])
def test_a_pose_that_jumps_is_counted_whether_or_not_there_is_a_map_yet(depth: bool) -> None:
    mapper = Mapper(small_config(keyframes__max_speed=3.0))
    seen: list[MappingProgress] = []
    frames = jumping(7, 1, depth=depth)
    dropped = map_dataset(mapper, frames, range(len(frames)), Budget(steps=12), seen.append)  # type: ignore[arg-type]
    assert dropped == {"pose_jump": 1}
    assert len(mapper.keyframes) == 6
    assert mapper.trainer.step == 12
    assert seen[-1].frames == 7
    assert [p.share for p in seen] == sorted(p.share for p in seen)
    assert seen[-1].share <= 1.0


def test_only_the_places_asked_for_are_fed() -> None:
    mapper = Mapper(small_config())
    frames = Recording(orbit(6))
    map_dataset(mapper, frames, [0, 2, 4], Budget(steps=5))  # type: ignore[arg-type]
    assert [k.index for k in mapper.keyframes.items] == [0, 2, 4]


def test_a_recording_without_anything_to_map_ends() -> None:
    frames = Recording(orbit(3, depth=False)[:1])
    assert map_dataset(Mapper(small_config()), frames, [0], Budget(steps=5)) == {}  # type: ignore[arg-type]


class Triangulated(Recording):
    """A recording that brings points: one on each card, in a colour that no picture shows, and one up in the air."""

    sparse_points = SparsePoints(
        np.array([[-0.25, 0, 0], [0.25, 0, 0], [0, 0, 0.4]], np.float32), np.full((3, 3), (0, 255, 51), np.uint8)
    )


@pytest.mark.parametrize("n", [1, 4])
def test_triangulated_points_are_the_first_anchors_where_there_is_no_depth(n: int) -> None:
    mapper = Mapper(small_config(training__growth_from=1000))
    map_dataset(mapper, Triangulated(orbit(n, depth=False)), range(n), Budget(steps=1))  # type: ignore[arg-type]
    xyz = mapper.scaffold.anchors.data["position"].numpy()
    np.testing.assert_allclose(xyz[:3][np.argsort(xyz[:3, 0])], [[-0.25, 0, 0], [0, 0, 0.4], [0.25, 0, 0]], atol=1e-6)
    assert n > 1 or len(xyz) == 3, "planted once"
    green = mapper.scaffold.anchors.parameters["color"][:3].sigmoid()[:, 1]
    assert (green > 0.9).all()


def test_triangulated_points_do_not_compete_with_depth() -> None:
    mapper = Mapper(small_config())
    map_dataset(mapper, Triangulated(orbit(2)), range(2), Budget(steps=1))  # type: ignore[arg-type]
    assert (mapper.scaffold.anchors.data["position"][:, 2] < 0.1).all()


def test_a_colmap_folder_begins_with_its_points(tmp_path: Path) -> None:
    mapper = Mapper(small_config())
    map_dataset(mapper, open_dataset(scene(tmp_path)[0]), [0], Budget(steps=1))
    assert len(mapper.scaffold.anchors) == len(POINTS)


def test_the_budget_is_seconds_or_steps() -> None:
    assert Budget(seconds=10).spent(5.0, 999) == 0.5
    assert Budget(steps=50).spent(999.0, 25) == 0.5


def test_names_are_compared_as_classes() -> None:
    """Two chairs of which one is called a table, and a lamp nobody has named, on ten points each."""
    xyz = np.repeat(np.arange(3.0), 10)[:, None] * np.ones(3)
    chair, lamp = nyu40_class("chair"), nyu40_class("lamp")
    truth_ids = np.repeat([1, 2, 3], 10).astype(np.int32)
    classes = np.repeat([chair, chair, lamp], 10).astype(np.int32)
    truth = SceneTruth(xyz.astype(np.float32), truth_ids, {}, (), (), lambda _: truth_ids, classes)
    names = ("office chair", "table", "")
    things = tuple(ObjectInstance(i + 1, n, 0.9, 3, np.eye(4), np.ones(3), 10) for i, n in enumerate(names))
    snapshot = MapSnapshot(
        1, 1, 0, xyz, np.zeros((30, 3), np.uint8), np.ones(30),
        Instances(truth_ids, np.ones(30, np.float32), things),
    )  # fmt: skip
    score = class_score(truth_ids, snapshot, truth)
    assert score["macc"] == pytest.approx(25.0)  # half of the chairs, none of the lamp
    assert score["miou"] == pytest.approx(25.0)
    assert truth_score(snapshot, truth)["semantic"] == score
    assert truth_score(snapshot, dataclasses.replace(truth, classes=None)).keys() == {
        "instance", "average_precision", "coverage",
    }  # fmt: skip


def test_stopping_leaves_the_map_as_it_is() -> None:
    mapper = Mapper(small_config())
    seen: list[MappingProgress] = []
    frames = Recording(orbit(6))
    stop = lambda: mapper.trainer.step >= 3  # noqa: E731
    map_dataset(mapper, frames, range(6), Budget(steps=40), seen.append, stop)  # type: ignore[arg-type]
    assert mapper.trainer.step == 3
    assert 1 <= len(mapper.keyframes) < 6

"""The benchmark's truth files: what they say arrives on the right vertices, and what is missing has a name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import CARDS, ground_labels, orbit
from plyfile import PlyData, PlyElement
from scannet_writer import write_scannet_layout

from ig_ros.datasets import SceneTruth, missing_truth, open_dataset
from ig_ros.datasets.scannet_truth import nyu40_class
from ig_ros.errors import DatasetError
from ig_ros.types import Frame, IntArray

SCENE = "scene0000_00"
FILES = (
    f"{SCENE}_vh_clean_2.ply",
    f"{SCENE}_vh_clean_2.labels.ply",
    f"{SCENE}_vh_clean_2.0.010000.segs.json",
    f"{SCENE}.aggregation.json",
)
SEGMENTS = [10, 10, 11, 12, 12, 13]
GROUPS = [
    {"id": 0, "objectId": 0, "label": "wall", "segments": [10]},
    {"id": 1, "objectId": 7, "label": "coffee mug", "segments": [11, 12]},
]
LABELS = [1, 149, 40, 40, 7, 0]


class Ground:
    """Four frames of the ground with its two cards, whose truth is a grid of points."""

    name = "ground"

    def __init__(self) -> None:
        self.frames = orbit(4)
        x, y = (grid.ravel() for grid in np.meshgrid(np.arange(-0.6, 0.6, 0.02), np.arange(-0.4, 0.4, 0.02)))
        points = np.stack([x, y, np.zeros_like(x)], axis=1).astype(np.float32)
        names = {i: name for i, (name, _) in CARDS.items()}
        self.truth: SceneTruth | None = SceneTruth(
            points, ground_labels(x, y), names, (("red card", 1),), ("elephant",), self.instance_image
        )

    def instance_image(self, i: int) -> IntArray:
        masks = self.frames[i].masks
        assert masks is not None
        return masks.labels

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, i: int) -> Frame:
        return self.frames[i]


def write_ply(path: Path, **columns: Any) -> None:
    kinds = {"label": "u2", "red": "u1", "green": "u1", "blue": "u1"}
    vertex = np.empty(len(columns["x"]), [(name, kinds.get(name, "f4")) for name in columns])
    for name, values in columns.items():
        vertex[name] = values
    PlyData([PlyElement.describe(vertex, "vertex")], text=True).write(str(path))


def scene(folder: Path, images: bool = True) -> Path:
    """Two frames and six vertices, written by hand as ScanNet ships them."""
    folder = folder / SCENE
    for part in ("color", "pose", "intrinsic", "instance-filt"):
        (folder / part).mkdir(parents=True)
    (folder / "intrinsic" / "intrinsic_color.txt").write_text("50 0 31.5\n0 50 23.5\n0 0 1\n")
    for n in (0, 20):
        cv2.imwrite(str(folder / "color" / f"{n}.jpg"), np.full((48, 64, 3), 90, np.uint8))
        (folder / "pose" / f"{n}.txt").write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
        if images:  # twice the size of the colour image, as after a reduction of the colour images alone
            image = np.zeros((96, 128), np.uint8)
            image[:, 64:] = 8
            cv2.imwrite(str(folder / "instance-filt" / f"{n}.png"), image)
    columns: dict[str, Any] = {"x": np.arange(6), "y": np.zeros(6), "z": np.ones(6)}
    write_ply(folder / FILES[0], **columns, red=np.arange(6), green=np.zeros(6), blue=np.full(6, 255))
    write_ply(folder / FILES[1], **columns, label=LABELS)
    (folder / FILES[2]).write_text(json.dumps({"sceneId": SCENE, "segIndices": SEGMENTS}))
    (folder / FILES[3]).write_text(json.dumps({"sceneId": f"scannet.{SCENE}", "segGroups": GROUPS}))
    return folder


def truth_of(folder: Path) -> SceneTruth:
    truth = open_dataset(folder).truth
    assert truth is not None
    return truth


def test_vertices_carry_the_instance_of_their_segment(tmp_path: Path) -> None:
    truth = truth_of(scene(tmp_path))
    assert truth.points[:, 0].tolist() == [0, 1, 2, 3, 4, 5], "the order of the mesh: labels transfer by index"
    assert truth.ids.tolist() == [1, 1, 8, 8, 8, 0], "objectId + 1; a segment of nobody is unlabelled"
    assert truth.names == {1: "wall", 8: "coffee mug"}
    assert truth.queries == (("coffee mug", 8),), "nobody asks for a wall"
    assert truth.colors is not None
    assert truth.colors[3].tolist() == [3, 0, 255]


def test_classes_are_the_vertices_own_and_an_instance_takes_the_most_frequent(tmp_path: Path) -> None:
    truth = truth_of(scene(tmp_path))
    assert truth.classes is not None
    assert truth.classes.tolist() == [1, 0, 40, 40, 7, 0], "numbers beyond NYU40 are unlabelled"
    assert truth.instance_classes() == {1: 1, 8: 40}


def test_of_two_objects_that_claim_a_segment_the_later_wins(tmp_path: Path) -> None:
    folder = scene(tmp_path)
    later = {"id": 2, "objectId": 2, "label": "lid", "segments": [12]}
    (folder / FILES[3]).write_text(json.dumps({"segGroups": [*GROUPS, later]}))
    assert truth_of(folder).ids.tolist() == [1, 1, 8, 3, 3, 0]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named_and_the_frames_still_load(tmp_path: Path, name: str) -> None:
    folder = scene(tmp_path)
    assert missing_truth(open_dataset(folder)) == ()
    (folder / name).unlink()
    dataset = open_dataset(folder)
    assert [text.split(":")[0] for text in missing_truth(dataset)] == [name]
    assert dataset[1].index == 20
    if "labels" in name:
        assert dataset.truth is not None
        assert dataset.truth.classes is None
        assert dataset.truth.instance_classes() == {}
    else:
        assert dataset.truth is None


def test_points_can_be_annotated_without_the_images(tmp_path: Path) -> None:
    dataset = open_dataset(scene(tmp_path, images=False))
    assert dataset.truth is not None
    assert not dataset.truth.has_images
    assert any("instance-filt" in text for text in missing_truth(dataset))
    with pytest.raises(DatasetError, match="instance-filt"):
        dataset.truth.instance_image(0)
    with pytest.raises(DatasetError, match="instance-filt"):
        open_dataset(f"{tmp_path / SCENE}?masks=truth")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (FILES[0], "not a mesh"),
        (FILES[1], "ply\nformat ascii 1.0\nelement vertex 1\nproperty ushort label\nend_header\n3\n"),
        (FILES[1], "ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nend_header\n"),
        (FILES[2], '{"segIndices": [1, 2]}'),
        (FILES[2], '{"segments": []}'),
        (FILES[3], '{"segGroups": [{"objectId": 1}]}'),
        (FILES[3], "{"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: str) -> None:
    folder = scene(tmp_path)
    (folder / name).write_text(content)
    with pytest.raises(DatasetError, match=name):
        _ = open_dataset(folder).truth


def test_true_instances_serve_as_masks_when_asked_for(tmp_path: Path) -> None:
    folder = scene(tmp_path)
    assert open_dataset(folder)[0].masks is None
    masks = open_dataset(f"{folder}?masks=truth")[0].masks
    assert masks is not None
    assert masks.labels.shape == (48, 64), "resampled to the colour image"
    assert (masks.labels[:, :32] == 0).all()
    assert (masks.labels[:, 32:] == 8).all()
    assert masks.names == {8: "coffee mug"}
    assert (truth_of(folder).instance_image(0) == masks.labels).all()


def test_a_written_scene_reads_back_with_the_same_ids_on_the_same_points(tmp_path: Path) -> None:
    source = Ground()
    write_scannet_layout(source, tmp_path / "ground")
    copy = open_dataset(tmp_path / "ground")
    assert missing_truth(copy) == ()
    assert source.truth is not None
    assert copy.truth is not None
    assert (copy.truth.points == source.truth.points).all()
    assert (copy.truth.ids == source.truth.ids).all()
    assert copy.truth.names == source.truth.names
    assert dict(copy.truth.queries) == {name: i for i, name in source.truth.names.items()}
    assert copy.truth.instance_classes() == {1: 40, 2: 40}, "NYU40 has no cards: they are other props"
    for i in range(4):
        assert (copy.truth.instance_image(i) == source.instance_image(i)).all()


def test_an_instance_without_a_name_keeps_its_id(tmp_path: Path) -> None:
    source = Ground()
    assert source.truth is not None
    source.truth = replace(source.truth, names={2: "blue card"})
    write_scannet_layout(source, tmp_path / "ground")
    truth = truth_of(tmp_path / "ground")
    assert (truth.ids == source.truth.ids).all()
    assert truth.names == {1: "", 2: "blue card"}


def test_written_segments_are_parts_of_objects(tmp_path: Path) -> None:
    """As in ScanNet an object has several segments and no segment has two objects, so that aggregation has a task."""
    folder = tmp_path / "ground"
    source = Ground()
    write_scannet_layout(source, folder)
    segments = np.array(json.loads((folder / "ground_vh_clean_2.0.010000.segs.json").read_text())["segIndices"])
    groups = json.loads((folder / "ground.aggregation.json").read_text())["segGroups"]
    assert [len(group["segments"]) > 1 for group in groups] == [True, True]
    assert source.truth is not None
    for segment in np.unique(segments):
        assert len(set(source.truth.ids[segments == segment].tolist())) == 1


def test_a_simulated_scene_survives_the_benchmarks_files(tmp_path: Path) -> None:
    source = open_dataset("sim:tabletop?width=64&frames=2&masks=none&depth=none")
    write_scannet_layout(source, tmp_path / "table")
    before, after = source.truth, truth_of(tmp_path / "table")
    assert before is not None
    assert (after.points == before.points).all()
    assert (after.ids == before.ids).all()
    table = next(i for i, name in before.names.items() if name == "table")
    assert after.instance_classes()[table] == 7
    assert after.classes is not None
    assert (after.classes[after.ids == 0] == 0).all()


def test_a_written_scene_goes_through_the_benchmarks_own_arithmetic(tmp_path: Path) -> None:
    """Read the four files as ScanNet's scripts do, by loops over segments, independently of our reader."""
    folder = tmp_path / "ground"
    source = Ground()
    write_scannet_layout(source, folder)
    vertex = PlyData.read(str(folder / "ground_vh_clean_2.labels.ply"))["vertex"]
    of_segment: dict[int, list[int]] = {}
    content = json.loads((folder / "ground_vh_clean_2.0.010000.segs.json").read_text())
    for row, segment in enumerate(content["segIndices"]):
        of_segment.setdefault(segment, []).append(row)
    ids = np.zeros(len(vertex["x"]), int)
    for group in json.loads((folder / "ground.aggregation.json").read_text())["segGroups"]:
        for segment in group["segments"]:
            ids[of_segment[segment]] = group["objectId"] + 1
    assert source.truth is not None
    assert (ids == source.truth.ids).all()
    assert (np.asarray(vertex["label"])[ids > 0] == 40).all()
    assert (np.asarray(vertex["label"])[ids == 0] == 0).all()


def test_names_find_their_class_by_their_last_word() -> None:
    assert nyu40_class("Office chair") == nyu40_class("chair") == 5
    assert nyu40_class("shower curtain") == 28
    assert nyu40_class("curtain") == 16
    assert nyu40_class("mug") == 40

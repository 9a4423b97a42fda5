"""Boxes name the masks that they fit, from files and messages of every kind."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace as Message

import cv2
import numpy as np
import pytest
from helpers import ground_frame, look_at, small_config

from ig_ros.datasets import open_dataset
from ig_ros.detections import detections_from_json, detections_from_message, named_by_boxes
from ig_ros.errors import FrameError
from ig_ros.mapper import Mapper
from ig_ros.types import Detections, Masks

TABLE, MUG, FLOOR = 4, 7, 9


def scene() -> Masks:
    """Floor, a table on it, and on that a mug."""
    labels = np.full((60, 80), FLOOR, np.int32)
    labels[20:50, 10:70] = TABLE
    labels[22:32, 30:40] = MUG
    return Masks(labels)


def found(*rows: tuple[str, float, tuple[float, float, float, float]]) -> Detections:
    names, scores, boxes = zip(*rows, strict=True)
    return Detections(np.array(boxes, float), names, np.array(scores))


def test_a_box_names_the_mask_it_fits() -> None:
    boxes = found(("mug", 0.6, (29, 21, 41, 33)), ("table", 0.9, (9, 19, 71, 51)))
    named = named_by_boxes(scene(), boxes)
    assert named.names == {MUG: "mug", TABLE: "table"}
    assert named.scores == {MUG: 0.6, TABLE: 0.9}


def test_the_table_under_a_mug_is_no_mug_and_the_floor_no_table() -> None:
    """Without a mask of its own the mug's box names nothing."""
    bare = Masks(np.where(scene().labels == MUG, TABLE, scene().labels))
    assert not named_by_boxes(bare, found(("mug", 0.9, (29, 21, 41, 33)))).names
    assert named_by_boxes(scene(), found(("table", 0.9, (5, 15, 75, 55)))).names == {TABLE: "table"}


def test_of_two_names_the_better_stays_and_given_names_are_kept() -> None:
    both = found(("cup", 0.5, (29, 21, 41, 33)), ("mug", 0.6, (29, 21, 41, 33)), ("box", 0.59, (30, 22, 40, 32)))
    assert named_by_boxes(scene(), both).names == {MUG: "box"}  # 0.59 of a box that fits at every side
    given = Masks(scene().labels, {MUG: "beaker"})
    assert named_by_boxes(given, both).names == {MUG: "beaker"}


def test_ids_may_be_huge_and_boxes_reach_out_of_the_image() -> None:
    labels = np.where(scene().labels == MUG, 2**30, 0).astype(np.int32)
    labels[:5, :5] = 11
    named = named_by_boxes(Masks(labels), found(("mug", 0.6, (29, 21, 41, 33)), ("book", 0.7, (-9, -9, 5, 5))))
    assert named.names == {2**30: "mug", 11: "book"}


@pytest.mark.field("wrong", "a detections file that is no list of boxes", "a line with the format")
@pytest.mark.parametrize(
    "text",
    ["", "{}{", '{"a": 1}', "[1]", '[{"label": "mug"}]', '[{"label": "mug", "box": [1, 2, 3]}]',
     '[{"label": "mug", "box": [9, 2, 3, 4]}]', '[{"label": "mug", "box": [1, 2, 3, 4], "score": 80}]',
     '[{"label": "mug", "box": [1, 2, 3, NaN]}]', "7"],
)  # fmt: skip
def test_a_bad_file_is_told(text: str) -> None:
    with pytest.raises(FrameError, match="box") as caught:
        detections_from_json(text.encode())
    assert caught.value.cause == "bad_detections"


def test_vision_msgs_of_humble_and_of_foxy() -> None:
    """As published: github.com/ros-perception/vision_msgs, branches humble and foxy."""
    size = {"size_x": 20.0, "size_y": 10.0}
    hypothesis = [Message(hypothesis=Message(class_id="box", score=0.2), pose=None),
                  Message(hypothesis=Message(class_id="mug", score=0.7), pose=None)]  # fmt: skip
    upright = Message(center=Message(position=Message(x=30.0, y=25.0), theta=0.0), **size)
    turned = Message(center=Message(x=30.0, y=25.0, theta=np.pi / 2), **size)
    humble = Message(bbox=upright, results=hypothesis, id="")
    foxy = Message(bbox=turned, results=[Message(id="mug", score=0.7, pose=None)])
    nothing = Message(bbox=upright, results=[], id="")
    read = detections_from_message(Message(detections=[humble, foxy, nothing]))
    assert (read.names, read.scores.tolist()) == (("mug", "mug"), [0.7, 0.7])
    np.testing.assert_allclose(read.boxes, [[20, 20, 40, 30], [25, 15, 35, 35]])


def write_folder(folder: Path, boxes: dict[int, str]) -> Path:
    (folder / "detections").mkdir()
    for i in range(2):
        stem = folder / f"frame-{i:06d}"
        cv2.imwrite(f"{stem}.color.png", np.random.default_rng(i).integers(0, 255, (60, 80, 3), np.uint8))
        np.savetxt(f"{stem}.pose.txt", np.eye(4))
        if i in boxes:
            (folder / "detections" / f"frame-{i:06d}.color.json").write_text(boxes[i])
    np.savetxt(folder / "camera-intrinsics.txt", [[50, 0, 40], [0, 50, 30], [0, 0, 1]])
    return folder


@pytest.mark.field("wrong", "one broken detections file in a folder", "that frame without boxes, counted")
def test_boxes_beside_the_images_of_a_folder(tmp_path: Path) -> None:
    good = json.dumps([{"label": "mug", "score": 0.6, "box": [29, 21, 41, 33]}])
    dataset = open_dataset(str(write_folder(tmp_path, {0: good, 1: "no json"})))
    first, second = dataset[0], dataset[1]
    assert first.detections is not None
    assert (first.detections.names, second.detections) == (("mug",), None)
    assert dataset.faults.counts() == {"bad_detections": 1}


def test_the_mapper_names_masks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Boxes without any mask are counted: they cannot name anything."""
    good = json.dumps([{"label": "mug", "score": 0.6, "box": [29, 21, 41, 33]}])
    frame = open_dataset(str(write_folder(tmp_path, {0: good})))[0]
    mapper = Mapper(small_config())
    assert mapper.segment(frame).masks is None
    assert mapper.boxes_without_masks == 1

    class Cuts:
        name = "cuts"

        def segment(self, *_: object) -> Masks:
            return scene()

    monkeypatch.setattr(mapper, "segmenter", Cuts())
    masks = mapper.segment(frame).masks
    assert masks is not None
    assert masks.names == {MUG: "mug"}


def test_late_boxes_name_the_masks_of_their_keyframe_alone() -> None:
    """Boxes of an image that was no keyframe change nothing."""
    frame = ground_frame(look_at((0.0, -0.2, 0.9), (0.0, 0.0, 0.0)), 0, stamp=7)
    labels = np.zeros((frame.camera.height, frame.camera.width), np.int32)
    labels[10:30, 10:40] = 3
    mapper = Mapper(small_config())
    mapper.insert(dataclasses.replace(frame, masks=Masks(labels)))
    boxes = found(("mug", 0.6, (20.0, 20.0, 80.0, 60.0)))
    mapper.attach_detections(8, boxes, 2 * frame.camera.width)
    keyframe = mapper.keyframes.items[0]
    assert keyframe.masks is not None
    assert not keyframe.masks.names
    mapper.attach_detections(7, boxes, 2 * frame.camera.width)
    assert keyframe.masks.names == {3: "mug"}

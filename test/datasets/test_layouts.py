"""Folders on disk: both layouts are read right, and everything wrong with them is named."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from ig_ros.datasets import faults_of, open_dataset, split
from ig_ros.datasets.files import register_depth
from ig_ros.errors import DatasetError

KITCHEN = Path(__file__).resolve().parents[3] / "shared" / "data" / "kitchen"
POSE = "1 0 0 0.5\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"
K = "50 0 31.5\n0 50 23.5\n0 0 1\n"


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def seven_scenes(folder: Path, numbers: tuple[int, ...] = (2, 10, 100)) -> Path:
    write_text(folder / "camera-intrinsics.txt", K)
    for n in numbers:
        color = np.zeros((48, 64, 3), np.uint8)
        color[..., 2] = n  # red in OpenCV's order
        write_image(folder / f"frame-{n:06d}.color.png", color)
        depth = np.full((48, 64), 1500, np.uint16)
        depth[0, 0], depth[0, 1] = 0, 65535
        write_image(folder / f"frame-{n:06d}.depth.png", depth)
        write_text(folder / f"frame-{n:06d}.pose.txt", POSE)
    return folder


def scannet(folder: Path, numbers: tuple[int, ...] = (0, 9, 10)) -> Path:
    write_text(folder / "intrinsic" / "intrinsic_color.txt", "100 0 63.5 0\n0 100 47.5 0\n0 0 1 0\n0 0 0 1\n")
    write_text(folder / "intrinsic" / "intrinsic_depth.txt", "50 0 31.5 0\n0 50 23.5 0\n0 0 1 0\n0 0 0 1\n")
    for n in numbers:
        write_image(folder / "color" / f"{n}.jpg", np.full((96, 128, 3), 90, np.uint8))
        depth = np.full((48, 64), 2000, np.uint16)
        depth[:, 32:] = 3000
        write_image(folder / "depth" / f"{n}.png", depth)
        write_text(folder / "pose" / f"{n}.txt", POSE)
    return folder


def test_seven_scenes_frames_come_in_numeric_order_with_metres_and_rgb(tmp_path: Path) -> None:
    dataset = open_dataset(seven_scenes(tmp_path))
    frames = [dataset[i] for i in range(len(dataset))]
    assert [frame.index for frame in frames] == [2, 10, 100]
    assert [tuple(frame.rgb[5, 5]) for frame in frames] == [(2, 0, 0), (10, 0, 0), (100, 0, 0)]
    depth = frames[0].depth
    assert depth is not None
    assert depth[0, 0] == depth[0, 1] == 0
    assert depth[3, 3] == np.float32(1.5)
    assert frames[0].camera.K[0, 2] == 32.0, "pixel centres of the file are whole numbers, ours are at one half"
    assert frames[2].stamp == 100 * 10**9 // 30
    assert frames[0].T_world_camera[0, 3] == 0.5


def test_missing_files_are_named_in_one_error(tmp_path: Path) -> None:
    folder = seven_scenes(tmp_path)
    for path in folder.glob("*.pose.txt"):
        path.unlink()
    (folder / "camera-intrinsics.txt").unlink()
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder)
    for name in ("frame-000002.pose.txt", "camera-intrinsics.txt"):
        assert name in str(caught.value)


@pytest.mark.field("broken", "a broken JPEG, PNG, depth or pose file", "left out and counted, the rest is read")
@pytest.mark.parametrize(
    ("name", "content", "cause", "frames", "depths"),
    [
        ("frame-000010.depth.png", b"not a png", "broken_depth", [2, 10, 100], [2, 100]),
        ("frame-000010.depth.png", None, "missing_depth", [2, 10, 100], [2, 100]),
        ("frame-000010.color.png", b"", "broken_image", [2, 100], [2, 100]),
        ("frame-000010.color.png", b"\x89PNG", "broken_image", [2, 100], [2, 100]),
        ("frame-000010.color.png", None, "missing_image", [2, 100], [2, 100]),
        ("frame-000010.pose.txt", b"1 0 0\n", "broken_pose", [2, 100], [2, 100]),
        ("frame-000010.pose.txt", b"1 0 0 nought\n", "broken_pose", [2, 100], [2, 100]),
        ("frame-000010.pose.txt", None, "missing_pose", [2, 100], [2, 100]),
        ("frame-000010.pose.txt", b"2 0 0 0\n0 2 0 0\n0 0 2 0\n0 0 0 1\n", "broken_pose", [2, 100], [2, 100]),
    ],
)
def test_one_bad_file_costs_no_more_than_its_frame(
    tmp_path: Path, name: str, content: bytes | None, cause: str, frames: list[int], depths: list[int]
) -> None:
    folder = seven_scenes(tmp_path)
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    dataset = open_dataset(folder)
    faults = faults_of(dataset)
    read = [frame for i in range(len(dataset)) if (frame := faults.attempt(lambda i=i: dataset[i])) is not None]
    assert [frame.index for frame in read] == frames
    assert [frame.index for frame in read if frame.depth is not None] == depths
    assert faults.counts() == {cause: 1}
    assert name in str(faults)


@pytest.mark.field("broken", "an image of another size in a folder", "left out and counted, also where it is the first")
@pytest.mark.parametrize("number", [2, 10])
def test_an_image_of_another_size_is_left_out(tmp_path: Path, number: int) -> None:
    folder = seven_scenes(tmp_path)
    write_image(folder / f"frame-{number:06d}.color.png", np.zeros((24, 32, 3), np.uint8))
    dataset = open_dataset(folder)
    faults = faults_of(dataset)
    read = [frame for i in range(3) if (frame := faults.attempt(lambda i=i: dataset[i])) is not None]
    assert {frame.rgb.shape for frame in read} == {(48, 64, 3)}
    assert faults.counts() == {"image_size": 1}


def test_a_calibration_that_is_none_is_named(tmp_path: Path) -> None:
    folder = seven_scenes(tmp_path)
    (folder / "camera-intrinsics.txt").write_bytes(b"0 0 0\n0 0 0\n0 0 1\n")
    with pytest.raises(DatasetError, match=r"camera-intrinsics\.txt"):
        open_dataset(folder)


def test_lost_poses_are_skipped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = scannet(tmp_path)
    (folder / "pose" / "9.txt").write_text("-inf -inf -inf -inf\n" * 4)
    with caplog.at_level(logging.WARNING):
        dataset = open_dataset(folder)
    assert [dataset[i].index for i in range(len(dataset))] == [0, 10]
    assert "skipped 1 frames" in caplog.text


def test_depth_is_brought_to_the_size_of_the_colour_image(tmp_path: Path) -> None:
    frame = open_dataset(scannet(tmp_path))[1]
    assert frame.index == 9
    assert frame.depth is not None
    assert frame.depth.shape == (96, 128)
    assert (frame.depth[:, :64] == 2.0).all()
    assert (frame.depth[:, 64:] == 3.0).all()


def test_registered_depth_honours_both_calibrations() -> None:
    """The same ray must carry the same depth, and rays that the depth camera never saw carry none."""
    depth = np.tile(np.arange(1, 41, dtype=np.float32), (30, 1))
    K_depth = np.array([[40.0, 0, 20], [0, 40, 15], [0, 0, 1]])
    K_color = np.array([[40.0, 0, 30], [0, 40, 20], [0, 0, 1]])  # wider view, same focal length
    registered = register_depth(depth, K_depth, K_color, 60, 40)
    assert registered.shape == (40, 60)
    assert (registered[5:35, 10:50] == depth).all()
    assert (registered[:5] == 0).all()
    assert (registered[:, :10] == 0).all()


def test_masks_bring_labels_and_scores(tmp_path: Path) -> None:
    folder = scannet(tmp_path, (0,))
    labels = np.zeros((96, 128), np.uint16)
    labels[:40], labels[40:] = 7, 300
    write_image(folder / "masks" / "0.png", labels)
    entries = {"7": {"label": "mug", "score": 0.5}, "300": {"label": "", "score": 0.9}}
    write_text(folder / "masks" / "0.json", json.dumps(entries))
    masks = open_dataset(folder)[0].masks
    assert masks is not None
    assert masks.names == {7: "mug"}
    assert masks.scores == {7: 0.5, 300: 0.9}
    assert set(np.unique(masks.labels)) == {7, 300}


def test_mask_descriptions_that_are_missing_or_broken_are_named(tmp_path: Path) -> None:
    folder = scannet(tmp_path, (0,))
    for name, content in (("0.json", None), ("0.json", '{"one": {"label": "mug"}}'), ("0.png", "{}")):
        write_image(folder / "masks" / "0.png", np.ones((10, 12) if name == "0.png" else (96, 128), np.uint16))
        if content:
            write_text(folder / "masks" / "0.json", content)
        dataset = open_dataset(folder)
        assert dataset[0].masks is None
        assert name in str(faults_of(dataset))


def test_frames_without_their_companions_are_counted(tmp_path: Path) -> None:
    folder = scannet(tmp_path)
    (folder / "depth" / "9.png").unlink()
    (folder / "pose" / "10.txt").unlink()
    dataset = open_dataset(folder)
    assert [dataset[i].index for i in range(len(dataset))] == [0, 9]
    assert dataset[1].depth is None
    assert faults_of(dataset).counts() == {"missing_pose": 1, "missing_depth": 1}


def test_a_folder_without_depth_is_rgb_only(tmp_path: Path) -> None:
    folder = scannet(tmp_path)
    for path in (folder / "depth").iterdir():
        path.unlink()
    assert open_dataset(folder)[0].depth is None


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="none of the layouts"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="nowhere"):
        open_dataset(tmp_path / "nowhere")


def test_every_eighth_frame_is_held_out() -> None:
    train, held_out = split(20)
    assert held_out == [7, 15]
    assert sorted(train + held_out) == list(range(20))
    assert split(0) == ([], [])


@pytest.mark.skipif(not KITCHEN.is_dir(), reason=f"real kitchen frames are not at {KITCHEN}")
def test_the_real_kitchen_reads() -> None:
    dataset = open_dataset(KITCHEN)
    assert len(dataset) == 100
    frame = dataset[99]
    assert frame.index == 495
    assert frame.rgb.shape == (480, 640, 3)
    assert frame.depth is not None
    seen = frame.depth[frame.depth > 0]
    assert 0.3 < np.median(seen) < 5
    assert len(seen) > 0.3 * frame.depth.size

"""Replica folders in both conventions: metric depth, fused truth on the right surface, every gap named."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import CARDS, HALF, ground_labels, orbit

from ig_ros.datasets import faults_of, missing_truth, open_dataset, selection_truth
from ig_ros.datasets.replica import VOXEL, InstanceView, fuse
from ig_ros.errors import DatasetError
from ig_ros.types import Camera, FloatArray, Frame

RENDERED = Camera(np.array([[48.0, 0, 48], [0, 48.0, 36], [0, 0, 1]]), 96, 72)  # 90 degrees, as vMAP renders
FAR = Camera(np.array([[100.0, 0, 48], [0, 100.0, 36], [0, 0, 1]]), 96, 72)
IDS = np.array([0, 12, 300])  # what the ground, the red and the blue card are called


def write_trajectory(path: Path, poses: list[FloatArray]) -> None:
    path.write_text("".join(" ".join(f"{x:.12g}" for x in pose.ravel()) + "\n" for pose in poses))


def write_depth(path: Path, frame: Frame, per_metre: float) -> None:
    assert frame.depth is not None
    cv2.imwrite(str(path), (frame.depth * per_metre).round().astype(np.uint16))


def vmap(root: Path, frames: list[Frame]) -> Path:
    """room_0 as in vMAP's archive."""
    folder = root / "room_0" / "imap" / "00"
    for part in ("rgb", "depth", "semantic_instance", "semantic_class"):
        (folder / part).mkdir(parents=True)
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / "rgb" / f"rgb_{i}.png"), frame.rgb[..., ::-1])
        write_depth(folder / "depth" / f"depth_{i}.png", frame, 1000)
        assert frame.masks is not None
        image = IDS[frame.masks.labels].astype(np.uint16)
        image[0, 0] = 65535  # -1 in 16 bits
        cv2.imwrite(str(folder / "semantic_instance" / f"semantic_instance_{i}.png"), image)
    write_trajectory(folder / "traj_w_c.txt", [frame.T_world_camera for frame in frames])
    habitat = root / "room_0" / "habitat"
    habitat.mkdir()
    things = [{"id": 12, "class_name": "cushion"}, {"id": 300, "class_name": "wall"}, {"id": 5, "class_name": "lamp"}]
    (habitat / "info_semantic.json").write_text(json.dumps({"objects": things, "classes": []}))
    return root / "room_0"


def nice_slam(root: Path, frames: list[Frame]) -> Path:
    """office0 as in NICE-SLAM's archive."""
    results = root / "Replica" / "office0" / "results"
    results.mkdir(parents=True)
    for i, frame in enumerate(frames):
        cv2.imwrite(str(results / f"frame{i:06d}.jpg"), frame.rgb[..., ::-1])
        write_depth(results / f"depth{i:06d}.png", frame, 6553.5)
    write_trajectory(results.parent / "traj.txt", [frame.T_world_camera for frame in frames])
    camera = {"w": 96, "h": 72, "fx": 100.0, "fy": 100.0, "cx": 47.5, "cy": 35.5, "scale": 6553.5}
    (root / "Replica" / "cam_params.json").write_text(json.dumps({"camera": camera}))
    return results.parent


@pytest.mark.parametrize("below", ["", "imap/00"])
def test_vmap_frames_are_metric_and_posed(tmp_path: Path, below: str) -> None:
    frames = orbit(12, camera=RENDERED)
    dataset = open_dataset(vmap(tmp_path, frames) / below)
    assert len(dataset) == 12
    for i in (2, 11):  # by number, not by text: 11 comes after 2
        frame, expected = dataset[i], frames[i]
        assert frame.index == i
        assert (frame.rgb == expected.rgb).all()
        assert np.allclose(frame.T_world_camera, expected.T_world_camera)
        assert np.allclose(frame.camera.K, RENDERED.K)
        assert frame.depth is not None
        assert expected.depth is not None
        assert np.abs(frame.depth - expected.depth).max() <= 0.00051
        assert frame.masks is None


def test_fused_truth_lies_on_the_surface_with_the_right_ids(tmp_path: Path) -> None:
    """The ground is z = 0 and its cards are known: away from their borders every point must be right."""
    dataset = open_dataset(vmap(tmp_path, orbit(40, camera=RENDERED)))
    truth = dataset.truth
    assert truth is not None
    x, y, z = truth.points.astype(np.float64).T
    assert np.abs(z).max() < 0.002
    border = np.zeros(len(x), bool)
    for _, (cx, cy) in CARDS.values():
        border |= np.abs(np.maximum(np.abs(x - cx), np.abs(y - cy)) - HALF) < 0.03  # a pixel on the ground
    assert border.mean() < 0.1
    assert (truth.ids == IDS[ground_labels(x, y)])[~border].all()
    assert {12, 300} <= set(truth.ids.tolist())
    card = truth.points[truth.ids == 12]
    assert len(card) * VOXEL**2 == pytest.approx((2 * HALF) ** 2, rel=0.25), "one point per voxel, no holes"


def test_names_come_from_the_scenes_semantic_information(tmp_path: Path) -> None:
    dataset = open_dataset(vmap(tmp_path, orbit(3, camera=RENDERED)))
    truth = dataset.truth
    assert truth is not None
    assert truth.names == {12: "cushion", 300: "wall"}, "the lamp is in no picture"
    assert truth.queries == (("cushion", 12),)
    assert missing_truth(dataset) == ()
    assert truth.instance_image(0)[0, 0] == 0, "65535 stands for none"
    selection = selection_truth(dataset, (2,))
    assert selection is not None
    assert (selection.masks(2)["wall"] == (truth.instance_image(2) == 300)).all()


def test_without_names_or_instances_the_frames_still_load(tmp_path: Path) -> None:
    folder = vmap(tmp_path, orbit(3, camera=RENDERED))
    (folder / "habitat" / "info_semantic.json").unlink()
    dataset = open_dataset(folder)
    assert [text.split(":")[0] for text in missing_truth(dataset)] == ["info_semantic.json"]
    assert dataset.truth is not None
    assert set(dataset.truth.names.values()) == {""}
    for path in (folder / "imap" / "00" / "semantic_instance").iterdir():
        path.unlink()
    dataset = open_dataset(folder)
    assert dataset.truth is None
    assert any("semantic_instance" in text for text in missing_truth(dataset))
    assert dataset[1].index == 1
    with pytest.raises(DatasetError, match="semantic_instance"):
        open_dataset(f"{folder}?masks=truth")


def test_true_instances_serve_as_masks_when_asked_for(tmp_path: Path) -> None:
    frames = orbit(3, camera=RENDERED)
    masks = open_dataset(f"{vmap(tmp_path, frames)}?masks=truth")[1].masks
    assert masks is not None
    assert frames[1].masks is not None
    assert (masks.labels == IDS[frames[1].masks.labels]).all()
    assert masks.names == {12: "cushion", 300: "wall"}


@pytest.mark.parametrize("name", ["traj_w_c.txt"])
def test_what_a_vmap_folder_lacks_is_named(tmp_path: Path, name: str) -> None:
    folder = vmap(tmp_path, orbit(3, camera=RENDERED))
    (folder / "imap" / "00" / name).unlink()
    with pytest.raises(DatasetError, match=name):
        open_dataset(folder)


def test_nice_slam_frames_are_metric_and_posed(tmp_path: Path) -> None:
    frames = orbit(3, camera=FAR)
    dataset = open_dataset(nice_slam(tmp_path, frames))
    assert len(dataset) == 3
    for i, expected in enumerate(frames):
        frame = dataset[i]
        assert np.allclose(frame.camera.K, FAR.K), "cx = 47.5 counts pixels by their centres"
        assert np.allclose(frame.T_world_camera, expected.T_world_camera)
        assert frame.depth is not None
        assert expected.depth is not None
        assert np.abs(frame.depth - expected.depth).max() < 0.0001
    assert dataset.truth is None
    assert any("semantic_instance" in text for text in missing_truth(dataset))


@pytest.mark.parametrize("name", ["traj.txt", "cam_params.json"])
def test_what_a_nice_slam_folder_lacks_is_named(tmp_path: Path, name: str) -> None:
    folder = nice_slam(tmp_path, orbit(3, camera=FAR))
    (folder.parent if name == "cam_params.json" else folder).joinpath(name).unlink()
    with pytest.raises(DatasetError, match=name):
        open_dataset(folder)


@pytest.mark.parametrize(("name", "content"), [("traj.txt", "1 2 3\n"), ("../cam_params.json", '{"camera": {}}')])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: str) -> None:
    folder = nice_slam(tmp_path, orbit(2, camera=FAR))
    (folder / name).write_text(content)
    with pytest.raises(DatasetError, match=Path(name).name):
        open_dataset(folder)


def test_frames_without_a_pose_are_dropped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = orbit(4, camera=FAR)
    folder = nice_slam(tmp_path, frames)
    poses = [frame.T_world_camera for frame in frames]
    write_trajectory(folder / "traj.txt", [poses[0], np.full((4, 4), np.nan), poses[2]])
    with caplog.at_level(logging.WARNING):
        dataset = open_dataset(folder)
    assert [dataset[i].index for i in range(len(dataset))] == [0, 2]
    assert "no pose to 2 frames" in caplog.text


def test_fusion_takes_the_majority_and_does_not_care_for_the_order_of_views() -> None:
    """Three pictures of one wall: two agree, one errs everywhere; unlabelled pixels vote as any other."""
    camera = Camera(np.array([[60.0, 0, 30], [0, 60.0, 30], [0, 0, 1]]), 60, 60)
    depth = np.full((60, 60), 1.01, np.float32)
    right, wrong, none = np.full((60, 60), 4), np.full((60, 60), 9), np.zeros((60, 60), int)
    right[:, :30] = 2
    views = [InstanceView(depth, image, camera, np.eye(4)) for image in (wrong, right, right)]
    points, ids = fuse(views)
    assert (ids == np.where(points[:, 0] < 0, 2, 4)).all()
    again, ids_again = fuse(views[::-1])
    assert np.allclose(points, again, atol=1e-6)
    assert (ids == ids_again).all()
    _, ids = fuse([*views[:2], *(InstanceView(depth, none, camera, np.eye(4)),) * 2])
    assert (ids == 0).all()


def test_fusion_of_nothing_is_empty() -> None:
    points, ids = fuse([])
    assert points.shape == (0, 3)
    assert ids.shape == (0,)


@pytest.mark.field("format", "Replica folder without depth", "mapped from colour alone")
def test_folders_without_depth_are_of_colour_alone(tmp_path: Path) -> None:
    folder = nice_slam(tmp_path, orbit(3, camera=FAR))
    for path in (folder / "results").glob("depth*.png"):
        path.unlink()
    assert open_dataset(folder)[2].depth is None


@pytest.mark.field("broken", "a depth image or a picture of a folder is missing", "left out and counted")
def test_a_missing_depth_costs_the_depth_and_a_missing_picture_the_frame(tmp_path: Path) -> None:
    folder = vmap(tmp_path, orbit(3, camera=RENDERED))
    (folder / "imap" / "00" / "depth" / "depth_1.png").unlink()
    (folder / "imap" / "00" / "rgb" / "rgb_2.png").unlink()
    dataset = open_dataset(folder)
    assert [dataset[i].index for i in range(len(dataset))] == [0, 1]
    assert dataset[0].depth is not None
    assert dataset[1].depth is None
    assert faults_of(dataset).counts() == {"missing_depth": 1, "missing_image": 1}
    (folder / "imap" / "00" / "semantic_instance" / "semantic_instance_1.png").unlink()
    truth = open_dataset(folder).truth
    assert truth is not None
    with pytest.raises(DatasetError, match="frame 1"):
        truth.instance_image(1)

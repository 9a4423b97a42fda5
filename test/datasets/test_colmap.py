"""COLMAP folders: poses, lenses and labels come out where the pictures say they are."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from colmap_folder import COLORS, FIRST, POINTS, scene, write_labels
from helpers import CAMERA

from ig_ros.config import KeyframeConfig
from ig_ros.datasets import faults_of, missing_truth, open_dataset, selection_truth
from ig_ros.datasets.colmap import ColmapDataset
from ig_ros.datasets.colmap_model import ColmapCamera
from ig_ros.errors import DatasetError
from ig_ros.geometry import inverse, project, transform
from ig_ros.scaffold.keyframe_selection import KeyframeGate
from ig_ros.types import FloatArray


@pytest.mark.parametrize("binary", [True, False])
def test_frames_come_with_their_pictures_and_poses(tmp_path: Path, binary: bool) -> None:
    folder, frames = scene(tmp_path, binary)
    dataset = open_dataset(folder)
    assert isinstance(dataset, ColmapDataset)
    assert len(dataset) == 5
    for i, expected in enumerate(frames):
        frame = dataset[i]
        assert frame.index == FIRST + i
        assert (frame.rgb == expected.rgb).all()
        assert np.allclose(frame.T_world_camera, expected.T_world_camera, atol=1e-9)
        assert np.allclose(frame.camera.K, CAMERA.K), "COLMAP's pixel centres are at one half, as ours"
        assert frame.depth is None
    assert dataset.truth is None
    points = dataset.sparse_points
    assert points is not None
    assert np.allclose(points.xyz, POINTS)
    assert points.rgb.tolist() == [list(color) for color in COLORS]


def test_sparse_points_lie_on_what_the_pictures_show(tmp_path: Path) -> None:
    folder, _ = scene(tmp_path)
    dataset = open_dataset(folder)
    assert isinstance(dataset, ColmapDataset)
    assert dataset.sparse_points is not None
    for i in range(len(dataset)):
        frame = dataset[i]
        pixels, _ = project(transform(inverse(frame.T_world_camera), dataset.sparse_points.xyz), frame.camera)
        red, blue = (frame.rgb[int(v), int(u)].astype(int) for u, v in pixels)
        assert red[0] > red[2]
        assert blue[2] > blue[0]


@pytest.mark.field("wrong", "photographs in no order, far apart", "every one is used: no gate by motion or order")
def test_photographs_in_no_order_all_become_keyframes(tmp_path: Path) -> None:
    dataset = open_dataset(scene(tmp_path, n=8)[0])
    gate = KeyframeGate(KeyframeConfig(), CAMERA.width)
    for i in (0, 5, 2, 7, 1, 1):
        frame = dataset[i]
        far = np.diag([1.0, 1, 1, 1])
        far[:3, 3] = 100.0 * i * i
        assert gate.admit(dataclasses.replace(frame, T_world_camera=far @ frame.T_world_camera))


@pytest.mark.field("format", "COLMAP with images_2/ only", "mapped, intrinsics halved")
def test_reduced_copies_stand_for_missing_images(tmp_path: Path) -> None:
    folder, _ = scene(tmp_path)
    (folder / "images_4").mkdir()
    (folder / "images_2").mkdir()
    for path in sorted((folder / "images").iterdir()):
        image = cv2.imread(str(path))
        cv2.imwrite(str(folder / "images_2" / path.name), cv2.resize(image, None, fx=0.5, fy=0.5))
        path.unlink()
    (folder / "images").rmdir()
    frame = open_dataset(folder)[0]
    assert frame.rgb.shape == (CAMERA.height // 2, CAMERA.width // 2, 3)
    assert np.allclose(frame.camera.K[:2], CAMERA.K[:2] / 2)


@pytest.mark.field("broken", "a photograph of a COLMAP model is missing", "the others are mapped, it is counted")
def test_a_missing_photograph_is_left_out(tmp_path: Path) -> None:
    folder, _ = scene(tmp_path)
    (folder / "images" / "frame_00043.png").unlink()
    dataset = open_dataset(folder)
    assert [dataset[i].index for i in range(len(dataset))] == [41, 42, 44, 45]
    assert faults_of(dataset).counts() == {"missing_image": 1}
    assert "frame_00043.png" in str(faults_of(dataset))


def test_a_folder_without_points_still_reads(tmp_path: Path) -> None:
    folder, _ = scene(tmp_path)
    (folder / "sparse" / "0" / "points3D.bin").unlink()
    dataset = open_dataset(folder)
    assert isinstance(dataset, ColmapDataset)
    assert dataset.sparse_points is None


@pytest.mark.parametrize("name", ["sparse/0/cameras.bin", "sparse/0/images.bin"])
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    folder, _ = scene(tmp_path)
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=name):
        open_dataset(folder)


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
@pytest.mark.parametrize("binary", [True, False])
def test_a_damaged_model_is_named(tmp_path: Path, name: str, binary: bool) -> None:
    folder, _ = scene(tmp_path, binary)
    path = folder / "sparse" / "0" / f"{name}.{'bin' if binary else 'txt'}"
    path.write_bytes(path.read_bytes()[:60] if binary else b"1 2 nought\n")
    with pytest.raises(DatasetError, match=path.name):
        _ = open_dataset(folder).sparse_points  # type: ignore[attr-defined]


# Lenses: a lamp drawn where the lens puts it must appear where the pinhole camera that comes out puts it.

LENSES = [
    ColmapCamera("SIMPLE_RADIAL", 320, 240, (300.0, 161.0, 118.0, -0.15)),
    ColmapCamera("RADIAL", 320, 240, (300.0, 161.0, 118.0, 0.1, -0.02)),
    ColmapCamera("OPENCV", 320, 240, (300.0, 290.0, 161.0, 118.0, -0.12, 0.02, 0.003, -0.004)),
    ColmapCamera("FULL_OPENCV", 320, 240, (300.0, 290.0, 161.0, 118.0, -0.1, 0.02, 0.002, 0.001, 0.01, 0.02, 0, 0)),
    ColmapCamera("OPENCV_FISHEYE", 320, 240, (300.0, 290.0, 161.0, 118.0, -0.05, 0.01, 0.0, 0.0)),
    ColmapCamera("SIMPLE_RADIAL_FISHEYE", 320, 240, (300.0, 161.0, 118.0, 0.05)),
]


def seen_through(camera: ColmapCamera, ray: tuple[float, float]) -> tuple[float, float]:
    """Pixel (u, v) of a ray (x/z, y/z): the formulas of COLMAP's documentation, written out."""
    p = camera.parameters if camera.model in ("OPENCV", "FULL_OPENCV", "OPENCV_FISHEYE") else (
        camera.parameters[0], *camera.parameters
    )  # fmt: skip
    fx, fy, cx, cy, *k = [*p, 0.0, 0.0, 0.0, 0.0]
    x, y = ray
    if "FISHEYE" in camera.model:
        r = np.hypot(x, y)
        theta = np.arctan(r)
        scale = theta * (1 + k[0] * theta**2 + k[1] * theta**4 + k[2] * theta**6 + k[3] * theta**8) / r
        return fx * x * scale + cx, fy * y * scale + cy
    r2 = x * x + y * y
    p1, p2 = k[2:4] if "OPENCV" in camera.model else (0.0, 0.0)
    radial = 1 + k[0] * r2 + k[1] * r2**2
    if camera.model == "FULL_OPENCV":
        radial = (radial + k[4] * r2**3) / (1 + k[5] * r2 + k[6] * r2**2 + k[7] * r2**3)
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return fx * u + cx, fy * v + cy


@pytest.mark.parametrize("camera", LENSES, ids=lambda camera: camera.model)
@pytest.mark.parametrize("reduced", [1, 2])
def test_straightened_images_obey_their_pinhole_camera(camera: ColmapCamera, reduced: int) -> None:
    rectifier = camera.calibration.rectifier(camera.width // reduced, camera.height // reduced)
    rows, cols = np.mgrid[0 : camera.height // reduced, 0 : camera.width // reduced]
    for ray in ((0.05, -0.02), (-0.35, 0.25), (0.4, 0.28), (0.3, -0.3)):
        u, v = (value / reduced for value in seen_through(camera, ray))
        lamp = 200 * np.exp(-((cols + 0.5 - u) ** 2 + (rows + 0.5 - v) ** 2) / (2 * 1.5**2))
        image = rectifier.color(np.round(lamp).astype(np.uint8)).astype(np.float64)
        found = np.array([(image * (cols + 0.5)).sum(), (image * (rows + 0.5)).sum()]) / image.sum()
        expected = project(np.array([[*ray, 1.0]]), rectifier.camera)[0][0]
        assert np.abs(found - expected).max() < 0.15, ray


@pytest.mark.parametrize("camera", LENSES, ids=lambda camera: camera.model)
def test_every_pixel_of_a_straightened_image_was_seen(camera: ColmapCamera) -> None:
    rows, cols = np.mgrid[0:240, 0:320].astype(np.float32)
    rectifier = camera.calibration.rectifier(320, 240)
    assert rectifier.maps is not None
    for sources, places in zip(rectifier.maps, (cols, rows), strict=True):
        assert -0.5 < sources.min() < sources.max() < places.max() + 0.5


def test_a_pinhole_is_left_alone() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert ColmapCamera("SIMPLE_PINHOLE", 8, 6, (5.0, 4.0, 3.0)).calibration.rectifier(4, 3).color(image) is image


@pytest.mark.parametrize(
    ("camera", "complaint"),
    [
        (ColmapCamera("FOV", 320, 240, (300.0, 300.0, 160.0, 120.0, 0.9)), "FOV"),
        (ColmapCamera("PINHOLE", 320, 240, (300.0, 300.0, 160.0)), "3 parameters"),
        (ColmapCamera("PINHOLE", 320, 320, (300.0, 300.0, 160.0, 120.0)), "320x320"),
    ],
)
def test_lenses_that_cannot_be_straightened_are_named(camera: ColmapCamera, complaint: str) -> None:
    with pytest.raises(DatasetError, match=complaint):
        camera.calibration.rectifier(320, 240)


# Labels


def overlap(a: FloatArray, b: FloatArray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("place", ["cards/label", "label/cards"])
@pytest.mark.parametrize("size", [1.0, 2.0])
def test_labels_cover_what_they_name(tmp_path: Path, place: str, size: float) -> None:
    """Polygons were cut from the exact pictures: the masks must be those pictures' own, whatever the label's scale."""
    folder, frames = scene(tmp_path)
    for i in (1, 3):
        write_labels(tmp_path / place, frames[i], i + FIRST, size)
    dataset = open_dataset(folder)
    selection = selection_truth(dataset, ())
    assert selection is not None
    assert selection.places == (1, 3)
    assert missing_truth(dataset) == ()
    for i in selection.places:
        masks, exact = selection.masks(i), frames[i].masks
        assert exact is not None
        assert set(masks) == {"red card", "blue card", "card"}
        for text, ids in (("red card", [1]), ("blue card", [2]), ("card", [1, 2])):
            expected = np.isin(exact.labels, ids)
            assert masks[text].shape == expected.shape
            assert overlap(masks[text], expected) > 0.85


def middle(mask: FloatArray) -> FloatArray:
    """Mean row and column of a mask's pixels."""
    return np.argwhere(mask).mean(axis=0)


def test_labels_go_through_the_lens_with_their_picture(tmp_path: Path) -> None:
    """The card is where its colour is in the straightened picture, not where it was in the bent one."""
    folder, frames = scene(tmp_path, binary=False)
    values = f"{CAMERA.K[0, 0]} {CAMERA.K[0, 2]} {CAMERA.K[1, 2]} 0.4"
    (folder / "sparse" / "0" / "cameras.txt").write_text(f"3 SIMPLE_RADIAL {CAMERA.width} {CAMERA.height} {values}\n")
    write_labels(folder / "label", frames[3], 3 + FIRST)
    dataset = open_dataset(folder)
    selection = selection_truth(dataset, ())
    assert selection is not None
    rgb, mask = dataset[3].rgb.astype(int), selection.masks(3)["red card"]
    red = middle(rgb[..., 0] > 2 * rgb[..., 2] + 10)
    bent = frames[3].rgb.astype(int)
    assert np.abs(middle(bent[..., 0] > 2 * bent[..., 2] + 10) - red).max() > 1.5, "the lens bends this picture"
    assert np.abs(middle(mask) - red).max() < 0.5


def test_missing_labels_and_labels_of_no_picture_are_named(tmp_path: Path) -> None:
    folder, frames = scene(tmp_path)
    dataset = open_dataset(folder)
    assert selection_truth(dataset, (0,)) is None
    assert any("label/" in text for text in missing_truth(dataset))
    write_labels(folder / "label", frames[0], FIRST)
    write_labels(folder / "label", frames[0], 999)
    assert [text.split(":")[0] for text in missing_truth(open_dataset(folder))] == ["frame_00999.json"]


@pytest.mark.parametrize("content", ["{", '{"info": {}}', '{"info": {"width": 9, "height": 9}, "objects": [{}]}'])
def test_damaged_labels_are_named(tmp_path: Path, content: str) -> None:
    folder, frames = scene(tmp_path)
    write_labels(folder / "label", frames[0], FIRST)
    (folder / "label" / "frame_00041.json").write_text(content)
    selection = selection_truth(open_dataset(folder), ())
    assert selection is not None
    with pytest.raises(DatasetError, match=r"frame_00041\.json"):
        selection.masks(0)


def test_several_polygons_of_one_object_are_one_mask(tmp_path: Path) -> None:
    folder, frames = scene(tmp_path)
    write_labels(folder / "label", frames[0], FIRST)
    rings = [[[0, 0], [9, 0], [9, 9], [0, 9]], [[5, 0], [20, 0], [20, 9], [5, 9]]]
    about = {"info": {"width": 96, "height": 72}, "objects": [{"category": "box", "segmentation": rings}]}
    (folder / "label" / "frame_00041.json").write_text(json.dumps(about))
    selection = selection_truth(open_dataset(folder), ())
    assert selection is not None
    mask = selection.masks(0)["box"]
    assert mask[:10, :21].all()
    assert mask.sum() == 210


def test_scenes_with_instance_images_pose_the_task_by_their_names() -> None:
    dataset = open_dataset("sim:tabletop?width=64&frames=2&masks=none&depth=none")
    selection = selection_truth(dataset, (1,))
    assert selection is not None
    assert dataset.truth is not None
    image, masks = dataset.truth.instance_image(1), selection.masks(1)
    table = next(i for i, name in dataset.truth.names.items() if name == "table")
    assert (masks["table"] == (image == table)).all()
    seen = {dataset.truth.names[i] for i in np.unique(image).tolist() if i in dataset.truth.names}
    assert set(masks) == seen

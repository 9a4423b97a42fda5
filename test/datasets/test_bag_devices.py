"""Bags as cameras fill them: compressed depth, autofocus, binning, large images, slow poses, masks of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import camera_messages as camera
import numpy as np
import pytest
from datasets.test_bags import FRAMES, MSG, PLAIN, Entry, depth_of, entries, head, image, info, png, pose_of, write
from helpers import CAMERA
from PIL import Image as Picture

from ig_ros.cli import main
from ig_ros.datasets import open_dataset
from ig_ros.geometry import quaternion_from_matrix
from ig_ros.types import FloatArray, Frame


@pytest.mark.field("device", "compressedDepth, png and RVL, 16UC1 and 32FC1", "depth in metres")
@pytest.mark.parametrize("codec", ["png", "rvl", ""])
def test_compressed_depth(tmp_path: Path, codec: str) -> None:
    def depth(f: Frame) -> Any:
        return camera.compressed_depth(np.round(depth_of(f) * 1000).astype(np.uint16), codec, stamp=f.stamp)

    dataset = open_dataset(write(tmp_path / "bag", entries(**PLAIN, cam__depth__compressedDepth=depth)))
    for i, frame in enumerate(FRAMES):
        np.testing.assert_allclose(dataset[i].depth, depth_of(frame), atol=5.1e-4)
    assert "depth /cam/depth/compressedDepth (4 of 4 images have it)" in dataset.chosen


@pytest.mark.field("device", "intrinsics that differ in each message (autofocus)", "each image has its own")
def test_autofocus(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    focal = {f.stamp: 90.0 + 0.1 * i for i, f in enumerate(FRAMES)}

    def focusing(f: Frame) -> Any:
        message = info(f, (-0.2, 0.05, 0.0, 0.0, 0.0))
        message.k = message.k.copy()
        message.k[0] = message.k[4] = focal[f.stamp]
        return message

    dataset = open_dataset(write(tmp_path / "bag", entries(**PLAIN | {"cam__camera_info": focusing})))
    frames = [dataset[i] for i in (0, 3, 1, 2)]
    found = np.array([frame.camera.K[0, 0] for frame in frames]) / frames[0].camera.K[0, 0]
    np.testing.assert_allclose(found, np.array([90.0, 90.3, 90.1, 90.2]) / 90)
    assert caplog.text == ""


def test_two_cameras_on_one_camera_info_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def calibration(f: Frame) -> Any:
        message = info(f)
        message.k = message.k * (1.0 + (f is FRAMES[1]))
        return message

    write(tmp_path / "bag", entries(**PLAIN | {"cam__camera_info": calibration}))
    assert open_dataset(tmp_path / "bag")[2].camera.K[0, 0] == CAMERA.K[0, 0]
    assert "changes 2 times" in caplog.text


@pytest.mark.field("device", "camera_info latched and sent once", "used")
@pytest.mark.parametrize("stamp", [0, FRAMES[3].stamp])
def test_a_single_camera_info(tmp_path: Path, stamp: int) -> None:
    once = info(FRAMES[0])
    once.header = head(stamp, "optical")
    content = [e for e in entries(**PLAIN) if e[0] != "/cam/camera_info"] + [("/cam/camera_info", 7, once)]
    dataset = open_dataset(write(tmp_path / "bag", content))
    assert [dataset[i].camera.K[0, 0] for i in range(4)] == [CAMERA.K[0, 0]] * 4


@pytest.mark.field("device", "camera_info with binning and ROI", "K of the image as it is")
def test_binning_and_region(tmp_path: Path) -> None:
    """The sensor is as large again, and 8 px more at the left and above are not read out."""

    def calibration(f: Frame) -> Any:
        message = info(f)
        K = CAMERA.K * np.array([[2, 1, 2], [1, 2, 2], [1, 1, 1]]) + np.array([[0, 0, 7.5], [0, 0, 7.5], [0, 0, 0]])
        message.k, message.width, message.height = K.reshape(-1), 2 * CAMERA.width + 8, 2 * CAMERA.height + 8
        message.binning_x = message.binning_y = 2
        message.roi = MSG["sensor_msgs/msg/RegionOfInterest"](8, 8, 2 * CAMERA.height, 2 * CAMERA.width, True)
        return message

    parts = PLAIN | {"cam__camera_info": calibration, "cam__depth": lambda f: image(f, depth_of(f), "32FC1")}
    frame = open_dataset(write(tmp_path / "bag", entries(**parts)))[0]
    np.testing.assert_allclose(frame.camera.K, CAMERA.K)
    np.testing.assert_array_equal(frame.depth, depth_of(FRAMES[0]))


@pytest.mark.field("device", "images above 2.1 million pixels", "reduced while decoding, intrinsics follow")
def test_large_jpegs_with_depth_and_masks(tmp_path: Path) -> None:
    n = 24  # 2304 x 1728, 4 million pixels
    large = CAMERA.resized(CAMERA.width * n, CAMERA.height * n)

    def big(pixels: np.ndarray) -> np.ndarray:
        return np.kron(pixels, np.ones((n, n, *(1,) * (pixels.ndim - 2)), pixels.dtype))

    frame = FRAMES[0]
    jpeg = camera.encoded(big(frame.rgb)[..., ::-1], ".jpg")
    labels = (np.arange(frame.rgb[..., 0].size).reshape(frame.rgb.shape[:2]) // 96 % 5).astype(np.uint16)
    content: list[Entry] = [
        ("/cam/image/compressed", 0, camera.compressed(jpeg, "jpeg", frame.stamp)),
        ("/cam/camera_info", 0, camera.info(large, stamp=frame.stamp)),
        ("/cam/depth", 0, image(frame, big(depth_of(frame)), "32FC1")),
        ("/cam/labels", 0, image(frame, big(labels), "16UC1")),
        next(e for e in entries(**PLAIN) if e[0] == "/pose" and e[1] == frame.stamp),
    ]
    dataset = open_dataset(f"{write(tmp_path / 'bag', content)}?masks=/cam/labels&depth=/cam/depth")
    assert "2304x1728 read as 1152x864" in dataset.chosen
    got = dataset[0]
    assert got.rgb.shape == (864, 1152, 3)
    np.testing.assert_allclose(got.camera.K, CAMERA.resized(1152, 864).K)
    np.testing.assert_array_equal(got.depth[6::12, 6::12], depth_of(frame))
    np.testing.assert_array_equal(got.masks.labels[6::12, 6::12], labels)
    assert np.abs(got.rgb[6::12, 6::12].astype(int) - frame.rgb).mean() < 4


def with_poses(places: tuple[int, ...], step: int = 0) -> list[Entry]:
    """Images ten times as far apart in time, poses of some."""
    bag: list[Entry] = []
    for i, frame in enumerate(FRAMES):
        for topic, make in (("/cam/image", PLAIN["cam__image"]), ("/cam/camera_info", info)):
            message = make(frame)
            message.header.stamp = head(10**9 * (i + 1), "").stamp
            bag.append((topic, frame.stamp, message))
        if i in places:
            stamped = MSG["geometry_msgs/msg/PoseStamped"](
                head(10**9 * (i + 1) + step, "map"), pose_of(frame.T_world_camera)
            )
            bag.append(("/pose", frame.stamp, stamped))
    return bag


@pytest.mark.field(
    "device", "poses slower than 2 Hz in a bag", "images at their stamps; what is left out, and the remedy"
)
def test_a_trajectory_of_keyframes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "bag", with_poses((0, 2)))
    dataset = open_dataset(path)
    assert [dataset[i].index for i in range(len(dataset))] == [0, 2]
    for part in ("left out 2 of 4", "1 before the first pose or after the last, 1 between", "?pose_max_gap=2"):
        assert part in caplog.text
    assert "image /cam/image (96x72, 2 of 4 with a pose)" in dataset.chosen
    more = open_dataset(f"{path}?pose_max_gap=2")
    assert [more[i].index for i in range(len(more))] == [0, 1, 2]


def test_slow_poses_beside_the_images_name_the_option(tmp_path: Path) -> None:
    path = write(tmp_path / "bag", with_poses((0, 1, 2, 3), step=400_000_000))
    with pytest.raises(Exception, match=r"none of 4 images has a pose.*\?pose_max_gap=SECONDS"):
        open_dataset(path)
    assert len(open_dataset(f"{path}?pose_max_gap=1.5")) == 3


def covariant(f: Frame) -> Any:
    pose = MSG["geometry_msgs/msg/PoseWithCovariance"](pose_of(f.T_world_camera), np.zeros(36))
    return MSG["geometry_msgs/msg/PoseWithCovarianceStamped"](head(f.stamp, "map"), pose)


def transform(f: Frame) -> Any:
    T: FloatArray = f.T_world_camera
    q = quaternion_from_matrix(T[:3, :3])
    values = MSG["geometry_msgs/msg/Vector3"](*T[:3, 3]), MSG["geometry_msgs/msg/Quaternion"](q[1], q[2], q[3], q[0])
    return MSG["geometry_msgs/msg/TransformStamped"](
        head(f.stamp, "map"), "optical", MSG["geometry_msgs/msg/Transform"](*values)
    )


@pytest.mark.field("device", "PoseWithCovarianceStamped and TransformStamped as pose topics", "poses")
@pytest.mark.parametrize("make", [covariant, transform])
def test_poses_of_other_messages(tmp_path: Path, make: Any) -> None:
    dataset = open_dataset(write(tmp_path / "bag", entries(**PLAIN | {"pose": make})))
    for i, frame in enumerate(FRAMES):
        np.testing.assert_allclose(dataset[i].T_world_camera, frame.T_world_camera, atol=1e-9)


LABELS = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
LABELS[10:30, 10:40], LABELS[40:60, 50:80] = 3, 7
COLORS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [255, 250, 0]] + [[9, 9, i] for i in range(9)], np.uint8)


def palette(labels: np.ndarray, folder: Path) -> bytes:
    picture = Picture.fromarray(labels, "P")
    picture.putpalette(COLORS.reshape(-1).tolist())
    picture.save(folder / "palette.png")
    return (folder / "palette.png").read_bytes()


MASKS = pytest.mark.field("device", "masks as 32SC1, palette or RGB PNG", "an id for each index or colour")


@MASKS
@pytest.mark.parametrize("kind", ["palette", "rgb png", "grey png", "rgb8", "32SC1"])
def test_label_images(tmp_path: Path, kind: str) -> None:
    def make(f: Frame) -> Any:
        if kind == "32SC1":
            return image(f, LABELS.astype(np.int32), kind)
        if kind == "rgb8":
            return image(f, COLORS[LABELS], kind)
        data = {
            "palette": palette(LABELS, tmp_path),
            "rgb png": png(COLORS[LABELS][..., ::-1]),
            "grey png": png(LABELS),
        }
        return camera.compressed(data[kind], "png", f.stamp)

    path = write(tmp_path / "bag", entries(**PLAIN, seg__labels=make))
    masks = open_dataset(f"{path}?image=/cam/image&masks=/seg/labels")[0].masks
    assert masks is not None
    got = masks.labels
    assert ((got > 0) == (LABELS > 0)).all()
    if kind in ("palette", "grey png", "32SC1"):
        np.testing.assert_array_equal(got, LABELS)
    for number in (3, 7):
        assert len(np.unique(got[number == LABELS])) == 1
    assert len(np.unique(got)) == 3


def segmented(f: Frame, pixels: np.ndarray, encoding: str, *names: tuple[int, str]) -> Any:
    entries_ = [MSG_SEGMENTED["ig_ros/msg/Mask"](i, name, 1.0, np.zeros(0, np.float32)) for i, name in names]
    return MSG_SEGMENTED["ig_ros/msg/SegmentedImage"](
        head(f.stamp, "optical"), image(f, pixels, encoding), entries_, ""
    )


def own_types() -> Any:
    from datasets import test_bags
    from rosbags.typesys import get_types_from_msg

    found: dict[str, Any] = {}
    for name in ("Mask", "SegmentedImage"):
        text = (Path(__file__).resolve().parents[2] / "msg" / f"{name}.msg").read_text()
        found |= get_types_from_msg(text, f"ig_ros/msg/{name}")
    test_bags.TYPES.register(found)
    return test_bags.TYPES.types


MSG_SEGMENTED = own_types()
OVERLAP = pytest.mark.field("device", "masks that overlap", "the smaller one on top")


@OVERLAP
def test_layers_of_one_message_and_messages_of_one_stamp(tmp_path: Path) -> None:
    table, mug = np.zeros_like(LABELS, np.uint16), np.zeros_like(LABELS, np.uint16)
    table[5:65, 5:90], mug[20:30, 20:30] = 1, 2
    layered = entries(
        **PLAIN, masks=lambda f: segmented(f, np.stack([mug, table], 2), "16UC2", (1, "table"), (2, "mug"))
    )
    single = entries(**PLAIN) + [
        ("/masks", f.stamp + i, segmented(f, (pixels > 0).astype(np.uint16), "16UC1", (1, name)))
        for f in FRAMES for i, (pixels, name) in enumerate([(mug, "mug"), (table, "table")])
    ]  # fmt: skip
    for i, content in enumerate((layered, single)):
        masks = open_dataset(write(tmp_path / f"bag{i}", content))[1].masks
        assert masks is not None
        names = {name: number for number, name in masks.names.items()}
        np.testing.assert_array_equal(masks.labels == names["mug"], mug > 0)
        np.testing.assert_array_equal(masks.labels == names["table"], (table > 0) & (mug == 0))


@pytest.mark.field("wrong", "depth without a usable pixel", "a warning with the reason")
def test_the_command_says_what_it_reads_and_why_depth_is_of_no_use(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts = PLAIN | {"cam__depth": lambda f: image(f, depth_of(f) + 30, "32FC1")}
    path = write(tmp_path / "bag", entries(**parts))
    settings = ("keyframes.max_speed=1000", "language.encoder=none", "threads=1", "instances.sub_objects=100")
    words = [word for setting in settings for word in ("--set", setting)]
    monkeypatch.setattr(
        "sys.argv", ["ig", "map", str(path), "--steps", "3", "--out", str(tmp_path / "out"), "--no-report", *words]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    told = capsys.readouterr()
    assert "image /cam/image (96x72, 4 of 4 with a pose), camera_info /cam/camera_info, pose /pose" in told.err
    assert "depth /cam/depth (4 of 4 images have it), masks none" in told.err
    assert "no depth is within 0.1 to 8 m" in caplog.text
    assert "keyframes_with_depth" in told.out

"""Bags of several makers, written with rosbags: what is read equals what went in, and what is open is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import CAMERA, orbit
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from ig_ros.cli import main
from ig_ros.datasets import faults_of, open_dataset, with_topics
from ig_ros.errors import DatasetError
from ig_ros.geometry import inverse, quaternion_from_matrix, reproject_depth
from ig_ros.message_decoding import nanoseconds
from ig_ros.types import FloatArray, Frame

TYPES = get_typestore(Stores.ROS2_JAZZY)
MSG = TYPES.types
FRAMES = orbit(4, masks=False)
T_BODY_OPTICAL = np.array([[0.0, 0, 1, 0.1], [-1, 0, 0, 0], [0, -1, 0, 0.2], [0, 0, 0, 1]])


def head(stamp: int, frame: str) -> Any:
    time = MSG["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9)
    return MSG["std_msgs/msg/Header"](stamp=time, frame_id=frame)


def image(frame: Frame, pixels: np.ndarray, encoding: str) -> Any:
    height, width = pixels.shape[:2]
    data = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8)
    return MSG["sensor_msgs/msg/Image"](
        head(frame.stamp, "optical"), height, width, encoding, 0, len(data) // height, data
    )


def compressed(frame: Frame, data: bytes, form: str) -> Any:
    return MSG["sensor_msgs/msg/CompressedImage"](head(frame.stamp, "optical"), form, np.frombuffer(data, np.uint8))


def info(frame: Frame, distortion: tuple[float, ...] = ()) -> Any:
    K = CAMERA.K.copy()
    K[:2, 2] -= 0.5
    roi = MSG["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    flat = [np.array(a, np.float64) for a in (distortion, K.reshape(-1), np.eye(3).reshape(-1), np.zeros(12))]
    stamp = head(frame.stamp, "optical")
    return MSG["sensor_msgs/msg/CameraInfo"](stamp, CAMERA.height, CAMERA.width, "plumb_bob", *flat, 0, 0, roi)


def pose_of(T: FloatArray) -> Any:
    q = quaternion_from_matrix(T[:3, :3])
    return MSG["geometry_msgs/msg/Pose"](
        MSG["geometry_msgs/msg/Point"](*T[:3, 3]), MSG["geometry_msgs/msg/Quaternion"](q[1], q[2], q[3], q[0])
    )


def stamped(stamp: int, T: FloatArray) -> Any:
    return MSG["geometry_msgs/msg/PoseStamped"](head(stamp, "map"), pose_of(T))


def odometry(stamp: int, T: FloatArray) -> Any:
    zero = MSG["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    twist = MSG["geometry_msgs/msg/TwistWithCovariance"](MSG["geometry_msgs/msg/Twist"](zero, zero), np.zeros(36))
    pose = MSG["geometry_msgs/msg/PoseWithCovariance"](pose_of(T), np.zeros(36))
    return MSG["nav_msgs/msg/Odometry"](head(stamp, "odom"), "base", pose, twist)


def tf(stamp: int, parent: str, child: str, T: FloatArray) -> Any:
    pose = pose_of(T)
    p, q = pose.position, pose.orientation
    transform = MSG["geometry_msgs/msg/Transform"](MSG["geometry_msgs/msg/Vector3"](p.x, p.y, p.z), q)
    item = MSG["geometry_msgs/msg/TransformStamped"](head(stamp, parent), child, transform)
    return MSG["tf2_msgs/msg/TFMessage"]([item])


Entry = tuple[str, int, Any]  # topic, time (ns), message


def write(path: Path, entries: list[Entry], plugin: StoragePlugin = StoragePlugin.MCAP) -> Path:
    with Writer(path, version=9, storage_plugin=plugin) as bag:
        connections: dict[str, Any] = {}
        for topic, time, message in entries:
            if topic not in connections:
                connections[topic] = bag.add_connection(topic, message.__msgtype__, typestore=TYPES)
            data = TYPES.serialize_cdr(message, message.__msgtype__)
            bag.write(connections[topic], time, bytes(data))
    return path


def entries(**parts: Callable[[Frame], Any]) -> list[Entry]:
    """The same parts of every frame, in reverse order of time: bags are not sorted by stamp."""
    return [(f"/{part.replace('__', '/')}", f.stamp, make(f)) for f in reversed(FRAMES) for part, make in parts.items()]


PLAIN: dict[str, Callable[[Frame], Any]] = {
    "cam__image": lambda f: image(f, f.rgb, "rgb8"),
    "cam__camera_info": info,
    "pose": lambda f: stamped(f.stamp, f.T_world_camera),
}


def depth_of(frame: Frame) -> FloatArray:
    assert frame.depth is not None
    return frame.depth


@pytest.mark.parametrize("plugin", list(StoragePlugin))
def test_what_went_in_comes_out(tmp_path: Path, plugin: StoragePlugin) -> None:
    folder = write(tmp_path / "bag", entries(**PLAIN, cam__depth=lambda f: image(f, depth_of(f), "32FC1")), plugin)
    file = next(path for path in folder.iterdir() if path.suffix in (".mcap", ".db3"))
    for path in (folder, file):
        dataset = open_dataset(path)
        assert len(dataset) == len(FRAMES)
        for got, want in zip([dataset[i] for i in range(len(dataset))], FRAMES, strict=True):
            assert got.stamp == want.stamp
            assert got.depth is not None
            np.testing.assert_array_equal(got.rgb, want.rgb)
            np.testing.assert_array_equal(got.depth, depth_of(want))
            np.testing.assert_allclose(got.T_world_camera, want.T_world_camera, atol=1e-12)
            np.testing.assert_allclose(got.camera.K, CAMERA.K)


def png(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1].tobytes())


def inverse_depth(frame: Frame) -> Any:
    """As image_transport's compressedDepth writes 32FC1: two parameters, then quantised inverse depth."""
    a, b = 100.0 * 101.0, 1.0 - 100.0 * 101.0 / 10.0
    header = np.array([0], "<i4").tobytes() + np.array([a, b], "<f4").tobytes()
    quantised = np.round(a / depth_of(frame) + b).astype(np.uint16)
    return compressed(frame, header + png(quantised), "32FC1; compressedDepth png")


@pytest.mark.parametrize(
    ("depth", "tolerance"),
    [
        (lambda f: image(f, np.round(depth_of(f) * 1000).astype("<u2"), "16UC1"), 5.1e-4),
        (lambda f: compressed(f, png(np.round(depth_of(f) * 1000).astype(np.uint16)), "16UC1; png"), 5.1e-4),
        (inverse_depth, 1e-3),
    ],
)
def test_compressed_images_and_every_depth_format(tmp_path: Path, depth: Any, tolerance: float) -> None:
    parts = PLAIN | {
        "cam__image": lambda f: compressed(f, png(f.rgb[..., ::-1]), "rgb8; png compressed bgr8"),
        "cam__depth__compressedDepth": depth,
    }
    frame = open_dataset(write(tmp_path / "bag", entries(**parts)))[2]
    assert frame.depth is not None
    np.testing.assert_array_equal(frame.rgb, FRAMES[2].rgb)
    np.testing.assert_allclose(frame.depth, depth_of(FRAMES[2]), atol=tolerance)


def test_a_pose_between_two_is_interpolated_and_images_without_one_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = [e for e in entries(**PLAIN) if e[0] != "/pose"]
    content += [("/pose", f.stamp, stamped(f.stamp, f.T_world_camera)) for f in (FRAMES[0], FRAMES[2])]
    dataset = open_dataset(write(tmp_path / "bag", content))
    assert [dataset[i].index for i in range(len(dataset))] == [0, 1, 2]
    middle = (FRAMES[0].T_world_camera[:3, 3] + FRAMES[2].T_world_camera[:3, 3]) / 2
    np.testing.assert_allclose(dataset[1].T_world_camera[:3, 3], middle)
    assert "left out 1 of 4 images" in caplog.text


def without_pose() -> list[Entry]:
    return [e for e in entries(**PLAIN) if e[0] != "/pose"]


def body(frame: Frame) -> FloatArray:
    return frame.T_world_camera @ inverse(T_BODY_OPTICAL)


def test_transforms_give_the_pose_through_every_frame_between(tmp_path: Path) -> None:
    offset = np.eye(4)
    offset[:3, 3] = 1.0, 2.0, 0.0
    content = [*without_pose(), ("/tf_static", 0, tf(0, "base", "optical", T_BODY_OPTICAL))]
    content += [("/tf", f.stamp, tf(f.stamp, "odom", "base", inverse(offset) @ body(f))) for f in FRAMES]
    content += [("/tf", f.stamp, tf(f.stamp, "map", "odom", offset)) for f in FRAMES]
    path = write(tmp_path / "bag", content)
    frame = open_dataset(path)[1]
    np.testing.assert_allclose(frame.T_world_camera, FRAMES[1].T_world_camera, atol=1e-9)
    in_odom = open_dataset(with_topics(str(path), {"map_frame": "odom"}))[1]
    np.testing.assert_allclose(in_odom.T_world_camera, inverse(offset) @ FRAMES[1].T_world_camera, atol=1e-9)
    with pytest.raises(DatasetError, match="does not connect 'optical' with 'mars'"):
        open_dataset(f"{path}?map_frame=mars")


def test_a_missing_transform_is_no_identity(tmp_path: Path) -> None:
    path = write(tmp_path / "bag", entries(**PLAIN))
    with pytest.raises(DatasetError, match=r"no transform of the camera frame 'optical'"):
        open_dataset(f"{path}?pose=tf")


def test_a_topic_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "bag", entries(**PLAIN))
    for part, name in (("image", "/pose"), ("pose", "/cam/image"), ("image", "none"), ("depth", "/cam/image")):
        with pytest.raises(DatasetError, match=f"no {part} topic {name}"):
            open_dataset(f"{path}?{part}={name}")
    assert open_dataset(f"{path}?depth=none&masks=none")[0].depth is None


@pytest.mark.field("wrong", "a bag with odometry of base_link", "turned to the camera by tf, else refused")
def test_odometry_of_the_base_needs_to_know_where_the_camera_sits(tmp_path: Path) -> None:
    content = without_pose() + [("/odom", f.stamp, odometry(f.stamp, body(f))) for f in FRAMES]
    path = write(tmp_path / "unmounted", content)
    with pytest.raises(DatasetError, match=r"'base'.*--pose-frame optical"):
        open_dataset(path)
    simple = np.eye(4)
    simple[:3, :3] = T_BODY_OPTICAL[:3, :3]
    np.testing.assert_allclose(
        open_dataset(f"{path}?pose_frame=body")[0].T_world_camera, body(FRAMES[0]) @ simple, atol=1e-9
    )
    mounted = write(tmp_path / "mounted", [*content, ("/tf_static", 0, tf(0, "base", "optical", T_BODY_OPTICAL))])
    np.testing.assert_allclose(open_dataset(mounted)[3].T_world_camera, FRAMES[3].T_world_camera, atol=1e-9)


def test_an_open_choice_lists_the_candidates_and_takes_an_answer(tmp_path: Path) -> None:
    parts = PLAIN | {"other__image": lambda f: image(f, 255 - f.rgb, "bgr8"), "other__camera_info": info}
    path = str(write(tmp_path / "bag", entries(**parts)))
    with pytest.raises(DatasetError, match=r"--image: /cam/image .* /other/image "):
        open_dataset(path)
    for name, want in (("/cam/image", FRAMES[0].rgb), ("/other/image", 255 - FRAMES[0].rgb[..., ::-1])):
        np.testing.assert_array_equal(open_dataset(with_topics(path, {"image": name, "pose": None}))[0].rgb, want)
    with pytest.raises(DatasetError, match=r"no image topic /cam/imgae; it has .*/cam/image "):
        open_dataset(f"{path}?image=/cam/imgae")


def test_on_the_command_line_an_open_choice_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "bag", entries(**PLAIN, other__image=PLAIN["cam__image"]))
    monkeypatch.setattr("sys.argv", ["ig", "map", str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    assert all(word in said for word in ("--image", "/cam/image", "/other/image"))


def test_raw_images_win_over_their_own_compressed_copy(tmp_path: Path) -> None:
    parts = PLAIN | {"cam__image__compressed": lambda f: compressed(f, png(f.rgb), "jpeg")}
    np.testing.assert_array_equal(open_dataset(write(tmp_path / "bag", entries(**parts)))[0].rgb, FRAMES[0].rgb)


def test_lens_distortion_is_removed_from_image_and_depth(tmp_path: Path) -> None:
    parts = PLAIN | {
        "cam__camera_info": lambda f: info(f, (-0.2, 0.05, 0.0, 0.0, 0.0)),
        "cam__depth": lambda f: image(f, depth_of(f), "32FC1"),
    }
    frame = open_dataset(write(tmp_path / "bag", entries(**parts)))[0]
    assert frame.camera.K[0, 0] != CAMERA.K[0, 0]
    assert frame.depth is not None
    assert (frame.depth > 0).all(), "every pixel of the narrowed view was seen"


@pytest.mark.parametrize("missing", ["cam__image", "cam__camera_info", "pose"])
def test_a_missing_part_is_named(tmp_path: Path, missing: str) -> None:
    parts = {name: make for name, make in PLAIN.items() if name != missing}
    with pytest.raises(DatasetError, match=missing.removeprefix("cam__")):
        open_dataset(write(tmp_path / "bag", entries(**parts)))


def test_a_broken_file_and_wrong_options_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "cut.mcap").write_bytes(b"\x89MCAP0\r\n\x01")
    with pytest.raises(DatasetError, match=r"cut\.mcap cannot be read as a bag"):
        open_dataset(tmp_path / "cut.mcap")
    path = write(tmp_path / "bag", entries(**PLAIN))
    with pytest.raises(DatasetError, match="unknown option colour"):
        open_dataset(f"{path}?colour=/cam/image")
    with pytest.raises(DatasetError, match="is not a bag"):
        with_topics("sim:tabletop", {"image": "/image"})


def test_a_recording_of_the_player_is_the_dataset_again(tmp_path: Path) -> None:
    from ig_ros.nodes.player import PlayOptions, record

    scene = open_dataset("sim:tabletop?width=64&frames=3")
    path = tmp_path / "played.mcap"
    assert record(scene, PlayOptions(record=str(path), rate=5.0)) == 3
    dataset = open_dataset(path)
    assert [dataset[i].stamp for i in range(3)] == [1_000_000_000, 1_200_000_000, 1_400_000_000]
    got, want = dataset[2], scene[2]
    assert got.masks is not None
    assert want.masks is not None
    np.testing.assert_array_equal(got.rgb, want.rgb)
    np.testing.assert_array_equal(got.masks.labels, want.masks.labels)
    assert got.masks.names == want.masks.names
    np.testing.assert_allclose(got.T_world_camera, want.T_world_camera, atol=1e-9)


def shifted(message: Any, by: int) -> Any:
    message.header.stamp = MSG["builtin_interfaces/msg/Time"]((t := nanoseconds(message.header.stamp) + by) // 10**9,
                                                               t % 10**9)  # fmt: skip
    return message


def in_frame(message: Any, frame: str) -> Any:
    message.header.frame_id = frame
    return message


@pytest.mark.field("wrong", "a bag whose stamps are all zero", "refused, cause named")
def test_images_that_all_bear_one_stamp_are_refused(tmp_path: Path) -> None:
    same = [(topic, time, shifted(m, -nanoseconds(m.header.stamp)) if "image" in topic else m)
            for topic, time, m in entries(**PLAIN)]  # fmt: skip
    with pytest.raises(DatasetError, match="same stamp"):
        open_dataset(write(tmp_path / "bag", same))


@pytest.mark.field("wrong", "a bag with depth stamped 25-50 ms late", "used with the pose of its own stamp, told")
def test_depth_that_is_steadily_late_is_used_with_the_pose_of_its_own_stamp(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Images of frames 0 and 2, depth of frames 1 and 3, 40 ms later: seen from the image it lies where it is."""
    times = dict(zip((f.stamp for f in FRAMES), (0, 40_000_000, 200_000_000, 240_000_000), strict=True))
    pairs = ((FRAMES[0], FRAMES[1]), (FRAMES[2], FRAMES[3]))
    bag: list[Entry] = [("/pose", f.stamp, stamped(times[f.stamp], f.T_world_camera)) for f in FRAMES]
    for early, late in pairs:
        bag += [(f"/cam/{part}", early.stamp, shifted(make(early), times[early.stamp] - early.stamp))
                for part, make in (("image", PLAIN["cam__image"]), ("camera_info", info))]  # fmt: skip
        depth = image(late, depth_of(late), "32FC1")
        bag.append(("/cam/depth", late.stamp, shifted(depth, times[late.stamp] - late.stamp)))
    dataset = open_dataset(write(tmp_path / "bag", bag))
    assert "with the pose of its own stamp" in caplog.text
    for place, (frame, _) in enumerate(pairs):
        got, want = dataset[place].depth, depth_of(frame)
        assert got is not None
        both = (got > 0) & (want > 0)
        assert both.mean() > 0.6
        assert np.median(np.abs(got - want)[both]) < 0.01


@pytest.mark.field("wrong", "a bag with depth stamped anyhow", "a warning with offset and sync_tolerance")
def test_depth_that_is_now_and_then_late_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    late = {f.stamp: 300_000_000 if i % 2 else 0 for i, f in enumerate(FRAMES)}
    parts = {**PLAIN, "cam__depth": lambda f: shifted(image(f, depth_of(f), "32FC1"), late[f.stamp])}
    dataset = open_dataset(write(tmp_path / "bag", entries(**parts)))
    assert "sync_tolerance" in caplog.text
    assert [dataset[i].depth is not None for i in range(len(FRAMES))] == [True, False, True, False]


@pytest.mark.field("wrong", "a bag with depth of another frame_id", "registered, or refused with the remedy")
def test_unregistered_depth_is_registered_with_its_own_calibration_and_tf(tmp_path: Path) -> None:
    """A depth camera half as wide, 5 cm beside the colour camera."""
    T_color_depth = np.eye(4)
    T_color_depth[0, 3] = 0.05
    small = CAMERA.resized(CAMERA.width // 2, CAMERA.height // 2)

    def depth(f: Frame) -> Any:
        seen = reproject_depth(depth_of(f), CAMERA, inverse(T_color_depth), small)
        return in_frame(image(f, seen.astype(np.float32), "32FC1"), "depth_optical")

    def depth_info(f: Frame) -> Any:
        message = in_frame(info(f), "depth_optical")
        K = small.K.copy()
        K[:2, 2] -= 0.5
        message.k, message.width, message.height = K.reshape(-1), small.width, small.height
        return message

    parts = {**PLAIN, "depth__image": depth, "depth__camera_info": depth_info}
    where = [("/tf_static", FRAMES[0].stamp, tf(FRAMES[0].stamp, "optical", "depth_optical", T_color_depth))]
    dataset = open_dataset(write(tmp_path / "bag", entries(**parts) + where))
    for i, frame in enumerate(FRAMES):
        got, want = dataset[i].depth, depth_of(frame)
        assert got is not None
        assert got.shape == want.shape
        both = (got > 0) & (want > 0)
        assert both.mean() > 0.7
        assert np.median(np.abs(got - want)[both]) < 0.01
    with pytest.raises(DatasetError, match="depth-image none"):
        open_dataset(write(tmp_path / "without_tf", entries(**parts)))
    del parts["depth__camera_info"]
    with pytest.raises(DatasetError, match="no camera_info of it"):
        open_dataset(write(tmp_path / "without_info", entries(**parts)))


@pytest.mark.field("wrong", "a bag with a rectified image and D != 0", "not undistorted again, P used")
def test_a_rectified_image_is_not_undistorted_again(tmp_path: Path) -> None:
    def calibration(f: Frame) -> Any:
        message = info(f, (0.2, -0.1, 0.0, 0.0, 0.0))
        P = np.zeros((3, 4))
        P[:, :3] = message.k.reshape(3, 3) * np.array([[1.1, 1, 1], [1, 1.1, 1], [1, 1, 1]])
        message.p = P.reshape(-1)
        return message

    parts = {"cam__image_rect_color": PLAIN["cam__image"], "cam__camera_info": calibration, "pose": PLAIN["pose"]}
    frame = open_dataset(write(tmp_path / "bag", entries(**parts)))[0]
    assert np.array_equal(frame.rgb, FRAMES[0].rgb)
    assert frame.camera.K[0, 0] == pytest.approx(1.1 * CAMERA.K[0, 0])
    assert frame.camera.K[:2, 2] == pytest.approx(CAMERA.K[:2, 2])


@pytest.mark.field("broken", "a bag with a broken JPEG, a changed size, a broken depth", "left out and counted")
def test_one_bad_message_costs_no_more_than_its_frame(tmp_path: Path) -> None:
    def picture(frame: Frame) -> Any:
        if frame is FRAMES[1]:
            return compressed(frame, b"no jpeg", "jpeg")
        return compressed(frame, png(frame.rgb[:9, :9] if frame is FRAMES[2] else frame.rgb), "png")

    def deep(frame: Frame) -> Any:
        message = image(frame, (depth_of(frame) * 1000).astype(np.uint16), "16UC1")
        message.data = message.data[:7] if frame is FRAMES[3] else message.data
        return message

    parts = {**PLAIN, "cam__image": picture, "cam__depth": deep}
    dataset = open_dataset(write(tmp_path / "bag", entries(**parts)))
    faults = faults_of(dataset)
    read = [frame for i in range(4) if (frame := faults.attempt(lambda i=i: dataset[i])) is not None]  # type: ignore[misc]
    assert [frame.stamp for frame in read] == [FRAMES[0].stamp, FRAMES[3].stamp]
    assert [frame.depth is not None for frame in read] == [True, False]
    assert sum(faults.counts().values()) == 3
    assert "image_size" in faults.counts()

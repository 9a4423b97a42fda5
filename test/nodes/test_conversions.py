"""Images, clouds, poses and calibration survive the way through ROS messages, byte for byte."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nodes.scene import small_camera, small_frame
from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from ig_ros import message_decoding
from ig_ros.errors import FrameError
from ig_ros.geometry import pose_from_quaternion, rotation_angle
from ig_ros.lens_distortion import Rectifier, is_rectified_topic
from ig_ros.message_decoding import depth_from_image, labels_from_image, masks_from_message, rgb_from_message
from ig_ros.nodes import clouds, conversions
from ig_ros.nodes.object_messages import array_message, segmented_message
from ig_ros.types import Instances, ObjectInstance

HEAD = conversions.header(1_500_000_007, "camera")
RGB = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.uint8)
ALPHA = np.full((6, 5, 1), 7, np.uint8)


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[..., ::-1]),
        ("rgba8", np.concatenate([RGB, ALPHA], axis=2)),
        ("bgra8", np.concatenate([RGB[..., ::-1], ALPHA], axis=2)),
    ],
)
@pytest.mark.parametrize("padding", [0, 3])
def test_every_colour_encoding_gives_the_same_rgb(encoding: str, pixels: np.ndarray, padding: int) -> None:
    rows = np.pad(pixels.reshape(6, -1), ((0, 0), (0, padding)), constant_values=99)
    message = conversions.image_message(pixels, encoding, HEAD)
    message.step, message.data = rows.shape[1], conversions.byte_array(rows)
    np.testing.assert_array_equal(rgb_from_message(message), RGB)


@pytest.mark.field("device", "mono8, mono16", "grey")
def test_mono_becomes_grey() -> None:
    grey = RGB[..., 0].copy()
    for pixels, encoding in ((grey, "mono8"), (grey, "8UC1"), (grey.astype("<u2") << 8, "mono16")):
        rgb = rgb_from_message(conversions.image_message(pixels, encoding, HEAD))
        np.testing.assert_array_equal(rgb, np.repeat(RGB[..., :1], 3, axis=2))


def test_compressed_png_is_lossless_and_rubbish_is_refused() -> None:
    png = cv2.imencode(".png", RGB[..., ::-1])[1]
    message = CompressedImage(format="png", data=conversions.byte_array(png))
    np.testing.assert_array_equal(rgb_from_message(message), RGB)
    with pytest.raises(FrameError, match="publish jpeg or png"):
        rgb_from_message(CompressedImage(format="jpeg", data=conversions.byte_array(RGB)))


@pytest.mark.parametrize("big_endian", [False, True])
def test_depth_units_byte_order_and_holes(big_endian: bool) -> None:
    order = ">" if big_endian else "<"
    millimetres = np.array([[0, 1234], [65535, 1]], order + "u2")
    message = conversions.image_message(millimetres.astype("<u2"), "16UC1", HEAD)
    message.is_bigendian, message.data = int(big_endian), conversions.byte_array(millimetres.view(np.uint8))
    np.testing.assert_allclose(message_decoding.depth_from_image(message), [[0, 1.234], [65.535, 0.001]], rtol=1e-6)
    metres = np.array([[np.nan, np.inf], [-1.0, 2.5]], np.float32)
    np.testing.assert_array_equal(
        message_decoding.depth_from_image(conversions.depth_message(metres, HEAD)), [[0, 0], [0, 2.5]]
    )


@pytest.mark.parametrize("spoil", [{"height": 7}, {"step": 14}, {"height": 0}, {"encoding": "nv21"}])
def test_impossible_images_are_refused_by_name(spoil: dict) -> None:
    message = conversions.image_message(RGB, "rgb8", HEAD)
    for name, value in spoil.items():
        setattr(message, name, value)
    with pytest.raises(FrameError) as caught:
        rgb_from_message(message)
    assert caught.value.cause == ("image_encoding" if "encoding" in spoil else "image_data")


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_are_exact(stamp: int) -> None:
    assert message_decoding.nanoseconds(conversions.time_message(stamp)) == stamp


finite = st.floats(-100, 100)


@settings(max_examples=50)
@given(
    st.tuples(finite, finite, finite),
    st.tuples(finite, finite, finite, finite).filter(lambda q: np.linalg.norm(q) > 0.1),
)
def test_poses_round_trip(position: tuple, quaternion: tuple) -> None:
    T = pose_from_quaternion(np.array(position), np.array(quaternion))
    back = message_decoding.matrix_from_pose(conversions.pose_message(T))
    np.testing.assert_allclose(back[:3, 3], T[:3, 3])
    assert rotation_angle(T, back) < 1e-6


def test_calibration_round_trips_and_shifts_by_half_a_pixel() -> None:
    camera = small_camera()
    info = conversions.info_message(camera, HEAD)
    assert info.k[2] == camera.K[0, 2] - 0.5
    np.testing.assert_allclose(message_decoding.camera_from_info(info).K, camera.K)


def test_masks_round_trip() -> None:
    masks = small_frame().masks
    back = masks_from_message(segmented_message(masks, HEAD))
    np.testing.assert_array_equal(back.labels, masks.labels)
    assert back.names == masks.names
    assert back.scores == pytest.approx(dict(masks.scores))


def test_cloud_round_trips_and_colours_unpack() -> None:
    points = np.zeros(4, clouds.CLOUD_TYPE)
    points["x"], points["instance_id"] = [1, 2, np.nan, 4], [-1, 1, 2, 3]
    rgb = np.array([[255, 0, 1], [2, 3, 4], [9, 9, 9], [0, 128, 255]], np.uint8)
    points["rgb"] = clouds.packed_rgb(rgb)
    message = clouds.cloud_message(points, HEAD)
    assert bytes(message.data) == points.tobytes()
    np.testing.assert_array_equal(clouds.points_from_cloud(message)["instance_id"], points["instance_id"])
    xyz, colours = clouds.sparse_points(message)
    np.testing.assert_array_equal(xyz[:, 0], [1, 2, 4])
    np.testing.assert_array_equal(colours, rgb[[0, 1, 3]])


def test_organised_cloud_with_padded_rows_is_read() -> None:
    flat = clouds.cloud_message(np.arange(6, dtype="<f4").view([("x", "<f4")]), HEAD)
    rows = np.pad(np.frombuffer(flat.data, np.uint8).reshape(2, 12), ((0, 0), (0, 8)))
    padded = PointCloud2(
        height=2, width=3, fields=flat.fields, point_step=4, row_step=20, data=conversions.byte_array(rows)
    )
    np.testing.assert_array_equal(clouds.points_from_cloud(padded)["x"], np.arange(6))
    padded.width = 9
    with pytest.raises(FrameError, match="needs"):
        clouds.points_from_cloud(padded)


@pytest.mark.parametrize(
    ("model", "distortion"),
    [
        ("plumb_bob", [-0.3, 0.1, 0.001, 0.001, 0.0]),
        ("plumb_bob", [0.2, 0.0, 0.0, 0.0, 0.0]),
        ("rational_polynomial", [0.1, 0.01, 0.0, 0.0, 0.0, 0.2, 0.0, 0.0]),
        ("equidistant", [0.02, -0.01, 0.0, 0.0]),
    ],
)
def test_undistorted_pixels_are_where_the_pinhole_says(model: str, distortion: list[float]) -> None:
    """A spot drawn where the lens puts a ray appears, undistorted, where the new camera projects that ray."""
    info = conversions.info_message(small_camera(320, 240), HEAD)
    info.distortion_model, info.d = model, distortion
    rectifier = Rectifier.from_info(info)
    ray = np.array([[[0.3, -0.2, 1.0]]])
    K, zero = np.array(info.k).reshape(3, 3), np.zeros(3)
    project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
    seen = project(ray, zero, zero, K, np.array(distortion))[0].reshape(2)
    image = np.zeros((240, 320, 3), np.uint8)
    cv2.circle(image, tuple(round(float(v)) for v in seen), 4, (255, 255, 255), -1)
    rows, cols = np.nonzero(rectifier.color(image)[..., 0] > 127)
    expected = rectifier.camera.K @ ray.reshape(3)
    np.testing.assert_allclose([cols.mean() + 0.5, rows.mean() + 0.5], expected[:2], atol=1.0)
    np.testing.assert_allclose(rectifier.point(*(seen + 0.5)), expected[:2], atol=1e-3)
    labels = rectifier.nearest(np.where(image[..., 0] > 0, 7, 3))
    assert set(np.unique(labels)) <= {3, 7}  # nothing between two labels
    x, y = rectifier.maps
    assert x.min() > -0.5
    assert y.min() > -0.5
    assert x.max() < 319.5
    assert y.max() < 239.5


def test_without_distortion_nothing_is_touched() -> None:
    rectifier = Rectifier.from_info(conversions.info_message(small_camera(), HEAD))
    assert rectifier.color(RGB) is RGB
    assert rectifier.point(3.25, 4.5) == (3.25, 4.5)


def test_the_fate_of_ids_travels_with_the_objects() -> None:
    things = tuple(ObjectInstance(i, "", 0.9, 3, np.eye(4), np.ones(3), 9, 1_500_000_007, 4 * i) for i in (9, 2))
    split = dataclasses.replace(things[1], split_from=9)
    nothing = np.zeros(0, np.int32), np.zeros(0, np.float32)
    instances = Instances(*nothing, (things[0], split), merged_into={5: 9, 3: 9}, vanished=(1, 4))
    message = array_message(instances, HEAD)
    assert [o.id for o in message.objects] == [2, 9]
    assert [list(o.merged) for o in message.objects] == [[], [3, 5]]
    assert [o.split_from for o in message.objects] == [9, 0]
    assert list(message.vanished) == [1, 4]
    assert message_decoding.nanoseconds(message.objects[1].born) == 1_500_000_007
    assert message_decoding.nanoseconds(message.objects[1].last_seen) == 36


BAYER = {"rggb": (0, 1, 1, 2), "bggr": (2, 1, 1, 0), "gbrg": (1, 2, 0, 1), "grbg": (1, 0, 2, 1)}
FLAT = np.broadcast_to(np.array([200, 120, 40], np.uint8), (6, 8, 3))  # one colour: no filter of a driver can blur it


@pytest.mark.parametrize("order", sorted(BAYER))
@pytest.mark.field("device", "bayer_rggb8, bggr8, gbrg8, grbg8", "colours")
def test_bayer_patterns_give_their_colour(order: str) -> None:
    mosaic = np.empty((6, 8), np.uint8)
    for place, channel in enumerate(BAYER[order]):
        mosaic[place // 2 :: 2, place % 2 :: 2] = FLAT[0, 0, channel]
    message = Image(height=6, width=8, step=8, encoding=f"bayer_{order}8", data=mosaic.tobytes())
    assert np.abs(rgb_from_message(message).astype(int)[1:-1, 1:-1] - FLAT[1:-1, 1:-1]).max() <= 1


@pytest.mark.parametrize(("encoding", "order"), [("yuv422", "UYVY"), ("yuv422_yuy2", "YUYV")])
@pytest.mark.field("device", "yuv422, yuv422_yuy2", "colours")
def test_yuv_gives_its_colour(encoding: str, order: str) -> None:
    y, u, v = cv2.cvtColor(np.ascontiguousarray(FLAT), cv2.COLOR_RGB2YUV)[0, 0].tolist()
    y, u, v = round(16 + y * 219 / 255), 128 + (u - 128) * 224 // 255 * 1, 128 + (v - 128) * 224 // 255
    values = iter((u, y, v, y) if order == "UYVY" else (y, u, y, v))
    data = bytes(values) * (6 * 4)
    rgb = rgb_from_message(Image(height=6, width=8, step=16, encoding=encoding, data=data))
    assert rgb.shape == (6, 8, 3)
    assert (np.argsort(rgb[0, 0]) == np.argsort(FLAT[0, 0])).all()  # red is red: u and v are not exchanged
    assert (rgb == rgb[0, 0]).all()


@pytest.mark.parametrize(("encoding", "pixels"), [
    ("8UC3", FLAT[..., ::-1]), ("rgb16", FLAT.astype("u2") << 8), ("bgr16", FLAT[..., ::-1].astype("u2") << 8),
])  # fmt: skip
@pytest.mark.field("device", "8UC3, rgb16, bgr16", "colours")
def test_opencv_types_and_16_bits_are_read(encoding: str, pixels: np.ndarray) -> None:
    data = np.ascontiguousarray(pixels).tobytes()
    message = Image(height=6, width=8, step=len(data) // 6, encoding=encoding, data=data)
    assert np.array_equal(rgb_from_message(message), FLAT)


@pytest.mark.field("wrong", "32FC1 depth in mm, 16UC1 in m", "recognised, or refused with the remedy")
def test_depth_in_the_wrong_unit_is_recognised_or_refused() -> None:
    def message(encoding: str, values: np.ndarray) -> Image:
        return Image(height=2, width=2, step=2 * values.itemsize, encoding=encoding, data=values.tobytes())

    in_mm = np.array([[850, 1200], [0, 2300]], np.float32)
    assert depth_from_image(message("32FC1", in_mm)) == pytest.approx(in_mm / 1000)
    in_m = np.array([[0.85, 1.2], [0, 2.3]], np.float32)
    assert depth_from_image(message("32FC1", in_m)) == pytest.approx(in_m)
    with pytest.raises(FrameError) as refused:
        depth_from_image(message("16UC1", np.array([[1, 1], [0, 2]], np.uint16)))
    assert refused.value.cause == "depth_units"
    assert depth_from_image(message("16UC1", np.zeros((2, 2), np.uint16))).max() == 0


@pytest.mark.field("device", "masks as 32SC1, palette or RGB PNG", "an id for each index or colour")
def test_signed_labels_have_no_negative_masks() -> None:
    labels = np.array([[-1, 0], [7, 70000]], np.int32)
    message = Image(height=2, width=2, step=8, encoding="32SC1", data=labels.tobytes())
    assert labels_from_image(message).tolist() == [[0, 0], [7, 70000]]


@pytest.mark.parametrize(("model", "d"), [
    ("plumb_bob", [0.1, -0.05, 0.001, 0.002, 0.01, 0.0, 0.0, 0.0]), ("", [0.1, -0.05, 0.001, 0.002, 0.01]),
    ("rational_polynomial", [0.1, -0.05, 0.001, 0.002]), ("equidistant", [0.1, 0.01, 0.0, 0.0, 0.0]),
])  # fmt: skip
@pytest.mark.field("device", "plumb_bob with 8 coefficients, no model name, trailing zeros", "undistorted as meant")
def test_lens_models_as_drivers_write_them(model: str, d: list[float]) -> None:
    """Orbbec sends plumb_bob with eight numbers, others no name at all; trailing zeros say nothing."""
    message = conversions.info_message(small_camera(), conversions.header(0, "optical"))
    message.distortion_model, message.d = model, d
    plain = conversions.info_message(small_camera(), conversions.header(0, "optical"))
    plain.distortion_model, plain.d = ("equidistant", d[:4]) if model == "equidistant" else ("plumb_bob", [*d, 0.0][:5])
    one, other = Rectifier.from_info(message), Rectifier.from_info(plain)
    assert np.allclose(one.camera.K, other.camera.K)
    assert not np.allclose(one.camera.K, small_camera().K)
    message.distortion_model = "equidistant"
    message.d = [0.1, 0.01, 0.0, 0.0, 0.3]
    with pytest.raises(FrameError, match="5 coefficients"):
        Rectifier.from_info(message)


@pytest.mark.parametrize(("topic", "rectified"), [
    ("/camera/image_rect", True), ("/zed/rgb/image_rect_color", True), ("/left/rectified/image", True),
    ("/camera/color/image_raw", False), ("/direct/image", False), ("/image_not_rect", False),
])  # fmt: skip
@pytest.mark.field("wrong", "a rectified image and D != 0", "not undistorted again, P used")
def test_names_of_rectified_topics(topic: str, rectified: bool) -> None:
    assert is_rectified_topic(topic) == rectified


def test_yuv_of_an_odd_width_is_refused() -> None:
    with pytest.raises(FrameError, match="5x6 pixels"):
        rgb_from_message(Image(height=6, width=5, step=10, encoding="yuv422", data=bytes(60)))

"""What cameras send becomes the right pixels: compressed depth, reduced images, rows with padding."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from camera_messages import compressed, compressed_depth, encoded, raw, rvl

from ig_ros.errors import FrameError
from ig_ros.message_decoding import PNG, depth_from_message, labels_from_image, rgb_from_message

MM = np.array([[0, 0, 850, 852, 0], [1200, 1199, 0, 0, 9000]], np.uint16)
DEVICE = pytest.mark.field("device", "compressedDepth, png and RVL, 16UC1 and 32FC1", "depth in metres")


def test_rvl_is_read_as_its_authors_code_wrote_it() -> None:
    """Bytes of image_transport_plugins' own codec for MM."""
    theirs = bytes.fromhex("050000000200000041a3cc222111fa280030beae")
    assert rvl(MM) == theirs
    depth = depth_from_message(compressed(bytes(12) + theirs, "16UC1; compressedDepth rvl"))
    np.testing.assert_allclose(depth, MM / 1000, rtol=1e-6)


@DEVICE
@pytest.mark.parametrize("codec", ["png", "rvl", ""])
@pytest.mark.parametrize("holes", [0.0, 0.3, 1.0])
def test_compressed_depth_in_millimetres(codec: str, holes: float) -> None:
    rng = np.random.default_rng(3)
    mm = np.where(rng.random((31, 47)) < holes, 0, rng.integers(300, 65535, (31, 47))).astype(np.uint16)
    np.testing.assert_allclose(depth_from_message(compressed_depth(mm, codec)), mm / 1000, rtol=1e-6)


@DEVICE
@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_compressed_depth_in_metres_is_quantised_inverse_depth(codec: str) -> None:
    """depth_quantization 100, depth_max 10 m: the plugin's defaults."""
    metres = np.linspace(0.4, 9.0, 60).reshape(6, 10)
    a = 100 * 101.0
    b = 1 - a / 10
    q = np.floor(a / metres + b).astype(np.uint16)
    q[0, 0] = 0
    depth = depth_from_message(compressed_depth(q, codec, (a, b)))
    assert depth[0, 0] == 0
    np.testing.assert_allclose(depth.ravel()[1:], metres.ravel()[1:], rtol=0.01)


GOOD = rvl(MM)


@pytest.mark.parametrize("data", [
    b"", b"short", bytes(12), bytes(20), bytes(12) + GOOD[:12], bytes(12) + b"\xff\xff\xff\xff" + GOOD[4:],
    bytes(12) + np.array([2**31, 2**31], "<u4").tobytes() + GOOD[8:], bytes(12) + GOOD[:8] + b"\xff" * 40,
    bytes(12) + np.array([3, 1], "<u4").tobytes() + GOOD[8:],
])  # fmt: skip
def test_broken_rvl_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError, match="neither a 16-bit PNG nor RVL") as caught:
        depth_from_message(compressed(data, "16UC1; compressedDepth rvl"))
    assert caught.value.cause == "depth_data"


LABELS = np.array([[0, 3, 3], [7, 7, 0]])


@pytest.mark.field("device", "masks as 32SC1, palette or RGB PNG", "an id for each index or colour")
def test_colours_of_a_label_image_are_ids_as_in_coco_and_black_is_none() -> None:
    colors = np.zeros((8, 3), np.uint8)
    colors[3], colors[7] = (10, 20, 0), (30, 20, 1)
    ids = np.array([0, 0, 0, 10 + 256 * 20, 0, 0, 0, 30 + 256 * 20 + 65536])
    alpha = np.full((2, 3, 1), 255, np.uint8)
    for message in (
        raw(colors[LABELS], "rgb8", 3),
        raw(colors[LABELS][..., ::-1].copy(), "bgr8"),
        compressed(encoded(colors[LABELS][..., ::-1]), "png"),
        compressed(encoded(np.concatenate([colors[LABELS][..., ::-1], alpha], 2)), "png"),
    ):
        np.testing.assert_array_equal(labels_from_image(message), ids[LABELS])


def test_ids_beyond_any_name_are_renumbered_where_tables_over_them_would_fill_the_memory() -> None:
    labels = np.array([[-1, 5, 65535], [2**31 - 1, 70000, 70000]], np.int32)
    assert labels_from_image(raw(labels, "32SC1")).tolist() == [[0, 5, 65535], [65537, 65536, 65536]]


@pytest.mark.field("device", "masks that overlap", "the smaller one on top")
@pytest.mark.parametrize(("encoding", "dtype"), [("16UC2", "u2"), ("32SC2", "i4")])
def test_layers_of_a_label_image_overlap(encoding: str, dtype: str) -> None:
    table, mug = np.ones((4, 6), dtype), np.zeros((4, 6), dtype)
    mug[1:3, 2:4] = 2
    for layers in ((table, mug), (mug, table)):
        assert labels_from_image(raw(np.stack(layers, 2), encoding)).tolist() == np.where(mug, 2, 1).tolist()


@pytest.mark.parametrize("message", [
    compressed(encoded(np.zeros((4, 4, 3), np.uint8), ".jpg"), "jpeg"), compressed(b"", "png"),
    compressed(PNG + b"rubbish", "png"), raw(np.zeros((2, 2), np.float32), "32FC1"),
])  # fmt: skip
def test_label_images_that_are_none_are_refused(message: Any) -> None:
    with pytest.raises(FrameError) as caught:
        labels_from_image(message)
    assert caught.value.cause in ("mask_data", "mask_encoding")


def picture(height: int, width: int) -> np.ndarray:
    """A smooth picture whose columns are told by red, rows by green."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns * 255 / width, rows * 255 / height, np.full(rows.shape, 90.0)], 2).astype(np.uint8)


@pytest.mark.parametrize("n", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", ["rgb8", ".jpg", ".png"])
def test_images_are_reduced_while_they_are_decoded(n: int, kind: str) -> None:
    """One pixel is of n x n whole ones."""
    rgb = picture(8 * 9, 8 * 12)
    message = raw(rgb, kind) if kind == "rgb8" else compressed(encoded(rgb[..., ::-1], kind), "jpeg")
    small = rgb_from_message(message, n)
    height, width = rgb.shape[0] // n, rgb.shape[1] // n
    assert small.shape == (height, width, 3)
    blocks = rgb.reshape(height, n, width, n, 3).mean((1, 3))
    assert np.abs(small.astype(float) - blocks).max() < 5


def test_pixels_are_as_they_were_stored_also_when_reduced() -> None:
    """EXIF's orientation is no part of what a calibration describes."""
    rgb = picture(32, 48)
    jpeg = encoded(rgb[..., ::-1], ".jpg")
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (48, 32, 3)
    for n in (1, 2):
        assert rgb_from_message(compressed(turned, "jpeg"), n).shape == (32 // n, 48 // n, 3)


@pytest.mark.field("wrong", "rows with padding beside cv_bridge", "the same bytes with and without cv_bridge")
@pytest.mark.parametrize("padding", [0, 1, 4, 7])
def test_cv_bridge_has_no_part_in_it(padding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the real one does, this double takes a row for step / 3 pixels: it shears rows padded by no whole pixel."""
    rgb = picture(6, 8)

    class CvBridge:
        def imgmsg_to_cv2(self, message: Any, desired_encoding: str = "passthrough") -> np.ndarray:
            assert desired_encoding
            pixels = np.resize(np.frombuffer(message.data, np.uint8), (message.height, message.step // 3, 3))
            return pixels[:, : message.width]

    double = ModuleType("cv_bridge")
    double.CvBridge = CvBridge  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cv_bridge", double)
    message = raw(rgb, "rgb8", padding)
    assert np.array_equal(CvBridge().imgmsg_to_cv2(message, "rgb8"), rgb) is (padding == 0)
    for name in [name for name in sys.modules if name.startswith(("ig_ros.message_decoding", "ig_ros.nodes."))]:
        monkeypatch.delitem(sys.modules, name)
    import ig_ros.message_decoding as fresh

    np.testing.assert_array_equal(fresh.rgb_from_message(message), rgb)
    assert "cv_bridge" not in vars(fresh)

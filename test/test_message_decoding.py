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
from ig_ros.message_decoding import depth_from_message, rgb_from_message

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

"""Messages of cameras without ROS: rosbags' types, which have the fields of rclpy's."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from rosbags.typesys import Stores, get_typestore

from ig_ros.types import Camera, IntArray

MSG = get_typestore(Stores.ROS2_JAZZY).types


def head(stamp: int = 0, frame: str = "optical") -> Any:
    """A header."""
    time = MSG["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9)
    return MSG["std_msgs/msg/Header"](stamp=time, frame_id=frame)


def info(
    camera: Camera, d: tuple[float, ...] = (), *, model: str = "plumb_bob", stamp: int = 0, p_scale: float = 0.0,
    roi: tuple[int, int, int, int] = (0, 0, 0, 0), binning: tuple[int, int] = (0, 0),
) -> Any:  # fmt: skip
    """A camera_info: K of the camera, P the same with focal lengths times p_scale, roi as x, y, width, height."""
    K = camera.K - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    P = np.zeros((3, 4))
    P[:, :3] = K * np.array([[p_scale, 1, 1], [1, p_scale, 1], [1, 1, 1]])
    x, y, width, height = roi
    window = MSG["sensor_msgs/msg/RegionOfInterest"](x, y, height, width, False)
    numbers = (np.array(d, np.float64), K.reshape(-1), np.eye(3).reshape(-1), P.reshape(-1))
    return MSG["sensor_msgs/msg/CameraInfo"](
        head(stamp), camera.height, camera.width, model, *numbers, *binning, window
    )  # fmt: skip


def raw(pixels: np.ndarray, encoding: str, padding: int = 0, stamp: int = 0) -> Any:
    """A raw image whose rows end in so many bytes of padding."""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    return MSG["sensor_msgs/msg/Image"](
        head(stamp), pixels.shape[0], pixels.shape[1], encoding, 0, rows.shape[1], rows.reshape(-1)
    )  # fmt: skip


def compressed(data: bytes, form: str, stamp: int = 0) -> Any:
    """A compressed image."""
    return MSG["sensor_msgs/msg/CompressedImage"](head(stamp), form, np.frombuffer(data, np.uint8))


def encoded(pixels: np.ndarray, kind: str = ".png") -> bytes:
    """A PNG or JPEG."""
    return bytes(cv2.imencode(kind, pixels)[1].tobytes())


def rvl(pixels: IntArray) -> bytes:
    """Width, height and RVL [Wilson 2017] of uint16 pixels, one number after the other, as its paper tells it."""
    groups: list[int] = []

    def put(number: int) -> None:
        while True:
            more = number > 7
            groups.append((number & 7) | 8 * more)
            number >>= 3
            if not more:
                return

    flat, at, before = pixels.reshape(-1).tolist(), 0, 0
    while at < len(flat):
        zeros = next((i for i in range(at, len(flat)) if flat[i]), len(flat))
        values = next((i for i in range(zeros, len(flat)) if not flat[i]), len(flat))
        put(zeros - at)
        put(values - zeros)
        for value in flat[zeros:values]:
            put(2 * (value - before) if value >= before else 2 * (before - value) - 1)
            before = value
        at = values
    groups += [0] * (-len(groups) % 8)
    words = [int("".join(f"{g:x}" for g in groups[i : i + 8]), 16) for i in range(0, len(groups), 8)]
    return np.array(pixels.shape[::-1], "<u4").tobytes() + np.array(words, "<u4").tobytes()


def compressed_depth(pixels: IntArray, codec: str, quantised: tuple[float, float] | None = None, stamp: int = 0) -> Any:
    """compressedDepth of uint16 pixels: mm, or inverse depth with parameters A and B."""
    data = np.array([0], "<i4").tobytes() + np.array(quantised or (0.0, 0.0), "<f4").tobytes()
    data += rvl(pixels) if codec == "rvl" else encoded(pixels.astype(np.uint16))
    return compressed(data, f"{'32FC1' if quantised else '16UC1'}; compressedDepth {codec}".strip(), stamp)

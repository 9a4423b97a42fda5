"""Converts what messages of a camera hold to core types: images, depth, labels, masks, calibration, poses and stamps.

Works on anything with the fields of ROS 2's messages, be it from rclpy or read from a bag, and imports neither. ROS
puts the centre of the first pixel at 0, the core at 0.5: calibration is shifted here and in `nodes/conversions.py`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.errors import FrameError
from ig_ros.geometry import pose_from_quaternion
from ig_ros.types import Array, Camera, FloatArray, IntArray, Masks

NAME = 40  # characters of a sender's text that are repeated in a message about it

_COLOR_CODES: dict[str, tuple[str, int, int | None]] = {  # encoding -> NumPy type, channels, OpenCV conversion to RGB
    "rgb8": ("u1", 3, None),
    "bgr8": ("u1", 3, cv2.COLOR_BGR2RGB),
    "8UC3": ("u1", 3, cv2.COLOR_BGR2RGB),  # OpenCV's own order
    "rgba8": ("u1", 4, cv2.COLOR_RGBA2RGB),
    "bgra8": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "8UC4": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "mono8": ("u1", 1, cv2.COLOR_GRAY2RGB),
    "8UC1": ("u1", 1, cv2.COLOR_GRAY2RGB),
    "rgb16": ("u2", 3, None),
    "bgr16": ("u2", 3, cv2.COLOR_BGR2RGB),
    "mono16": ("u2", 1, cv2.COLOR_GRAY2RGB),
    "yuv422": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": ("u1", 2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": ("u1", 2, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": ("u1", 1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": ("u1", 1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": ("u1", 1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": ("u1", 1, cv2.COLOR_BayerGRBG2RGB),
}
_DEPTH_TYPES: dict[str, tuple[str, float]] = {  # encoding -> NumPy type, metres per unit
    "16UC1": ("u2", 0.001),
    "mono16": ("u2", 0.001),
    "32FC1": ("f4", 1.0),
}
_LABEL_TYPES: dict[str, tuple[str, float]] = {
    "16UC1": ("u2", 1.0),
    "mono16": ("u2", 1.0),
    "mono8": ("u1", 1.0),
    "8UC1": ("u1", 1.0),
    "32SC1": ("i4", 1.0),
}
FARTHEST = 100.0  # m: no depth camera measures farther, so a median beyond it is in millimetres
NEAREST = 0.02  # m: nor as near, so a 16-bit median below it is in metres


def nanoseconds(stamp: Any) -> int:
    """Returns a ROS stamp in nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def _pixels(message: Any, dtype: str, channels: int, cause: str) -> Array:
    """Returns pixels (H, W) or (H, W, C) of a raw image without its row padding; FrameError when data is missing."""
    kind = np.dtype(dtype).newbyteorder(">" if message.is_bigendian else "<")
    height, width, step = int(message.height), int(message.width), int(message.step)
    row = width * channels * kind.itemsize
    if height == 0 or width == 0:
        raise FrameError(cause, f"{message.encoding} image of {width}x{height} pixels is empty: check the driver")
    if step < row or len(message.data) < height * step:
        raise FrameError(
            cause,
            f"{message.encoding} image {width}x{height} needs rows of {row} bytes and {height * max(step, row)} in all,"
            f" its step is {step} and its data has {len(message.data)}: check the driver's step and encoding",
        )
    raw = np.frombuffer(message.data, np.uint8, height * step).reshape(height, step)[:, :row]
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.ascontiguousarray(raw).view(kind).reshape(shape)


def rgb_from_raw(message: Any) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a raw image; of 16-bit channels the upper 8 bits. FrameError for other encodings."""
    if message.encoding not in _COLOR_CODES:
        known = ", ".join(_COLOR_CODES)
        raise FrameError(
            "image_encoding", f"image encoding '{message.encoding[:NAME]}' is not supported: publish one of {known}"
        )
    dtype, channels, code = _COLOR_CODES[message.encoding]
    pixels = _pixels(message, dtype, channels, "image_data")
    if dtype == "u2":
        pixels = np.right_shift(pixels, 8).astype(np.uint8)
    if channels == 2 and message.width % 2:  # OpenCV 4.6 takes half a pair of pixels
        size = f"{message.width}x{message.height}"
        raise FrameError("image_data", f"{message.encoding} image cannot have {size} pixels: check the driver")
    return np.asarray(pixels if code is None else cv2.cvtColor(pixels, code), np.uint8)


def rgb_from_compressed(message: Any) -> npt.NDArray[np.uint8]:
    """Returns (H, W, 3) uint8 RGB of a JPEG or PNG image."""
    data = np.frombuffer(message.data, np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    if pixels is None:
        raise FrameError(
            "image_data",
            f"compressed image ('{message.format[:NAME]}', {data.size} bytes) cannot be decoded: publish jpeg or png",
        )
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def depth_from_image(message: Any) -> FloatArray:
    """(H, W) float32 metres along the optical axis from 16UC1 (mm) or 32FC1 (m); 0 where there is none.

    32FC1 in millimetres is recognised by its values and converted; 16UC1 in metres raises FrameError `depth_units`.
    """
    if message.encoding not in _DEPTH_TYPES:
        known = ", ".join(_DEPTH_TYPES)
        raise FrameError(
            "depth_encoding", f"depth encoding '{message.encoding[:NAME]}' is not supported: publish one of {known}"
        )
    dtype, unit = _DEPTH_TYPES[message.encoding]
    depth = _pixels(message, dtype, 1, "depth_data").astype(np.float32) * np.float32(unit)
    depth = np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))
    middle = float(np.median(depth[depth > 0])) if depth.any() else 1.0
    if message.encoding == "32FC1" and middle > FARTHEST:
        return depth * np.float32(0.001)
    if middle < NEAREST:
        raise FrameError(
            "depth_units",
            f"half of the depth is nearer than {middle * 1000:.0f} mm if {message.encoding} holds "
            f"{'millimetres' if unit < 1 else 'metres'}: publish 16UC1 in millimetres or 32FC1 in metres (REP 118)",
        )
    return depth


def labels_from_image(message: Any) -> IntArray:
    """(H, W) int32 mask ids, 0 = none, from a 16-bit (16UC1, mono16), 8-bit (8UC1, mono8) or 32SC1 image."""
    if message.encoding not in _LABEL_TYPES:
        known = ", ".join(_LABEL_TYPES)
        raise FrameError(
            "mask_encoding",
            f"label image encoding '{message.encoding[:NAME]}' is not supported: publish one of {known}",
        )
    labels = _pixels(message, _LABEL_TYPES[message.encoding][0], 1, "mask_data").astype(np.int32)
    return np.asarray(np.maximum(labels, 0))  # signed labels mark "none" by -1


def camera_from_info(message: Any) -> Camera:
    """Returns the camera (pixel centres at 0.5) of a camera_info; `lens_distortion` removes distortion."""
    K = np.array(message.k, np.float64).reshape(3, 3)
    K[:2, 2] += 0.5
    return Camera(K, int(message.width), int(message.height))


def matrix_from_pose(message: Any) -> FloatArray:
    """Returns (4, 4) of a message that holds a pose or transform, however deep. FrameError for NaN, zero quaternion."""
    while hasattr(message, "pose") or hasattr(message, "transform"):
        message = message.pose if hasattr(message, "pose") else message.transform
    p = message.position if hasattr(message, "position") else message.translation
    q = message.orientation if hasattr(message, "orientation") else message.rotation
    try:
        return pose_from_quaternion(np.array([p.x, p.y, p.z]), np.array([q.w, q.x, q.y, q.z]))
    except ValueError as error:
        raise FrameError("bad_pose", f"{error}: check the output of the SLAM system") from error


def masks_from_message(message: Any) -> Masks:
    """Returns masks of a SegmentedImage; FrameError for an unreadable label image. Unnamed ids keep their pixels."""
    named = [mask for mask in message.masks if mask.label]
    described = [mask for mask in message.masks if len(mask.embedding)]
    return Masks(
        labels_from_image(message.labels),
        {mask.id: mask.label for mask in named},
        {mask.id: float(mask.score) for mask in message.masks},
        {mask.id: np.array(mask.embedding, np.float32) for mask in described},
        message.encoder,
    )


def depth_from_compressed(message: Any) -> FloatArray:
    """Returns (H, W) float32 metres from a PNG of image_transport's compressedDepth or a plain 16-bit one.

    compressedDepth puts 12 bytes before it and writes 32FC1 as 16 bits of inverse depth: A / (q - B), A and B there.
    """
    data = np.frombuffer(message.data, np.uint8)
    start = bytes(data[:64]).find(b"\x89PNG")
    pixels = cv2.imdecode(data[start:], cv2.IMREAD_UNCHANGED) if start >= 0 else None
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2:
        kind = f"'{message.format[:NAME]}', {data.size} bytes"
        text = f"compressed depth ({kind}) is no 16-bit PNG: record compressedDepth as png"
        raise FrameError("depth_data", text)
    if message.format.startswith("32FC1") and start >= 12:
        a, b = np.frombuffer(data[4:12].tobytes(), "<f4")
        known = pixels > 0
        return np.asarray(np.where(known, a / np.maximum(pixels - b, 1e-6), 0), np.float32)
    return np.asarray(pixels.astype(np.float32) * np.float32(0.001))

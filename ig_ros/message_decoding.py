"""Converts what messages of a camera hold to core types: images, depth, labels, masks, calibration, poses and stamps.

Works on anything with the fields of ROS 2's messages, be it from rclpy or read from a bag, and imports neither. ROS
puts the centre of the first pixel at 0, the core at 0.5: calibration is shifted here and in `nodes/conversions.py`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from ig_ros.errors import FrameError
from ig_ros.geometry import pose_from_quaternion
from ig_ros.types import Array, Camera, FloatArray, IntArray, Masks

NAME = 40  # characters of a sender's text that are repeated in a message about it
PNG = b"\x89PNG\r\n\x1a\n"
MOST_NAMED = 65535  # largest id that a Mask message can have
CONFIG = 12  # bytes before the picture of compressedDepth
_COLOR_FLAGS = {
    1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8,
}  # fmt: skip

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
_LABEL_TYPES = {"mono16": "u2", "mono8": "u1", "8UC1": "u1"}  # encoding -> NumPy type
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


def rgb_from_message(message: Any, reduction: int = 1) -> npt.NDArray[np.uint8]:
    """Returns (H, W, 3) uint8 RGB of a colour message, raw or compressed, of which `reduction`^2 pixels make one."""
    return rgb_from_compressed(message, reduction) if _is_compressed(message) else rgb_from_raw(message, reduction)


def _is_compressed(message: Any) -> bool:
    return hasattr(message, "format")


def rgb_from_raw(message: Any, reduction: int = 1) -> npt.NDArray[np.uint8]:
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
        shown = f"{message.width}x{message.height}"
        raise FrameError("image_data", f"{message.encoding} image cannot have {shown} pixels: check the driver")
    rgb = np.asarray(pixels if code is None else cv2.cvtColor(pixels, code), np.uint8)
    if reduction == 1:
        return rgb
    size = (rgb.shape[1] // reduction, rgb.shape[0] // reduction)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def rgb_from_compressed(message: Any, reduction: int = 1) -> npt.NDArray[np.uint8]:
    """Returns (H, W, 3) uint8 RGB of a JPEG or PNG image, reduced while it is decoded by 1, 2, 4 or 8."""
    data = np.frombuffer(message.data, np.uint8)
    pixels = _picture(data, _COLOR_FLAGS[reduction] | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise FrameError(
            "image_data",
            f"compressed image ('{message.format[:NAME]}', {data.size} bytes) cannot be decoded: publish jpeg or png",
        )
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _picture(data: npt.NDArray[np.uint8], flags: int) -> npt.NDArray[Any] | None:
    """Returns the pixels of an encoded image in OpenCV's order, None where it cannot be decoded."""
    try:
        return cv2.imdecode(data, flags) if data.size else None
    except cv2.error:  # larger than OpenCV takes
        return None


def depth_from_message(message: Any) -> FloatArray:
    """Returns (H, W) float32 m of a depth message, raw or compressed; 0 where there is none. Raises FrameError."""
    return depth_from_compressed(message) if _is_compressed(message) else depth_from_image(message)


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
    return _metres(_pixels(message, dtype, 1, "depth_data").astype(np.float32) * np.float32(unit), message.encoding)


def _metres(depth: FloatArray, encoding: str) -> FloatArray:
    """Returns depth (H, W) m without what is none, and as metres where it was millimetres. FrameError `depth_units`."""
    depth = np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))
    middle = float(np.median(depth[depth > 0])) if depth.any() else 1.0
    if encoding == "32FC1" and middle > FARTHEST:
        return depth * np.float32(0.001)
    if middle < NEAREST:
        raise FrameError(
            "depth_units",
            f"half of the depth is nearer than {middle * 1000:.0f} mm if {encoding} holds "
            f"{'metres' if encoding == '32FC1' else 'millimetres'}: publish 16UC1 in millimetres or 32FC1 in metres "
            "(REP 118)",
        )
    return depth


def labels_from_image(message: Any) -> IntArray:
    """Returns (H, W) int32 mask ids, 0 = none, of a label image.

    Raw: 8, 16 or 32 bits; colours, R + 256 G + 65536 B; 16UCn and 32SCn, n layers of ids that overlap. Compressed: see
    `labels_from_png`. Raises FrameError `mask_encoding`, `mask_data`.
    """
    if _is_compressed(message):
        return _small_ids(labels_from_png(bytes(message.data), f"compressed label image ('{message.format[:NAME]}')"))
    layers = re.fullmatch(r"(16U|32S)C([1-9]\d?)", message.encoding)
    if layers:
        dtype, count = {"16U": "u2", "32S": "i4"}[layers[1]], int(layers[2])
        pixels = np.maximum(_pixels(message, dtype, count, "mask_data").astype(np.int32), 0)
        return _small_ids(np.asarray(pixels if count == 1 else _on_top(pixels)))
    if message.encoding in _LABEL_TYPES:
        return _pixels(message, _LABEL_TYPES[message.encoding], 1, "mask_data").astype(np.int32)
    if _COLOR_CODES.get(message.encoding, ("", 0))[:2] in (("u1", 3), ("u1", 4)):
        return _small_ids(_coded(rgb_from_raw(message)))
    known = ", ".join((*_LABEL_TYPES, "16UC1", "32SC1", "rgb8", "bgr8"))
    raise FrameError(
        "mask_encoding", f"label image encoding '{message.encoding[:NAME]}' is not supported: publish one of {known}"
    )


def labels_from_png(data: bytes, what: str) -> IntArray:
    """Returns (H, W) int32 of a PNG: its grey values, indices of its palette, or R + 256 G + 65536 B of its colours.

    Raises FrameError `mask_data`, in which `what` is its name, for anything else; a JPEG blurs ids.
    """
    if data.startswith(PNG):
        try:
            with Picture.open(io.BytesIO(data), formats=("PNG",)) as picture:
                if picture.mode == "P":
                    return np.asarray(picture).astype(np.int32)
        except (OSError, ValueError, SyntaxError, Picture.DecompressionBombError):
            data = b""
        pixels = _picture(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is not None and pixels.ndim == 2:
            return pixels.astype(np.int32)
        if pixels is not None and pixels.dtype == np.uint8:
            return _coded(pixels[..., 2::-1])
    raise FrameError("mask_data", f"{what} is no PNG of grey values, a palette or 8-bit colours: send labels as such")


def _coded(colors: npt.NDArray[np.uint8]) -> IntArray:
    """Returns (H, W) int32 R + 256 G + 65536 B of colours (H, W, 3), as COCO's panoptic format writes ids."""
    return np.asarray(colors.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32))


def _small_ids(labels: IntArray) -> IntArray:
    """Returns (H, W) ids, of which those that no Mask can name are renumbered where they exceed a million."""
    if labels.max() < 1 << 20:
        return labels
    nameless = labels > MOST_NAMED
    labels[nameless] = MOST_NAMED + 1 + np.unique(labels[nameless], return_inverse=True)[1]
    return labels


def _on_top(layers: IntArray) -> IntArray:
    """Returns (H, W) ids of layers (H, W, N) of masks that overlap: the smallest mask is on top."""
    ids, place, areas = np.unique(layers, return_inverse=True, return_counts=True)
    area = np.where(ids > 0, areas, layers.size + 1)[place].reshape(layers.shape)
    return np.asarray(np.take_along_axis(layers, area.argmin(2)[..., None], 2)[..., 0])


def overlaid(parts: Sequence[Masks]) -> Masks:
    """Returns the masks of all parts of one image, whose ids are their own. Raises FrameError for different sizes."""
    if len(parts) == 1:
        return parts[0]
    if len({masks.labels.shape for masks in parts}) > 1:
        raise FrameError("mask_size", "label images of one stamp differ in size: segment the full image in each")
    layers: list[IntArray] = []
    names: dict[int, str] = {}
    scores: dict[int, float] = {}
    embeddings: dict[int, FloatArray] = {}
    first = 0
    for masks in parts:
        layers.append(np.where(masks.labels > 0, masks.labels + first, 0))
        names |= {i + first: name for i, name in masks.names.items()}
        scores |= {i + first: score for i, score in masks.scores.items()}
        embeddings |= {i + first: vector for i, vector in masks.embeddings.items()}
        first = max(int(layers[-1].max()), first)
    return Masks(_on_top(np.stack(layers, 2)), names, scores, embeddings, parts[0].encoder)


def camera_from_info(message: Any, rectified: bool = False) -> Camera:
    """Returns the camera (pixel centres at 0.5) of the images of a camera_info: by K, of rectified ones by P, if given.

    K, P, width and height are those of the whole sensor: images are its roi, of which binning_x * binning_y pixels make
    one. `lens_distortion` removes distortion. roi.do_rectify changes nothing: image_proc shifts P by the same roi.
    Raises FrameError `bad_camera_info`.
    """
    P = np.array(message.p, np.float64).reshape(3, 4)[:, :3]
    K = P if rectified and P[0, 0] > 0 else np.array(message.k, np.float64).reshape(3, 3)
    roi, binning = message.roi, np.maximum((message.binning_x, message.binning_y), 1)
    whole = np.array((message.width, message.height), np.int64)
    offset, size = np.array((roi.x_offset, roi.y_offset)), np.array((roi.width or whole[0], roi.height or whole[1]))
    if (size == whole).all():  # nothing of that size lies beside the corner: the region itself was calibrated
        offset = np.zeros(2, np.int64)
    if (offset + size > whole).any():
        text = f"roi {size[0]}x{size[1]} at {offset[0]}, {offset[1]} lies outside the {whole[0]}x{whole[1]} pixels"
        remedy = "width, height and K are of the whole sensor, or let roi be 0"
        raise FrameError("bad_camera_info", f"camera_info's {text} that it calibrates: {remedy}")
    K = K + np.array([[0, 0, 0.5 - offset[0]], [0, 0, 0.5 - offset[1]], [0, 0, 0]])
    width, height = (size // binning).tolist()
    return Camera(np.diag([*(1 / binning), 1.0]) @ K, width, height)


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
    """Returns masks of a SegmentedImage or a label image; FrameError for a bad one. Unnamed ids keep their pixels."""
    if not hasattr(message, "labels"):
        return Masks(labels_from_image(message))
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
    """Returns (H, W) float32 m of image_transport's compressedDepth, PNG or RVL, or of a plain 16-bit PNG.

    compressedDepth puts 12 bytes before the picture: a number, A and B. It writes 32FC1 as 16 bits of inverse depth,
    A / (q - B), 0 = none. Raises FrameError `depth_data`, `depth_units`.
    """
    data, encoding = np.frombuffer(message.data, np.uint8), message.format.split(";")[0].strip()
    start = 0 if bytes(data[:8]) == PNG else CONFIG
    is_rvl = "rvl" in message.format.lower()
    pixels = _rvl(data) if is_rvl else _picture(data[start:], cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2:
        kind = f"'{message.format[:NAME]}', {data.size} bytes"
        text = f"compressed depth ({kind}) is neither a 16-bit PNG nor RVL: publish compressedDepth as png or rvl"
        raise FrameError("depth_data", text)
    if encoding != "32FC1" or not start:
        return _metres(pixels.astype(np.float32) * np.float32(0.001), "16UC1")
    a, b = np.frombuffer(data[4:CONFIG].tobytes(), "<f4")
    with np.errstate(divide="ignore", invalid="ignore"):
        return _metres(np.asarray(np.where(pixels > 0, a / (pixels - b), 0), np.float32), encoding)


def rvl_size(data: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Returns width and height that an RVL image of compressedDepth says it has, 0 where it is cut."""
    width, height = np.frombuffer(data[CONFIG : CONFIG + 8].tobytes().ljust(8, b"\0"), "<u4").tolist()
    return width, height


def _rvl(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16] | None:
    """Returns (H, W) uint16 of compressedDepth's RVL [Wilson 2017], None where it is broken.

    32-bit words hold eight groups of four bits each, the highest first: three bits of a number, the lowest first, and
    whether more follow. Numbers are: how many zeros, how many values, and of each value the zigzag difference to the
    value before; and so on.
    """
    width, height = rvl_size(data)
    words = data[CONFIG + 8 : CONFIG + 8 + (data.size - CONFIG - 8) // 4 * 4].view("<u4").byteswap().view(np.uint8)
    groups = np.stack([words >> 4, words & 15], 1).reshape(-1)
    ends = np.flatnonzero(groups < 8) + 1
    if not 0 < width * height <= 2**30 or not ends.size:  # as many pixels as OpenCV takes
        return None
    starts = np.append(0, ends[:-1])
    lengths, numbers = ends - starts, (groups[starts] & 7).astype(np.uint32)
    if lengths.max() > 10:  # more than any count of pixels needs
        return None
    left = np.flatnonzero(lengths > 1)
    for k in range(1, lengths.max()):
        numbers[left] |= (groups[starts[left] + k] & 7).astype(np.uint32) << np.uint32(3 * k)
        left = left[lengths[left] > k + 1]
    runs, at, done = [], 0, 0
    while done < width * height:
        if at + 1 >= numbers.size:
            return None
        zeros, values = numbers.item(at), numbers.item(at + 1)
        runs += [at, zeros, values]
        at, done = at + 2 + values, done + zeros + values
    if done > width * height or at > numbers.size:
        return None
    heads, zeros, values = np.array(runs).reshape(-1, 3).T
    is_value = np.ones(at, bool)
    is_value[heads] = is_value[heads + 1] = False
    zigzag = numbers[:at][is_value].astype(np.int64)
    pixels = np.zeros(done, np.uint16)
    filled = np.repeat(np.tile([False, True], len(heads)), np.stack([zeros, values], 1).reshape(-1))
    pixels[filled] = np.cumsum((zigzag >> 1) ^ -(zigzag & 1)).astype(np.uint16)
    return pixels.reshape(height, width)

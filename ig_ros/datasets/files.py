"""Readers of the small files of dataset folders; every failure is a DatasetError that names the file."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.errors import DatasetError, FrameError
from ig_ros.message_decoding import labels_from_png
from ig_ros.types import FloatArray, IntArray

logger = logging.getLogger(__name__)

NO_VALUE = 65535  # of a 16-bit image: "no depth" of the Kinect driver beside 0, and Replica's "no instance" -1
NAMED_AT_MOST = 8  # missing files in one message


def numbered(folder: Path, pattern: str) -> dict[int, Path]:
    """Returns files whose whole name matches the pattern, keyed by the number in its first group, in numeric order."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise DatasetError(f"cannot list {folder}: {error.strerror}") from error
    matches = [match for match in (re.fullmatch(pattern, name) for name in names) if match]
    return dict(sorted((int(match[1]), folder / match[0]) for match in matches))


def refuse_missing(missing: Sequence[Path], layout: str) -> None:
    """Raises one DatasetError that names the missing files and what the layout expects."""
    if missing:
        more = f" and {len(missing) - NAMED_AT_MOST} more" if len(missing) > NAMED_AT_MOST else ""
        names = ", ".join(str(path) for path in missing[:NAMED_AT_MOST])
        raise DatasetError(f"missing {names}{more}: {layout}")


def wants_true_masks(options: Mapping[str, str], folder: Path, has_images: bool) -> bool:
    """Returns whether the option masks=truth asks for true instance images as masks.

    Raises DatasetError for any other option, and where the folder has no such images.
    """
    if set(options) - {"masks"} or options.get("masks", "files") not in ("files", "truth"):
        query = "&".join(f"{name}={value}" for name, value in options.items())
        raise DatasetError(f"unknown option '{query}' of a recorded folder: masks=files or masks=truth")
    wanted = options.get("masks") == "truth"
    if wanted and not has_images:
        raise DatasetError(
            f"{folder} has no true instance images: masks=truth works on ScanNet and vMAP folders that hold them "
            "(instance-filt/, semantic_instance/)"
        )
    return wanted


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file; its shape is for the caller to check."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read {path}: expected JSON ({error})") from error


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 colour image, its pixels as they are stored: poses and K are of those, not of EXIF's upright."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise DatasetError(f"cannot read {path}: expected a JPEG or PNG colour image")
    return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8, copy=False)


def read_depth(path: Path, per_metre: float = 1000.0) -> FloatArray:
    """Returns (H, W) float32 m from a 16-bit PNG, in millimetres unless told; 0 where it says 0 or 65535."""
    image = read_labels(path, "depth")
    return np.where(image == NO_VALUE, 0, image).astype(np.float32) / np.float32(per_metre)


def read_labels(path: Path, content: str = "labels") -> IntArray:
    """Returns (H, W) int32 from an 8- or 16-bit PNG with one channel; of labels also with a palette or of colours."""
    if content == "labels":
        try:
            return labels_from_png(path.read_bytes(), str(path))
        except (OSError, FrameError) as error:
            raise DatasetError(
                f"cannot read {path}: expected a 16-bit PNG with one channel (labels): {error}"
            ) from error
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        found = "an unreadable file" if image is None else f"{image.dtype} {image.shape}"
        raise DatasetError(f"cannot read {path}: expected a 16-bit PNG with one channel ({content}), found {found}")
    labels: IntArray = image.astype(np.int32)
    return labels


def resized_labels(labels: IntArray, width: int, height: int) -> IntArray:
    """Returns (height, width) int32 label image resampled (nearest)."""
    resized: IntArray = cv2.resize(labels.astype(np.int32), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return resized


def read_matrix(path: Path, size: int) -> FloatArray:
    """Returns (size, size) float64 matrix from a text file; a 4x4 calibration passes where 3x3 is wanted."""
    try:
        matrix = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read {path}: expected a {size}x{size} matrix of numbers ({error})") from error
    if matrix.shape == (4, 4) and size == 3:
        matrix = matrix[:3, :3]
    if matrix.shape != (size, size):
        raise DatasetError(f"{path} holds a matrix of shape {matrix.shape}: expected {size}x{size}")
    return matrix


def read_intrinsics(path: Path) -> FloatArray:
    """Returns (3, 3) camera matrix in px for pixel centres at +0.5.

    The files count pixels by their centres (the top-left centre is (0, 0)), as calibration tools do.
    """
    K = read_matrix(path, 3)
    if not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise DatasetError(f"{path} is not a camera matrix: focal lengths must be positive")
    K[:2, 2] += 0.5
    return K


def read_poses(paths: Iterable[tuple[int, Path]]) -> dict[int, FloatArray]:
    """Returns camera-to-world poses (4, 4) by frame number, one file each; lost frames are left out and counted."""
    return _usable((number, read_matrix(path, 4), str(path)) for number, path in paths)


def read_trajectory(path: Path) -> dict[int, FloatArray]:
    """Returns camera-to-world poses (4, 4) by frame number, one line of 16 numbers each; lost frames are left out."""
    try:
        rows = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read {path}: expected 16 numbers per line, a 4x4 pose ({error})") from error
    if rows.shape[1] != 16:
        raise DatasetError(f"{path} has {rows.shape[1]} numbers per line: expected 16, a 4x4 pose")
    return _usable((i, row.reshape(4, 4), f"line {i + 1} of {path}") for i, row in enumerate(rows))


def _usable(candidates: Iterable[tuple[int, FloatArray, str]]) -> dict[int, FloatArray]:
    """Returns rigid poses; those that the SLAM system lost (inf, nan) are skipped, anything else is refused by name."""
    poses: dict[int, FloatArray] = {}
    lost: list[int] = []
    for number, pose, source in candidates:
        if not np.isfinite(pose).all():
            lost.append(number)
        elif np.abs(pose[:3, :3] @ pose[:3, :3].T - np.eye(3)).max() > 0.02:
            raise DatasetError(f"{source} is not a rigid camera-to-world pose: its rotation is not orthonormal")
        else:
            poses[number] = pose
    if lost and not poses:
        raise DatasetError(
            f"none of {len(lost)} poses is finite: tracking was lost throughout, so nothing can be mapped"
        )
    if lost:
        logger.warning("skipped %d frames without a finite pose: %s", len(lost), ", ".join(map(str, lost[:20])))
    return poses


def register_depth(depth: FloatArray, K_depth: FloatArray, K_color: FloatArray, width: int, height: int) -> FloatArray:
    """Returns a depth image resampled (nearest) to the pixels of a colour camera at the same place; 0 outside its view.

    depth: (h, w) m; both matrices in px of their own images, pixel centres at +0.5. Returns (height, width) m.
    """
    centre = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])  # OpenCV counts pixels by their centres
    K_depth, K_color, size = K_depth - centre, K_color - centre, (width, height)
    columns, rows = cv2.initUndistortRectifyMap(K_depth, None, None, K_color, size, cv2.CV_32FC1)
    return np.asarray(cv2.remap(depth, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT))

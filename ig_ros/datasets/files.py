"""Readers of the small files of dataset folders; every failure is a DatasetError that names the file."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.datasets.base import Faults
from ig_ros.errors import DatasetError, FrameError
from ig_ros.message_decoding import labels_from_png
from ig_ros.types import Array, FloatArray, IntArray

logger = logging.getLogger(__name__)

NO_VALUE = 65535  # of a 16-bit image: "no depth" of the Kinect driver beside 0, and Replica's "no instance" -1
NAMED_AT_MOST = 8  # missing files in one message
LOOKED_AT = 5  # images that tell the size of all: one of them may be broken or odd


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


def with_copies(path: Path) -> Path:
    """Returns an image, or where its folder is missing the largest reduced copy: images_2/NAME for images/NAME."""
    if path.is_file() or path.parent.is_dir():
        return path
    copies = numbered(path.parent.parent, path.parent.name + r"_(\d+)") if path.parent.parent.is_dir() else {}
    return next((copy / path.name for copy in copies.values() if (copy / path.name).is_file()), path)


def last_numbers(names: Sequence[str]) -> list[int]:
    """Returns the last number in each file name, where every name has one and they rise, else places."""
    found = [re.findall(r"\d+", Path(name).stem) for name in names]
    numbers = [int(digits[-1]) for digits in found if digits]
    in_order = len(numbers) == len(names) and all(a < b for a, b in pairwise(numbers))
    return numbers if in_order else list(range(len(names)))


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


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file that is read like a file of its own."""

    path: Path
    name: str
    start: int
    size: int

    def __str__(self) -> str:
        return f"{self.name} of {self.path}"

    def is_file(self) -> bool:
        """Whether it is there."""
        return True

    def read_bytes(self) -> bytes:
        """Returns its content. Raises OSError."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.size)


Source: TypeAlias = Path | Part


def read_content(source: Source, kind: str) -> bytes:
    """Returns all bytes of a file. Raises DatasetError with the cause missing_KIND or broken_KIND."""
    try:
        return source.read_bytes()
    except OSError as error:
        cause = f"missing_{kind}" if isinstance(error, FileNotFoundError) else f"broken_{kind}"
        raise DatasetError(f"cannot read {source}: {error.strerror}", cause) from error


def _decoded(source: Source, kind: str, flags: int) -> Any:
    content = read_content(source, kind)
    return cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None


def read_rgb(source: Source) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 colour image, its pixels as they are stored: poses and K are of those, not of EXIF's upright."""
    image = _decoded(source, "image", cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise DatasetError(f"cannot read {source}: expected a JPEG or PNG colour image", "broken_image")
    return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8, copy=False)


def common_size(sources: Iterable[Source], read: Callable[[Any], Array] = read_rgb) -> tuple[int, int]:
    """Returns the width and height (px) that most of a few images have, spread evenly over some.

    Raises DatasetError where none of those can be read.
    """
    every = list(sources)
    faults = Faults()
    chosen = dict.fromkeys(every[i] for i in np.linspace(0, len(every) - 1, min(len(every), LOOKED_AT)).astype(int))
    images = [image for source in chosen if (image := faults.attempt(lambda s=source: read(s))) is not None]  # type: ignore[misc]
    if not images:
        raise DatasetError(f"no image can be read: {faults}")
    return Counter((image.shape[1], image.shape[0]) for image in images).most_common(1)[0][0]


def read_depth(source: Source, per_metre: float = 1000.0) -> FloatArray:
    """Returns (H, W) float32 m from a 16-bit PNG, in millimetres unless told; 0 where it says 0 or 65535."""
    image = read_labels(source, "depth")
    return np.where(image == NO_VALUE, 0, image).astype(np.float32) / np.float32(per_metre)


def read_labels(source: Source, content: str = "labels") -> IntArray:
    """Returns (H, W) int32 from an 8- or 16-bit PNG with one channel; of labels also with a palette or of colours."""
    if content != "depth":
        try:
            return labels_from_png(read_content(source, content), str(source))
        except FrameError as error:
            text = f"cannot read {source}: expected a 16-bit PNG with one channel ({content}): {error}"
            raise DatasetError(text, f"broken_{content}") from error
    image = _decoded(source, content, cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        found = "an unreadable file" if image is None else f"{image.dtype} {image.shape}"
        text = f"cannot read {source}: expected a 16-bit PNG with one channel ({content}), found {found}"
        raise DatasetError(text, f"broken_{content}")
    labels: IntArray = image.astype(np.int32)
    return labels


def resized_labels(labels: IntArray, width: int, height: int) -> IntArray:
    """Returns (height, width) int32 label image resampled (nearest)."""
    resized: IntArray = cv2.resize(labels.astype(np.int32), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return resized


def read_matrix(path: Path, size: int, kind: str = "calibration") -> FloatArray:
    """Returns (size, size) float64 matrix from a text file; a 4x4 calibration passes where 3x3 is wanted."""
    try:
        matrix = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        cause = f"missing_{kind}" if isinstance(error, FileNotFoundError) else f"broken_{kind}"
        raise DatasetError(
            f"cannot read {path}: expected a {size}x{size} matrix of numbers ({error})", cause
        ) from error
    if matrix.shape == (4, 4) and size == 3:
        matrix = matrix[:3, :3]
    if matrix.shape != (size, size):
        raise DatasetError(f"{path} holds a matrix of shape {matrix.shape}: expected {size}x{size}", f"broken_{kind}")
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


def read_poses(paths: Mapping[int, Path], faults: Faults) -> dict[int, FloatArray]:
    """Returns camera-to-world poses (4, 4) by frame number, one file each; lost and broken ones are left out.

    Raises DatasetError where none is left.
    """
    tried = ((n, faults.attempt(lambda p=path: read_matrix(p, 4, "pose")), path) for n, path in paths.items())  # type: ignore[misc]
    return usable_poses([(n, T, str(path)) for n, T, path in tried if T is not None], faults)


def read_trajectory(path: Path, faults: Faults) -> dict[int, FloatArray]:
    """Returns camera-to-world poses (4, 4) by frame number, one line of 16 numbers each; lost frames are left out."""
    try:
        rows = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read {path}: expected 16 numbers per line, a 4x4 pose ({error})") from error
    if rows.shape[1] != 16:
        raise DatasetError(f"{path} has {rows.shape[1]} numbers per line: expected 16, a 4x4 pose")
    return usable_poses(((i, row.reshape(4, 4), f"line {i + 1} of {path}") for i, row in enumerate(rows)), faults)


def usable_poses(candidates: Iterable[tuple[int, FloatArray, str]], faults: Faults) -> dict[int, FloatArray]:
    """Returns rigid poses by number, of (number, pose, where it stands).

    Those that the SLAM system lost (inf, nan) are left out and said, those that are not rigid are noted. Raises
    DatasetError where none is left.
    """
    poses: dict[int, FloatArray] = {}
    lost: list[int] = []
    for number, pose, source in candidates:
        if not np.isfinite(pose).all():
            lost.append(number)
        elif np.abs(pose[:3, :3] @ pose[:3, :3].T - np.eye(3)).max() > 0.02:
            faults.note("broken_pose", f"{source} is not a rigid camera-to-world pose: its rotation is not orthonormal")
        else:
            poses[number] = pose
    if not poses:
        why = f"none of {len(lost)} is finite, tracking was lost throughout" if lost else str(faults) or "none is given"
        raise DatasetError(f"no pose can be used, so nothing can be mapped: {why}")
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

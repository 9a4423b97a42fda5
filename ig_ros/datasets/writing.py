"""Writing the small files of dataset folders; every failure is one DatasetError that names the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from ig_ros.errors import DatasetError
from ig_ros.types import Array


def write_image(image: Array, path: Path, options: Sequence[int] = ()) -> None:
    """Encode by the suffix of the path; a colour image is BGR, as OpenCV has it."""
    done, data = cv2.imencode(path.suffix, image, list(options))
    if not done:
        raise DatasetError(f"cannot encode {path}: {image.dtype} {image.shape}")
    write_bytes(data.tobytes(), path)


def write_text(text: str, path: Path) -> None:
    """UTF-8 text; folders above are made."""
    write_bytes(text.encode(), path)


def write_bytes(data: bytes, path: Path) -> None:
    """Bytes as they are; folders above are made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise DatasetError(f"cannot write {path}: {error.strerror}") from error

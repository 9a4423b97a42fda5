"""Any dataset as a folder in ScanNet layout, masks and truth included."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from ig_ros.datasets.base import Dataset
from ig_ros.datasets.scannet_truth_writer import write_truth
from ig_ros.datasets.writing import write_image, write_text
from ig_ros.errors import DatasetError
from ig_ros.types import Array, Camera, FloatArray, Masks

JPEG_QUALITY = 95


def write_scannet_layout(dataset: Dataset, folder: Path) -> None:
    """Write every frame of a dataset below `folder` (made if absent), so that `open_dataset(folder)` reads it back.

    Depth goes to 16-bit millimetres, colour to JPEG. All frames must share one camera. Raises DatasetError where the
    folder cannot be written.
    """
    if not len(dataset):
        raise DatasetError(f"dataset {dataset.name} has no frames to write")
    camera = dataset[0].camera
    _write_intrinsics(camera, folder / "intrinsic")
    for i in range(len(dataset)):
        frame = dataset[i]
        if (frame.camera.width, frame.camera.height) != (camera.width, camera.height) or not np.allclose(
            frame.camera.K, camera.K
        ):
            raise DatasetError(
                f"frame {frame.index} of {dataset.name} has another camera than the first: only one fits"
            )
        _write_color(frame.rgb, folder / "color" / f"{frame.index}.jpg")
        write_text(_matrix(frame.T_world_camera), folder / "pose" / f"{frame.index}.txt")
        if frame.depth is not None:
            millimetres = (frame.depth * 1000).round().clip(0, 65534).astype(np.uint16)
            write_image(millimetres, folder / "depth" / f"{frame.index}.png")
        if frame.masks is not None:
            _write_masks(frame.masks, folder / "masks", frame.index)
        if dataset.truth is not None and dataset.truth.has_images:
            image = dataset.truth.instance_image(i).astype(np.uint16)
            write_image(image, folder / "instance-filt" / f"{frame.index}.png")
    if dataset.truth is not None:
        write_truth(dataset.truth, folder)


def _write_intrinsics(camera: Camera, folder: Path) -> None:
    K = np.eye(4)
    K[:3, :3] = camera.K
    K[:2, 2] -= 0.5  # ScanNet counts pixels by their centres
    for kind in ("color", "depth"):
        write_text(_matrix(K), folder / f"intrinsic_{kind}.txt")


def _write_masks(masks: Masks, folder: Path, number: int) -> None:
    write_image(masks.labels.astype(np.uint16), folder / f"{number}.png")
    ids = [int(i) for i in np.unique(masks.labels) if i]
    about = {str(i): {"label": masks.names.get(i, ""), "score": round(masks.scores.get(i, 1.0), 4)} for i in ids}
    write_text(json.dumps(about, indent=1), folder / f"{number}.json")


def _matrix(values: FloatArray) -> str:
    return "\n".join(" ".join(f"{x:.12g}" for x in row) for row in values) + "\n"


def _write_color(rgb: Array, path: Path) -> None:
    write_image(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), path, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])

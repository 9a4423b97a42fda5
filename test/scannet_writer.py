"""Any dataset as a folder in ScanNet layout, masks and truth included."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from plyfile import PlyData, PlyElement

from ig_ros.datasets.base import Dataset, SceneTruth
from ig_ros.datasets.scannet_truth import AGGREGATION, LABELS, MESH, SEGMENTS, nyu40_class
from ig_ros.errors import DatasetError
from ig_ros.types import Array, Camera, FloatArray, IntArray, Masks

SEGMENT = 0.25  # m, edge of the blocks that an instance is cut into: segments are parts of objects, as in ScanNet


def write_truth(truth: SceneTruth, folder: Path) -> None:
    """Writes the mesh (its vertices alone), labels, segments and aggregation. Raises DatasetError."""
    scene = folder.resolve().name
    segments = _segments(truth)
    _write_ply(truth, truth.colors, None, folder / (scene + MESH))
    _write_ply(truth, truth.colors, _classes(truth), folder / (scene + LABELS))
    write_text(json.dumps({"sceneId": scene, "segIndices": segments.tolist()}), folder / (scene + SEGMENTS))
    groups = [
        {
            "id": i - 1,
            "objectId": i - 1,
            "label": truth.names.get(i, ""),
            "segments": np.unique(segments[truth.ids == i]).tolist(),
        }
        for i in np.unique(truth.ids[truth.ids > 0]).tolist()
    ]
    aggregation = {"sceneId": f"scannet.{scene}", "segmentsFile": f"scannet.{scene}{SEGMENTS}", "segGroups": groups}
    write_text(json.dumps(aggregation), folder / (scene + AGGREGATION))


def _segments(truth: SceneTruth) -> IntArray:
    """(P,) segment of each point: one per instance and block of space, so that none straddles two instances."""
    blocks = np.floor(truth.points / SEGMENT).astype(np.int64)
    keys = np.concatenate([truth.ids[:, None].astype(np.int64), blocks], axis=1)
    _, segments = np.unique(keys, axis=0, return_inverse=True)
    return np.asarray(segments.reshape(-1), np.int64)


def _classes(truth: SceneTruth) -> IntArray:
    """(P,) NYU40 labels: the truth's own, else by the names of its instances."""
    if truth.classes is not None:
        return truth.classes
    table = np.zeros(int(truth.ids.max(initial=0)) + 1, np.int32)
    for i in np.unique(truth.ids[truth.ids > 0]).tolist():
        table[i] = nyu40_class(truth.names.get(i, ""))
    classes: IntArray = table[np.maximum(truth.ids, 0)]
    return classes


def _write_ply(truth: SceneTruth, colors: IntArray | None, classes: IntArray | None, path: Path) -> None:
    """Vertices with colours and labels where they are known; a cloud has no faces, readers still expect the element."""
    columns: dict[str, tuple[str, Array]] = {axis: ("f4", truth.points[:, k]) for k, axis in enumerate("xyz")}
    if colors is not None:
        columns |= {name: ("u1", colors[:, k]) for k, name in enumerate(("red", "green", "blue"))}
    if classes is not None:
        columns["label"] = ("u2", classes)
    vertex = np.empty(len(truth.points), [(name, kind) for name, (kind, _) in columns.items()])
    for name, (_, values) in columns.items():
        vertex[name] = values
    face = np.empty(0, [("vertex_indices", "i4", (3,))])
    data = BytesIO()
    PlyData([PlyElement.describe(vertex, "vertex"), PlyElement.describe(face, "face")]).write(data)
    write_bytes(data.getvalue(), path)


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

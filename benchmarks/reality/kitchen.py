"""The real kitchen: how it looks where nobody trained, and which of its things are objects of their own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.quality.views import UnseenView, mean_appearance, unseen_views
from benchmarks.reality.perturbations import alignment
from benchmarks.reality.perturbed import Clean
from benchmarks.reality.rows import Row
from benchmarks.segmenter.kitchen import FOLDER
from benchmarks.segmenter.whole import judge
from ig_ros.config import Config
from ig_ros.datasets import Dataset, open_dataset, split
from ig_ros.evaluation.metrics import psnr
from ig_ros.evaluation.offline import Budget, map_dataset
from ig_ros.geometry import inverse, reproject_depth
from ig_ros.mapper import Mapper
from ig_ros.report.pictures import paint
from ig_ros.types import Camera, FloatArray, Frame, MapSnapshot

# The colour camera, fitted to depth edges (shared/data/kitchen/README.md), and how far beside the depth camera it is.
COLOR_K = np.array([[530.0, 0, 324], [0, 530, 244], [0, 0, 1]])
BESIDE = 0.025  # m
REGISTERED, RECORDED, NONE = "registered", "recorded", "none"
SHOWN = (1, 5, 9)  # held-out views in the picture


class Kitchen:
    """The recorded frames by what is made of their depth."""

    name, truth = "kitchen", None

    def __init__(self, depth: str) -> None:
        """Depth is `registered` to the colour camera, as `recorded`, or `none`: RGB and poses only."""
        self._dataset, self.depth = open_dataset(FOLDER), depth

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, i: int) -> Frame:
        frame = self._dataset[i]
        if self.depth == RECORDED:
            return frame
        frame = registered(frame)
        return replace(frame, depth=None) if self.depth == NONE else frame


def registered(frame: Frame) -> Frame:
    """Returns a frame of the depth camera as one of the colour camera, to which its depth is registered."""
    camera, T_color_depth = Camera(COLOR_K, frame.camera.width, frame.camera.height), np.eye(4)
    T_color_depth[0, 3] = -BESIDE
    assert frame.depth is not None
    depth = reproject_depth(frame.depth, frame.camera, T_color_depth, camera)
    return replace(frame, camera=camera, depth=depth, T_world_camera=frame.T_world_camera @ inverse(T_color_depth))


def run_kitchen(row: Row, pictures: Path) -> dict[str, Any]:
    """Returns figures of the held-out frames, and which things are objects of their own."""
    dataset: Dataset = Kitchen(row.scene)
    settings = {"threads": 1, "device": "cpu", "segmentation.segmenter": "geometric", "language.encoder": "none"}
    mapper = Mapper(Config.from_dict(settings | row.settings))
    train, held_out = split(len(dataset))
    begin = time.process_time()
    dropped = map_dataset(mapper, dataset, train, Budget(steps=row.steps))
    mapping = time.process_time() - begin
    frozen = mapper.freeze()
    snapshot = mapper.instantiate(frozen)
    views = unseen_views(mapper, frozen, Clean(dataset, moved_into(mapper, dataset)), held_out)
    whole = judge(snapshot, mapping)
    write_picture(pictures / f"{row.key}.jpg", views, snapshot)
    fitted = [psnr(fitted_exposure(v), v.photograph / np.float32(255)) for v in views]
    return {
        **mean_appearance(views), "psnr_fitted": float(np.mean(fitted)), "apart": whole.apart, "table": whole.table,
        "objects": len(snapshot.instances.objects), "keyframes": len(mapper.keyframes), "dropped": dropped,
        "anchors": len(mapper.scaffold.anchors), "ms_per_step": round(1000 * mapping / max(row.steps, 1), 1),
    }  # fmt: skip


def moved_into(mapper: Mapper, dataset: Dataset) -> FloatArray:
    """Returns the motion (4, 4) from recorded poses to those that the map uses, fitted to its keyframes."""
    recorded = {frame.index: frame.T_world_camera for frame in (dataset[i] for i in range(len(dataset)))}
    used = mapper.keyframes.items
    return alignment(np.stack([recorded[k.index] for k in used]), np.stack([k.T_world_camera for k in used]))


def fitted_exposure(view: UnseenView) -> FloatArray:
    """Returns the render (H, W, 3) in [0, 1] with the gain and offset per channel that suit the photograph best."""
    rendered, target = view.rendered / np.float32(255), view.photograph / np.float32(255)
    lines = [np.polyfit(rendered[..., c].ravel(), target[..., c].ravel(), 1) for c in range(3)]
    return np.stack([rendered[..., c] * a + b for c, (a, b) in enumerate(lines)], axis=-1).clip(0, 1)


def write_picture(path: Path, views: Sequence[UnseenView], snapshot: MapSnapshot) -> None:
    """Writes held-out views as photograph | render | objects."""
    ids = np.append(snapshot.instances.point_ids, -1)
    rows = [np.hstack([v.photograph, v.rendered, paint(ids[v.top])]) for v in (views[i] for i in SHOWN)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])

"""Views the map never saw: how well it renders and segments them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from ig_ros.config import InputConfig
from ig_ros.datasets import Dataset, faults_of
from ig_ros.datasets.base import SelectionTruth
from ig_ros.evaluation.metrics import instance_score, psnr, ssim
from ig_ros.ignored import without_ignored
from ig_ros.mapper import Mapper
from ig_ros.named_objects import FrozenMap
from ig_ros.raster import top_contributor
from ig_ros.scaffold.keyframes import make_keyframe
from ig_ros.types import Frame, IntArray, MapSnapshot, QueryResult


@dataclass(frozen=True, slots=True)
class HeldOutView:
    """One unseen frame beside what the map makes of it, at training resolution."""

    index: int  # frame number
    target: np.ndarray  # (H, W, 3) u8
    rendered: np.ndarray  # (H, W, 3) u8
    instances: np.ndarray  # (H, W) uint16, object id, 0 = none
    psnr: float
    ssim: float


def render_held_out(mapper: Mapper, frozen: FrozenMap, snapshot: MapSnapshot, frame: Frame) -> HeldOutView:
    """Renders a frame's view in colour and instances and scores the colour."""
    view = make_keyframe(-1, without_ignored(frame, mapper.config.ignore_labels), mapper.config.input)
    rendered = mapper.scaffold.render(view.camera, frame.T_world_camera)
    color = rendered.features[..., :3].cpu().numpy().clip(0, 1)
    target = view.rgb.numpy() / np.float32(255)
    seen = np.full(color.shape[:2], True) if view.ignored is None else ~view.ignored.numpy()
    seen |= not seen.any()
    shown = np.where(seen[..., None], target, color)  # of what is ignored nothing is compared
    top = top_contributor(frozen.gaussians, frame.T_world_camera, view.camera).cpu().numpy()
    ids = np.append(snapshot.instances.point_ids, -1)[top]
    return HeldOutView(
        frame.index,
        view.rgb.numpy(),
        (color * 255).round().astype(np.uint8),
        np.where(ids > 0, ids, 0).astype(np.uint16),
        psnr(color[seen], target[seen]),
        ssim(color, shown),
    )


def render_all(
    mapper: Mapper, frozen: FrozenMap, snapshot: MapSnapshot, dataset: Dataset, places: Iterable[int]
) -> dict[int, HeldOutView]:
    """Returns the views by place; frames that cannot be read are left out and counted by the dataset."""
    faults, views = faults_of(dataset), {}
    for place in places:
        frame = faults.attempt(partial(dataset.__getitem__, place))
        if frame is not None:
            views[place] = render_held_out(mapper, frozen, snapshot, frame)
    return views


def best_render_iou(views: Sequence[HeldOutView], truth: Sequence[IntArray]) -> dict[int, float]:
    """Returns each true instance's best IoU with any object over all held-out pixels; truth (H, W), 0 = unlabelled."""
    predicted, true = [], []
    for view, image in zip(views, truth, strict=True):
        size = (view.instances.shape[1], view.instances.shape[0])
        true.append(cv2.resize(image.astype(np.int32), size, interpolation=cv2.INTER_NEAREST).ravel())
        ids = view.instances.ravel().astype(np.int64)
        predicted.append(np.where(ids > 0, ids, -1))
    return instance_score(np.concatenate(predicted), np.concatenate(true)).best


def selection_iou(
    snapshot: MapSnapshot,
    ask: Callable[[str], QueryResult],
    dataset: Dataset,
    selection: SelectionTruth,
    config: InputConfig,
) -> dict[tuple[int, str], float]:
    """Returns by place and text the IoU of the true mask with the pixels whose top Gaussian is of an object that fits.

    `ask` answers with all objects that fit a text; views are drawn at the size of training and compared at that of the
    truth. Raises ValueError for a snapshot without Gaussians.
    """
    if snapshot.gaussians is None:
        raise ValueError("a snapshot without Gaussians cannot be drawn: instantiate first")
    answers: dict[str, list[int]] = {}
    iou = {}
    for place in selection.places:
        frame = faults_of(dataset).attempt(partial(dataset.__getitem__, place))
        if frame is None:
            continue
        view = make_keyframe(-1, frame, config)
        top = top_contributor(snapshot.gaussians, frame.T_world_camera, view.camera).cpu().numpy()
        drawn = np.append(snapshot.instances.point_ids, -1)[top]
        for text, mask in selection.masks(place).items():
            if text not in answers:
                answers[text] = [hit.object.id for hit in ask(text).hits]
            found = np.isin(drawn, answers[text]).astype(np.uint8)
            chosen = cv2.resize(found, mask.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
            iou[place, text] = float((chosen & mask).sum() / max((chosen | mask).sum(), 1))
    return iou


def selection_figures(
    mapper: Mapper, snapshot: MapSnapshot, dataset: Dataset, selection: SelectionTruth
) -> dict[str, Any]:
    """Returns mIoU and mAcc@0.25 of the paper's selection task in per cent, and how many (view, text) pairs were asked.

    The snapshot must be the mapper's latest, with its Gaussians: the mapper answers from what it has found last.
    """

    def ask(text: str) -> QueryResult:
        return mapper.query(text, max_results=0)

    iou = np.array(list(selection_iou(snapshot, ask, dataset, selection, mapper.config.input).values()))
    miou, macc = (100 * float(v.sum()) / max(len(iou), 1) for v in (iou, iou > 0.25))
    return {"miou": round(miou, 3), "macc25": round(macc, 3), "pairs": len(iou)}

"""Held-out views: how the map looks there, and which Gaussian each of their pixels shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ig_ros.datasets import Dataset
from ig_ros.evaluation.metrics import instance_score, psnr, ssim
from ig_ros.mapper import Mapper
from ig_ros.named_objects import FrozenMap
from ig_ros.raster import top_contributor
from ig_ros.scaffold.keyframes import make_keyframe
from ig_ros.types import FloatArray, IntArray

MIN_PIXELS = 30  # of a true instance over all held-out views: less is a sliver behind something


@dataclass(frozen=True, slots=True)
class UnseenView:
    """One frame the map never saw, at training resolution."""

    photograph: np.ndarray  # (H, W, 3) u8
    rendered: np.ndarray  # (H, W, 3) u8
    top: IntArray  # (H, W) row of the Gaussian that contributes most, -1 = none
    truth: IntArray | None  # (H, W) instance, 0 = unlabelled; None where nobody knows
    psnr: float
    ssim: float


def unseen_views(mapper: Mapper, frozen: FrozenMap, dataset: Dataset, places: Sequence[int]) -> list[UnseenView]:
    """Render the frames at `places`; exact instances are reduced by nearest pixel."""
    return [unseen_view(mapper, frozen, dataset, i) for i in places]


def unseen_view(mapper: Mapper, frozen: FrozenMap, dataset: Dataset, place: int) -> UnseenView:
    """Render one frame and score its colours."""
    frame = dataset[place]
    view = make_keyframe(-1, frame, mapper.config.input)
    rendered = mapper.scaffold.render(view.camera, frame.T_world_camera).features[..., :3].cpu().numpy().clip(0, 1)
    target = view.rgb.numpy() / np.float32(255)
    top = top_contributor(frozen.gaussians, frame.T_world_camera, view.camera).cpu().numpy()
    truth = None
    if dataset.truth is not None and dataset.truth.has_images:
        size = (view.camera.width, view.camera.height)
        truth = cv2.resize(dataset.truth.instance_image(place).astype(np.int32), size, interpolation=cv2.INTER_NEAREST)
    picture = (rendered * 255).round().astype(np.uint8)
    return UnseenView(view.rgb.numpy(), picture, top, truth, psnr(rendered, target), ssim(rendered, target))


def render_iou(views: Sequence[UnseenView], ids: IntArray) -> float | None:
    """Mean over true instances of the best IoU over all held-out pixels, percent; ids (G,) of the Gaussians, -1 = none.

    None where no view has a truth.
    """
    known = [(v.top, v.truth) for v in views if v.truth is not None]
    if not known:
        return None
    shown = np.append(ids, -1)
    predicted = np.concatenate([shown[top].ravel() for top, _ in known])
    return instance_score(predicted, np.concatenate([t.ravel() for _, t in known]), MIN_PIXELS).miou


def mean_appearance(views: Sequence[UnseenView]) -> dict[str, FloatArray | float]:
    """PSNR (dB) and SSIM over the views; empty without any."""
    if not views:
        return {}
    return {"psnr": float(np.mean([v.psnr for v in views])), "ssim": float(np.mean([v.ssim for v in views]))}

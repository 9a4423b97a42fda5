"""Views the map never saw: how well it renders and segments them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ig_ros.evaluation.metrics import instance_score, psnr, ssim
from ig_ros.mapper import Mapper
from ig_ros.objects import FrozenMap
from ig_ros.raster import top_contributor
from ig_ros.scaffold.keyframes import make_keyframe
from ig_ros.types import Frame, IntArray, MapSnapshot


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
    """Render a frame's view in colour and instances and score the colour."""
    view = make_keyframe(-1, frame, mapper.config.input)
    rendered = mapper.scaffold.render(view.camera, frame.T_world_camera)
    color = rendered.features[..., :3].cpu().numpy().clip(0, 1)
    target = view.rgb.numpy() / np.float32(255)
    top = top_contributor(frozen.gaussians, frame.T_world_camera, view.camera).cpu().numpy()
    ids = np.append(snapshot.instances.point_ids, -1)[top]
    return HeldOutView(
        frame.index,
        view.rgb.numpy(),
        (color * 255).round().astype(np.uint8),
        np.where(ids > 0, ids, 0).astype(np.uint16),
        psnr(color, target),
        ssim(color, target),
    )


def best_render_iou(views: Sequence[HeldOutView], truth: Sequence[IntArray]) -> dict[int, float]:
    """Best IoU of each true instance with any object over all held-out pixels; truth images (H, W), 0 = unlabelled."""
    predicted, true = [], []
    for view, image in zip(views, truth, strict=True):
        size = (view.instances.shape[1], view.instances.shape[0])
        true.append(cv2.resize(image.astype(np.int32), size, interpolation=cv2.INTER_NEAREST).ravel())
        ids = view.instances.ravel().astype(np.int64)
        predicted.append(np.where(ids > 0, ids, -1))
    return instance_score(np.concatenate(predicted), np.concatenate(true)).best

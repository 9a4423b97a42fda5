"""A small picture of every object, cut from the keyframe that shows it best."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.named_objects import spread
from ig_ros.raster import top_contributor
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.types import IntArray, MapSnapshot

LOOKED_AT = 24  # keyframes at most, evenly spread
EDGE = 96  # px of a thumbnail
MARGIN = 0.25  # of the object's extent, on each side
DIMMED = 0.35  # brightness of what is not the object

Picture = npt.NDArray[np.uint8]  # (H, W, 3) RGB


def cut_thumbnails(snapshot: MapSnapshot, keyframes: Sequence[Keyframe]) -> dict[int, Picture]:
    """Returns (EDGE, EDGE, 3) by object id, the rest dimmed; an object that no keyframe shows has none."""
    if snapshot.gaussians is None:
        return {}
    best: dict[int, tuple[float, int]] = {}
    images: dict[int, IntArray] = {}
    for place in spread(len(keyframes), LOOKED_AT).tolist():
        view = keyframes[place]
        top = top_contributor(snapshot.gaussians, view.T_world_camera, view.camera).cpu().numpy()
        images[place] = np.append(snapshot.instances.point_ids, -1)[top]
        for number, worth in _worth(images[place]).items():
            if worth > best.get(number, (0.0, 0))[0]:
                best[number] = worth, place
    return {number: cut(keyframes[p].rgb.numpy(), images[p] == number) for number, (_, p) in best.items()}


def _worth(ids: IntArray) -> dict[int, float]:
    """Returns how well an image of ids shows each object: its pixels, half of them where the border cuts it."""
    numbers, counts = np.unique(ids[ids > 0], return_counts=True)
    at_border = set(np.unique(np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]])).tolist())
    return {n: c * (0.5 if n in at_border else 1.0) for n, c in zip(numbers.tolist(), counts.tolist(), strict=True)}


def cut(rgb: Picture, own: npt.NDArray[np.bool_]) -> Picture:
    """Cuts a square around the pixels (H, W) of an object, the others dimmed; what lies beyond the image is grey."""
    rows, cols = np.nonzero(own)
    center = np.array([rows.min() + rows.max() + 1, cols.min() + cols.max() + 1]) / 2
    size = np.array(own.shape)
    half = max(6.0, (0.5 + MARGIN) * max(np.ptp(rows) + 1, np.ptp(cols) + 1))
    half = min(half, float(size.max()) / 2)
    center = np.where(2 * half < size, np.clip(center, half, size - half), size / 2)  # as little beyond it as possible
    shown = np.where(own[..., None], rgb, (DIMMED * rgb + (1 - DIMMED) * 128).astype(np.uint8))
    scale = EDGE / (2 * half)
    y, x = EDGE / 2 - scale * center + 0.5 * (scale - 1)  # OpenCV counts from the middle of the first pixel
    M = np.array([[scale, 0, x], [0, scale, y]])
    picture: Picture = cv2.warpAffine(
        shown, M, (EDGE, EDGE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(128, 128, 128)
    ).astype(np.uint8)
    return picture

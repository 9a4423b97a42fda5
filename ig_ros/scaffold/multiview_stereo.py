"""Depth without a depth camera: a plane sweep over posed keyframes, chosen semi-globally, refined and checked.

The sweep is uniform in inverse depth, from infinity to where the image would shift by REACH of its width, so that it
needs no range of depths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ig_ros.config import SeedingConfig
from ig_ros.geometry import inverse, rotation_angle
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.scaffold.seeding import STRIDE
from ig_ros.types import FloatArray, IntArray

# Grey levels by which brightness and each gradient may differ at most. An edge in depth (P2) and a hypothesis that no
# partner sees cost as much: like one thing that is quite different.
TRUNCATION = 24.0
STEP_PENALTY = 3.0  # grey levels for a neighbour one hypothesis away (a slanted surface): P1 [Hirschmueller 2008]
RIVAL = 2  # hypotheses further from the best than this compete with it in the test of contrast


def aggregate(volume: FloatArray) -> FloatArray:
    """Sums over four directions the cheapest path that ends at each entry; volume (D, h, w) float32, same out."""
    total = np.zeros_like(volume)
    for axis in (1, 2):
        lines = np.ascontiguousarray(np.moveaxis(volume, axis, 0))  # (n, D, m)
        summed = np.zeros_like(lines)
        _walk(lines, summed)
        _walk(lines[::-1], summed[::-1])
        total += np.moveaxis(summed, 0, axis)
    return total


def _walk(lines: FloatArray, summed: FloatArray) -> None:
    """Adds to `summed` (n, D, m) the path costs along its first axis."""
    path = lines[0].copy()
    summed[0] += path
    for i in range(1, len(lines)):
        least = path.min(0)
        best = np.minimum(path, least + TRUNCATION)
        np.minimum(best[1:], path[:-1] + STEP_PENALTY, out=best[1:])
        np.minimum(best[:-1], path[1:] + STEP_PENALTY, out=best[:-1])
        best -= least
        best += lines[i]
        path = best
        summed[i] += path


def choose(total: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns the cheapest hypothesis (h, w), refined by a parabola, and the cost ratio (h, w) of its best rival.

    A ratio near 1 means that the depth is ambiguous. total (D, h, w), D >= 3.
    """
    depth = len(total)
    best: IntArray = total.argmin(0)
    middle = np.clip(best, 1, depth - 2)[None]
    before, here, after = (np.take_along_axis(total, middle + k, axis=0)[0] for k in (-1, 0, 1))
    fraction = vertex(before, here, after, 0.5) * (best == middle[0])
    least = np.take_along_axis(total, best[None], axis=0)[0]
    rivals = np.abs(np.arange(depth)[:, None, None] - best) > RIVAL
    rival = np.where(rivals, total, np.inf).min(0)
    return best + fraction, rival / np.maximum(least, 1.0)


def vertex(before: FloatArray, here: FloatArray, after: FloatArray, limit: float) -> FloatArray:
    """Returns where the parabola through values at -1, 0, 1 is lowest, within +-limit; 0 where it opens downwards."""
    bend = before - 2 * here + after
    place = (before - after) / (2 * np.maximum(bend, 1e-6))
    return np.where(bend > 1e-3, np.clip(place, -limit, limit), 0.0)


Image8 = npt.NDArray[np.uint8]

OUTSIDE = 255  # cost of a pixel outside the partner's image: more than any cost inside, 3 x TRUNCATION
WINDOW = (3, 3)  # px over which costs are averaged
SMOOTHING = 0.7  # px, against aliasing on the strided grid


def channels(rgb: Image8, ignored: torch.Tensor | None = None) -> Image8:
    """Returns brightness, its gradients in x and y (around 128) and OUTSIDE, (H, W, 4), of an image (H, W, 3).

    The last is 0 where a partner's pixels are ignored (H, W): they are as those outside of its image.
    """
    gray = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), SMOOTHING)
    slopes = [cv2.Sobel(gray, cv2.CV_16S, dx, 1 - dx, ksize=3) for dx in (1, 0)]
    shifted = [np.clip(s // 2 + 128, 0, 255).astype(np.uint8) for s in slopes]
    inside = np.full_like(gray, OUTSIDE) if ignored is None else np.where(ignored.numpy(), 0, OUTSIDE).astype(np.uint8)
    merged: Any = cv2.merge([gray, *shifted, inside])
    return np.asarray(merged, np.uint8)


@dataclass(frozen=True, slots=True)
class Partner:
    """One keyframe to compare with: its channels and where a grid cell at inverse depth r falls in it."""

    image: Image8  # (H, W, 4)
    far: FloatArray  # (3, 3) homography from grid cells to pixel indices of this image at inverse depth 0
    near: FloatArray  # (3, 3) what each 1/m of inverse depth adds


class Sweep:
    """The matching problem of one keyframe: `cost` for planes parallel to the image, `cost_of` for any depth map."""

    def __init__(self, new: Keyframe, partners: Sequence[Keyframe], stride: int) -> None:
        self.image = np.ascontiguousarray(channels(new.rgb.numpy())[::stride, ::stride])
        self.shape = self.image.shape[:2]
        grid_to_pixel = np.array([[stride, 0, 0.5], [0, stride, 0.5], [0, 0, 1.0]])
        ray = np.linalg.inv(new.camera.K) @ grid_to_pixel
        index = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])  # OpenCV counts from pixel centres
        self.partners = []
        for old in partners:
            T_old_new = inverse(old.T_world_camera) @ new.T_world_camera
            K = index @ old.camera.K
            shift = np.outer(T_old_new[:3, 3], [0.0, 0.0, 1.0])
            self.partners.append(
                Partner(channels(old.rgb.numpy(), old.ignored), K @ T_old_new[:3, :3] @ ray, K @ shift @ ray)
            )
        rows, cols = np.indices(self.shape, np.float32)
        self._cells = np.stack([cols, rows, np.ones_like(rows)], axis=-1)

    def cost(self, inverse_depth: float) -> FloatArray:
        """Returns the cost (h, w) float32 if all surfaces had one inverse depth, 1/m."""
        size = self.shape[::-1]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return self._best_two(
            cv2.warpPerspective(p.image, p.far + inverse_depth * p.near, size, flags=flags) for p in self.partners
        )

    def cost_of(self, inverse_depth: FloatArray) -> FloatArray:
        """Returns the cost (h, w) float32 of an inverse depth map (h, w) in 1/m."""
        return self._best_two(self._warped(p, inverse_depth) for p in self.partners)

    def _warped(self, partner: Partner, inverse_depth: FloatArray) -> Any:
        far, near = (self._cells @ m.T.astype(np.float32) for m in (partner.far, partner.near))
        where = far + inverse_depth[..., None].astype(np.float32) * near
        where /= np.maximum(where[..., 2:], 1e-6)
        return cv2.remap(partner.image, where[..., 0], where[..., 1], cv2.INTER_LINEAR)

    def _best_two(self, images: Iterable[Any]) -> FloatArray:
        first = np.full(self.shape, OUTSIDE, np.uint8)
        second = first.copy()
        for image in images:
            difference = cv2.min(cv2.absdiff(self.image, image), (*[TRUNCATION] * 3, OUTSIDE))
            # Outside the partner's image the last channel differs, and the saturated sum is OUTSIDE.
            cost = cv2.boxFilter(cv2.transform(difference, np.array([[1, 1, 1, OUTSIDE]], np.float32)), -1, WINDOW)
            second = cv2.min(second, cv2.max(first, cost))
            first = cv2.min(first, cost)
        # One partner counts as much as two: a penalty would make untextured walls choose what two partners see.
        second = np.where(second > 3 * TRUNCATION, first, second)
        mean = 0.5 * (first.astype(np.float32) + second)
        return np.where(first > 3 * TRUNCATION, TRUNCATION, mean).astype(np.float32)


PARTNERS = 5  # keyframes at most that a keyframe is compared with, and the range before and after to choose from
BASELINE = 0.15  # m, the best distance between two views in a room
REACH = 0.4  # share of the image's width by which the nearest surface shifts at the median baseline


def choose_partners(items: Sequence[Keyframe], place: int) -> list[Keyframe]:
    """Returns keyframes near items[place] in time that look the same way from another place, best baseline first."""
    new = items[place]
    scored = []
    for other in items[max(0, place - PARTNERS) : place + PARTNERS + 1]:
        angle = np.degrees(rotation_angle(new.T_world_camera, other.T_world_camera))
        baseline = distance(new, other)
        if other is not new and baseline > 0.01 and angle < 30:
            scored.append((abs(np.log(baseline / BASELINE)) + angle / 20, other.uid, other))
    return [other for _, _, other in sorted(scored, key=lambda s: s[:2])[:PARTNERS]]


def distance(a: Keyframe, b: Keyframe) -> float:
    """Returns the baseline of two keyframes in m."""
    return float(np.linalg.norm(a.T_world_camera[:3, 3] - b.T_world_camera[:3, 3]))


def estimate_depth(new: Keyframe, partners: Sequence[Keyframe], config: SeedingConfig) -> FloatArray:
    """Estimates the depth (H, W) float32 m of `new` on every stride-th pixel, 0 where ambiguous or without parallax.

    A pixel is trusted if no other depth explains it nearly as well (stereo_min_contrast) and if the widest baseline
    sees it under at least stereo_min_parallax.
    """
    size = (new.camera.height, new.camera.width)
    depth = np.zeros(size, np.float32)
    baselines = [distance(new, p) for p in partners]
    if len(partners) < 2 or min(baselines) <= 0:
        return depth
    sweep = Sweep(new, partners, STRIDE)
    nearest = REACH * size[1] / (new.camera.K[0, 0] * float(np.median(baselines)))
    step = nearest / (config.stereo_steps - 1)
    volume = np.stack([sweep.cost(step * i) for i in range(config.stereo_steps)])
    hypothesis, contrast = choose(aggregate(volume))
    inverse_depth = refine(sweep, (hypothesis * step).astype(np.float32), step)
    farthest = np.radians(config.stereo_min_parallax) / max(baselines)
    good = (contrast > config.stereo_min_contrast) & (inverse_depth > farthest) & (inverse_depth < nearest - step)
    depth[::STRIDE, ::STRIDE] = np.where(good, 1.0 / np.maximum(inverse_depth, farthest), 0.0)
    if new.ignored is not None:
        depth[new.ignored.numpy()] = 0.0
    return depth


def refine(sweep: Sweep, inverse_depth: FloatArray, step: float) -> FloatArray:
    """Moves the inverse depth map (h, w) 1/m to where the images fit best within a step, on slanted surfaces too."""
    smooth = cv2.medianBlur(inverse_depth, 3)
    before, here, after = (sweep.cost_of(smooth + k * step / 2) for k in (-1, 0, 1))
    refined = np.maximum(smooth + step / 2 * vertex(before, here, after, 1.0), 0.0)
    return np.asarray(cv2.medianBlur(refined.astype(np.float32), 3))

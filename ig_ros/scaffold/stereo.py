"""Depth without a depth camera: a plane sweep over posed keyframes, chosen semi-globally, refined and checked.

The sweep is uniform in inverse depth, from infinity to where the picture would shift by REACH of its width: it has no
unit of its own and needs no range. Optical flow was here before; it gives narrow strips of background the depth of
what stands beside them, and loses the borders of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ig_ros.config import SeedingConfig
from ig_ros.geometry import rotation_angle
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.scaffold.semiglobal import aggregate, choose, vertex
from ig_ros.scaffold.sweep import Sweep
from ig_ros.types import FloatArray

PARTNERS = 5  # keyframes a depth estimate looks at
NEIGHBOURS = 8  # ... among this many before and after
BASELINE = 0.15  # m, the best distance between two views of things a camera in a room looks at
REACH = 0.4  # of the picture's width: the nearest surface shifts by this much at the median baseline
REFINEMENT = (0.6, 0.3)  # steps of the sweep by which the refinement looks to both sides
SMALLEST = 1e-3  # 1/m


def choose_partners(items: Sequence[Keyframe], place: int) -> list[Keyframe]:
    """Keyframes near items[place] in time that look the same way from another spot, best baseline first."""
    new = items[place]
    scored = []
    for other in items[max(0, place - NEIGHBOURS) : place + NEIGHBOURS + 1]:
        angle = np.degrees(rotation_angle(new.T_world_camera, other.T_world_camera))
        baseline = distance(new, other)
        if other is not new and baseline > 0.01 and angle < 30:
            scored.append((abs(np.log(baseline / BASELINE)) + angle / 20, other.uid, other))
    return [other for _, _, other in sorted(scored, key=lambda s: s[:2])[:PARTNERS]]


def distance(a: Keyframe, b: Keyframe) -> float:
    """Baseline of two keyframes in m."""
    return float(np.linalg.norm(a.T_world_camera[:3, 3] - b.T_world_camera[:3, 3]))


def estimate_depth(new: Keyframe, partners: Sequence[Keyframe], config: SeedingConfig) -> FloatArray:
    """(H, W) float32 depth in metres of `new` on every stride-th pixel, 0 where it is ambiguous or has no parallax.

    A pixel is trusted if no other depth explains it nearly as well (stereo_min_contrast) and if the widest baseline
    sees it under at least stereo_min_parallax.
    """
    size = (new.camera.height, new.camera.width)
    depth = np.zeros(size, np.float32)
    baselines = [distance(new, p) for p in partners]
    if len(partners) < 2 or min(baselines) <= 0:
        return depth
    sweep = Sweep(new, partners, config.stride)
    nearest = REACH * size[1] / (new.camera.K[0, 0] * float(np.median(baselines)))
    step = nearest / (config.stereo_steps - 1)
    volume = np.stack([sweep.cost(step * i) for i in range(config.stereo_steps)])
    hypothesis, contrast = choose(aggregate(volume))
    inverse_depth = refine(sweep, (hypothesis * step).astype(np.float32), step)
    farthest = np.radians(config.stereo_min_parallax) / max(baselines)
    good = (contrast > config.stereo_min_contrast) & (inverse_depth > farthest) & (inverse_depth < nearest - step)
    depth[:: config.stride, :: config.stride] = np.where(good, 1.0 / np.maximum(inverse_depth, SMALLEST), 0.0)
    return depth


def refine(sweep: Sweep, inverse_depth: FloatArray, step: float) -> FloatArray:
    """The inverse depth map (h, w) 1/m moved to where the pictures fit best nearby, on slanted surfaces too."""
    for share in REFINEMENT:
        inverse_depth = cv2.medianBlur(inverse_depth.astype(np.float32), 3)
        move = share * step
        before, here, after = (sweep.cost_of(inverse_depth + k * move) for k in (-1, 0, 1))
        inverse_depth = np.maximum(inverse_depth + move * vertex(before, here, after, 1.0), SMALLEST)
    return np.asarray(cv2.medianBlur(inverse_depth.astype(np.float32), 3))

"""Figures of merit, as the papers define them (METHOD 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from skimage.metrics import structural_similarity

from ig_ros.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class InstanceScore:
    """Class-agnostic instance quality in percent, and the counts behind it."""

    miou: float  # mean over true instances of the best IoU with any prediction
    ma50: float  # share of true instances whose best IoU exceeds 0.5
    ma25: float
    found: int  # true instances with best IoU > 0.5
    true: int
    predicted: int
    best: dict[int, float]  # true id -> best IoU


def instance_score(predicted: IntArray, truth: IntArray, min_points: int = 1) -> InstanceScore:
    """Compare ids (P,) on the same points; predicted < 0 is none, truth <= 0 is unlabelled and leaves before unions."""
    labelled = truth > 0
    predicted, truth = predicted[labelled], truth[labelled]
    true_ids, t, true_size = np.unique(truth, return_inverse=True, return_counts=True)
    ids, p, size = np.unique(predicted, return_inverse=True, return_counts=True)
    shared = np.zeros((len(true_ids), len(ids)))
    np.add.at(shared, (t, p), 1.0)
    iou = shared / (true_size[:, None] + size[None] - shared)
    real = ids >= 0
    best = iou[:, real].max(axis=1, initial=0.0)
    counted = true_size >= min_points
    scores = best[counted]
    if not len(scores):
        return InstanceScore(0.0, 0.0, 0.0, 0, 0, int(real.sum()), {})
    return InstanceScore(
        miou=100 * float(scores.mean()),
        ma50=100 * float((scores > 0.5).mean()),
        ma25=100 * float((scores > 0.25).mean()),
        found=int((scores > 0.5).sum()),
        true=len(scores),
        predicted=int(real.sum()),
        best={int(i): float(b) for i, b, c in zip(true_ids, best, counted, strict=True) if c},
    )


def transfer_ids(xyz: FloatArray, ids: IntArray, targets: FloatArray, radius: float = 0.05) -> IntArray:
    """Id of the nearest point of xyz (N, 3) for each target (P, 3); -1 where none stands within `radius` metres."""
    if not len(xyz):
        return np.full(len(targets), -1)
    distance, nearest = cKDTree(xyz).query(targets, distance_upper_bound=radius, workers=-1)
    found = np.isfinite(distance)
    return np.where(found, ids[np.where(found, nearest, 0)], -1)


def psnr(rendered: FloatArray, target: FloatArray) -> float:
    """Peak signal-to-noise ratio in dB of two images with values in [0, 1]."""
    error = float(np.mean((rendered.astype(np.float64) - target) ** 2))
    return -10.0 * math.log10(max(error, 1e-10))


def ssim(rendered: FloatArray, target: FloatArray) -> float:
    """Structural similarity (Gaussian window, sigma 1.5) of two (H, W, 3) images with values in [0, 1]."""
    return float(
        structural_similarity(rendered, target, channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5)
    )

"""Over-segmentation of the anchors into sub-objects [IG 3.3, Alg. 1]."""

from __future__ import annotations

from dataclasses import dataclass

import fpsample
import numpy as np
import torch

from ig_ros.config import InstanceConfig
from ig_ros.types import FloatArray, IntArray

# One unit of the joint space is the typical extent of a sub-object.
COLOR_WEIGHT = 3.0  # units from black to white
FEATURE_WEIGHT = 20.0  # units per unit of half-space distance: a feature gap of 0.1 outweighs two sub-objects in space
CHUNK = 1 << 24  # distances computed at once


@dataclass(frozen=True, slots=True)
class PointSet:
    """The anchors as the instantiation sees them."""

    xyz: FloatArray  # (N, 3) m
    color: FloatArray  # (N, 3) in [0, 1]
    feature: FloatArray  # (N, F) unit vectors / 2: their distance is the half-space one of METHOD 2
    edge: FloatArray  # (N,) m, spacing of the anchors around
    uid: IntArray  # (N,) int64


def over_segment(points: PointSet, config: InstanceConfig, use_feature: bool) -> IntArray:
    """(N,) int32 sub-object of each point: farthest point seeds, then nearest centre, then a few k-means steps.

    The joint space is [position / typical extent of a sub-object, colour, feature]. [IG] encodes position by
    sinusoids; plain scaled coordinates keep sub-objects compact, which is what touching voxels want (Own).
    """
    n = len(points.xyz)
    count = min(config.sub_objects, max(1, n // 3))
    area = len(points.xyz) * float(np.median(points.edge)) ** 2
    extent = np.sqrt(area / count)
    parts = [config.position_weight * points.xyz / extent, COLOR_WEIGHT * points.color]
    if use_feature:
        parts.append(FEATURE_WEIGHT * points.feature)
    joint = np.concatenate(parts, axis=1).astype(np.float32)
    seeds = fpsample.fps_npdu_kdtree_sampling(joint, count, start_idx=0).astype(np.int64)
    centers = torch.from_numpy(joint[seeds])
    space = torch.from_numpy(joint)
    labels = _nearest(space, centers)
    for _ in range(config.lloyd_steps):
        size = torch.bincount(labels, minlength=count).clamp_min(1).float()
        centers = torch.zeros_like(centers).index_add_(0, labels, space) / size[:, None]
        labels = _nearest(space, centers)
    _, dense = np.unique(labels.numpy(), return_inverse=True)
    return dense.astype(np.int32)


def _nearest(space: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """(N,) index of the centre nearest to each row, by matrix products in chunks."""
    square = (centers * centers).sum(1)
    step = max(1, CHUNK // len(centers))
    found = [(square - 2.0 * part @ centers.T).argmin(1) for part in torch.split(space, step)]
    return torch.cat(found)

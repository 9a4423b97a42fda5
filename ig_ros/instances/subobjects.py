"""Over-segmentation of the anchors into sub-objects [IG 3.3, Alg. 1]."""

from __future__ import annotations

from dataclasses import dataclass

import fpsample
import numpy as np
import torch
from scipy.spatial.distance import cdist

from ig_ros.config import InstanceConfig
from ig_ros.types import FloatArray, IntArray

# One unit of the joint space is the typical extent of a sub-object.
COLOR_WEIGHT = 3.0  # units from black to white
FEATURE_WEIGHT = 20.0  # units per unit of half-space distance: a feature gap of 0.1 outweighs two sub-objects in space
REACH = 5.5  # units: however few sub-objects are asked for, none reaches over a difference larger than this
TILE = 50.0  # side of a tile, in spacings of the anchors
MOST = 10.0  # seeds a tile can have at most, in its share by number of points
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
    Where features differ much there are more than config.sub_objects, as no sub-object reaches further than REACH.
    Space is cut into tiles that are covered each by itself, all to the same radius, so the cost is linear in N and a
    change in one place leaves the sub-objects elsewhere as they are (Own).
    """
    n = len(points.xyz)
    count = min(config.sub_objects, max(1, n // 3))
    area = len(points.xyz) * float(np.median(points.edge)) ** 2
    extent = np.sqrt(area / count)
    parts = [config.position_weight * points.xyz / extent, COLOR_WEIGHT * points.color]
    if use_feature:
        parts.append(FEATURE_WEIGHT * points.feature)
    joint = np.concatenate(parts, axis=1).astype(np.float32)
    tiles = _tiles(points.xyz, TILE * float(np.median(points.edge)))
    covers = [_cover(joint[rows], int(np.ceil(MOST * len(rows) * count / n))) for rows in tiles]
    radii = np.concatenate([radius for _, radius in covers])
    reach = np.partition(radii, len(radii) - count)[len(radii) - count] if len(radii) > count else 0.0
    reach = min(reach, REACH)
    labels = np.zeros(n, np.int32)
    born = 0
    for rows, (seeds, radius) in zip(tiles, covers, strict=True):
        local = _clusters(torch.from_numpy(joint[rows]), seeds[radius >= reach], config.lloyd_steps)
        labels[rows] = born + local
        born += int(local.max()) + 1
    return labels


def _tiles(xyz: FloatArray, size: float) -> list[IntArray]:
    """Rows of the points (N, 3) m in each occupied cube of side `size` m."""
    cell = np.floor(xyz / size).astype(np.int64)
    _, tile = np.unique(cell, axis=0, return_inverse=True)
    tile = tile.ravel()
    return np.split(np.argsort(tile, kind="stable"), np.cumsum(np.bincount(tile))[:-1])


def _cover(joint: FloatArray, most: int) -> tuple[IntArray, FloatArray]:
    """At most `most` seeds (s,) of points (n, D), farthest first, and each one's distance (s,) to those before it."""
    most = min(len(joint), max(1, most))
    seeds = fpsample.fps_sampling(joint, most, start_idx=0).astype(np.int64)
    apart = cdist(joint[seeds], joint[seeds])
    apart[np.triu_indices(most)] = np.inf
    return seeds, apart.min(1)


def _clusters(space: torch.Tensor, seeds: IntArray, steps: int) -> IntArray:
    """(n,) dense cluster of each point (n, D): nearest seed, then `steps` of k-means [Lloyd 1982]."""
    centers = space[torch.from_numpy(seeds)]
    labels = _nearest(space, centers)
    for _ in range(steps):
        size = torch.bincount(labels, minlength=len(seeds)).clamp_min(1).float()
        centers = torch.zeros_like(centers).index_add_(0, labels, space) / size[:, None]
        labels = _nearest(space, centers)
    _, dense = np.unique(labels.numpy(), return_inverse=True)
    return dense


def _nearest(space: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """(N,) index of the centre nearest to each row, by matrix products in chunks."""
    square = (centers * centers).sum(1)
    step = max(1, CHUNK // len(centers))
    found = [(square - 2.0 * part @ centers.T).argmin(1) for part in torch.split(space, step)]
    return torch.cat(found)

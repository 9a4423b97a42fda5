"""Over-segmentation of the anchors into sub-objects [IG 3.3, Alg. 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ig_ros.config import InstanceConfig
from ig_ros.instances.groups import rows_of
from ig_ros.types import FloatArray, IntArray

# One unit of the joint space is the typical extent of a sub-object.
COLOR_WEIGHT = 3.0  # units from black to white
FEATURE_WEIGHT = 20.0  # units per unit of half-space distance: a feature gap of 0.1 outweighs two sub-objects in space
STEP = 1.1  # of the scale that derived quantities stick to
TILE = 50.0  # side of a tile, in spacings of the anchors
MOST = 5.0  # seeds a tile can have at most, in its share by number of points
CHUNK = 1 << 24  # distances computed at once


@dataclass(frozen=True, slots=True)
class PointSet:
    """The anchors as the instantiation sees them."""

    xyz: FloatArray  # (N, 3) m
    color: FloatArray  # (N, 3) in [0, 1]
    feature: FloatArray  # (N, F) unit vectors / 2: their distance is that of docs/method.md, section 2
    edge: FloatArray  # (N,) m, spacing of the anchors around
    uid: IntArray  # (N,) int64


@dataclass(frozen=True, slots=True)
class Children:
    """The Gaussians whose instance is asked for."""

    xyz: FloatArray  # (G, 3) m
    anchor: IntArray  # (G,) row of PointSet


def over_segment(points: PointSet, config: InstanceConfig, use_feature: bool, lloyd_steps: int = 1) -> IntArray:
    """Returns (N,) int32 the sub-object of each anchor: farthest point seeds, then nearest centre, then k-means.

    The joint space is [position / typical extent of a sub-object, colour, feature]. [IG] encodes position by
    sinusoids; plain scaled coordinates keep sub-objects compact, which is what touching voxels want (Own).
    Space is cut into tiles that are covered each by itself, all to the same radius, so the cost is linear in N and a
    change in one place leaves the sub-objects elsewhere as they are (Own).
    """
    n = len(points.xyz)
    count = min(config.sub_objects, max(1, n // 3))
    spacing = steady(float(np.median(points.edge)))
    share = steady(count / n)
    # Anchors lie on surfaces: a patch of n / count of them is about sqrt(n / count) edges wide.
    extent = spacing / np.sqrt(share)
    parts = [points.xyz / extent, COLOR_WEIGHT * points.color]
    if use_feature:
        parts.append(FEATURE_WEIGHT * points.feature)
    joint = np.concatenate(parts, axis=1).astype(np.float32)
    tiles = _tiles(points.xyz, TILE * spacing)
    most = [min(len(rows), max(1, int(np.ceil(MOST * share * len(rows))))) for rows in tiles]
    covers = [farthest_points(joint[rows], seeds) for rows, seeds in zip(tiles, most, strict=True)]
    reach = _reach(np.concatenate([radius for _, radius in covers]), count)
    labels = np.zeros(n, np.int32)
    first = 0
    for rows, (seeds, radius) in zip(tiles, covers, strict=True):
        used = seeds[: int((radius >= reach).sum())]  # radii fall from seed to seed
        local = _clusters(torch.from_numpy(joint[rows]), used, lloyd_steps)
        labels[rows] = first + local
        first += int(local.max()) + 1
    return labels


def farthest_points(points: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
    """Rows (count,) of points (n, D) float32, each as far as possible from those before it [Eldar et al. 1997].

    The first is row 0. Also the radius (count,) of each, its distance to those before it: it falls from seed to seed,
    and the first one's is infinite. count is at most n.
    """
    axes = np.ascontiguousarray(points.T)
    nearest, apart = np.full(len(points), np.inf, np.float32), np.empty_like(axes)
    seeds, squares = np.empty(count, np.int64), np.empty(count, np.float32)
    seed = 0
    for place in range(count):
        seeds[place], squares[place] = seed, nearest[seed]
        np.subtract(axes, axes[:, seed, None], out=apart)
        np.minimum(nearest, np.einsum("dn,dn->n", apart, apart), out=nearest)
        seed = int(nearest.argmax())
    return seeds, np.sqrt(squares)


def steady(value: float) -> float:
    """The value to the next lower step of a coarse scale: what is derived from it does not change with every anchor."""
    if not 0.0 < value < np.inf:
        return value
    return float(STEP ** np.floor(np.log(value) / np.log(STEP) + 1e-9))


def _reach(radii: FloatArray, count: int) -> float:
    """The radius to which all tiles are covered so that there are at least `count` seeds."""
    if len(radii) <= count:
        return 0.0
    return steady(float(np.partition(radii, len(radii) - count)[len(radii) - count]))


def _tiles(xyz: FloatArray, size: float) -> list[IntArray]:
    """Returns the rows of the points (N, 3) m in each occupied cube of side `size` m."""
    cell = np.floor(xyz / size).astype(np.int64)
    low = cell.min(0)
    span = cell.max(0) - low + 1
    code = ((cell - low) @ np.array([span[1] * span[2], span[2], 1])).astype(np.int64)
    found, tile = np.unique(code, return_inverse=True)
    return rows_of(tile, len(found))


def _clusters(space: torch.Tensor, seeds: IntArray, steps: int) -> IntArray:
    """(n,) dense cluster of each point (n, D): nearest seed, then `steps` of k-means [Lloyd 1982]."""
    space = space - space.mean(0)  # float32 products of far coordinates would round away what tells cells apart
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

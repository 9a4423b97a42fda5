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
REACH = 5.5  # units: however few sub-objects are asked for, none reaches over a difference larger than this
STEP = 1.1  # of the scale that derived quantities stick to
TILE = 50.0  # side of a tile, in spacings of the anchors
MOST = 5.0  # seeds a tile can have at most, in its share by number of points
CHUNK = 1 << 24  # distances computed at once

Key = tuple[int, ...]  # of a tile


@dataclass(frozen=True, slots=True)
class PointSet:
    """The anchors as the instantiation sees them."""

    xyz: FloatArray  # (N, 3) m
    color: FloatArray  # (N, 3) in [0, 1]
    feature: FloatArray  # (N, F) unit vectors / 2: their distance is the half-space one of METHOD 2
    edge: FloatArray  # (N,) m, spacing of the anchors around
    uid: IntArray  # (N,) int64


@dataclass(frozen=True, slots=True)
class _Tile:
    """A cube of space, what is in it, and its cover."""

    joint: FloatArray  # (n, D)
    seeds: IntArray  # (s,) rows, farthest first
    radius: FloatArray  # (s,) of each seed: its distance to those before it
    clusters: dict[int, IntArray]  # number of seeds used -> (n,) cluster of each point

    def covers(self, joint: FloatArray, seeds: int) -> bool:
        return len(self.seeds) == seeds and np.array_equal(self.joint, joint)


class OverSegmentation:
    """Cuts anchors into sub-objects; remembers the tiles of the last run, so that only those that changed are cut anew.

    The joint space is [position / typical extent of a sub-object, colour, feature]. [IG] encodes position by
    sinusoids; plain scaled coordinates keep sub-objects compact, which is what touching voxels want (Own).
    Where features differ much there are more than config.sub_objects, as no sub-object reaches further than REACH.
    Space is cut into tiles that are covered each by itself, all to the same radius, so the cost is linear in N and a
    change in one place leaves the sub-objects elsewhere as they are (Own).
    """

    def __init__(self) -> None:
        self._tiles: dict[Key, _Tile] = {}

    def cut(self, points: PointSet, config: InstanceConfig, use_feature: bool) -> IntArray:
        """(N,) int32 sub-object of each point: farthest point seeds, then nearest centre, then k-means steps."""
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
        keys, members = _tiles(points.xyz, TILE * spacing)
        most = [int(np.ceil(MOST * share * len(rows))) for rows in members]
        self._cover({key: joint[rows] for key, rows in zip(keys, members, strict=True)}, most)
        reach = _reach(np.concatenate([tile.radius for tile in self._tiles.values()]), count)
        labels = np.zeros(n, np.int32)
        born = 0
        for key, rows in zip(keys, members, strict=True):
            local = _clustered(self._tiles[key], reach, config.lloyd_steps)
            labels[rows] = born + local
            born += int(local.max()) + 1
        return labels

    def _cover(self, joint: dict[Key, FloatArray], most: list[int]) -> None:
        """Tiles of these points, each with `most` seeds at most; those that have not changed stay."""
        seeds = {key: min(len(joint[key]), max(1, most)) for key, most in zip(joint, most, strict=True)}
        kept = {key: old for key, old in self._tiles.items() if key in joint and old.covers(joint[key], seeds[key])}
        new = [key for key in joint if key not in kept]
        self._tiles = kept | {key: _Tile(joint[key], *farthest_points(joint[key], seeds[key]), {}) for key in new}


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


def over_segment(points: PointSet, config: InstanceConfig, use_feature: bool) -> IntArray:
    """(N,) int32 sub-object of each point, without a memory of earlier runs."""
    return OverSegmentation().cut(points, config, use_feature)


def steady(value: float) -> float:
    """The value to the next lower step of a coarse scale: what is derived from it does not change with every anchor."""
    if not 0.0 < value < np.inf:
        return value
    return float(STEP ** np.floor(np.log(value) / np.log(STEP) + 1e-9))


def _reach(radii: FloatArray, count: int) -> float:
    """The radius to which all tiles are covered so that there are at least `count` seeds."""
    if len(radii) <= count:
        return 0.0
    return min(steady(float(np.partition(radii, len(radii) - count)[len(radii) - count])), REACH)


def _tiles(xyz: FloatArray, size: float) -> tuple[list[Key], list[IntArray]]:
    """The occupied cubes of side `size` m, and the rows of the points (N, 3) m in each."""
    cell = np.floor(xyz / size).astype(np.int64)
    low = cell.min(0)
    span = cell.max(0) - low + 1
    code = ((cell - low) @ np.array([span[1] * span[2], span[2], 1])).astype(np.int64)
    found, first, tile = np.unique(code, return_index=True, return_inverse=True)
    return [tuple(key) for key in cell[first].tolist()], rows_of(tile, len(found))


def _clustered(tile: _Tile, reach: float, steps: int) -> IntArray:
    """(n,) cluster of each point of a tile, covered to `reach`."""
    count = int((tile.radius >= reach).sum())  # radii fall from seed to seed
    if count not in tile.clusters:
        tile.clusters.clear()
        tile.clusters[count] = _clusters(torch.from_numpy(tile.joint), tile.seeds[:count], steps)
    return tile.clusters[count]


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

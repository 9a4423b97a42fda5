"""Labels of a map on points that are not the map's: a fixed cloud or a mesh's vertices (METHOD 6, last paragraph)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ig_ros.types import FloatArray, IntArray

RADIUS = 0.05  # m: a target with no point of the map this near is unknown


@dataclass(frozen=True, slots=True)
class Transfer:
    """Ids on P given points."""

    ids: IntArray  # (P,) of the map, -1 = unknown
    confidence: FloatArray  # (P,) in [0, 1], 0 where unknown
    coverage: float  # share of the points that got an id, [0, 1]


def make_transfer(ids: IntArray, confidence: FloatArray) -> Transfer:
    """With the coverage counted and no confidence where there is no id."""
    known = ids >= 0
    return Transfer(ids, np.where(known, confidence, 0.0), float(known.mean()) if len(ids) else 0.0)


def transfer_by_vote(
    xyz: FloatArray, ids: IntArray, targets: FloatArray, radius: float = RADIUS, neighbours: int = 1
) -> Transfer:
    """Each target (P, 3) m takes the most frequent id of its `neighbours` nearest points of xyz (N, 3) within `radius`.

    Points without an object (-1) vote too: amid them a target has none. Between equal votes the nearest point decides.
    The confidence is the winner's share of the votes in reach.
    """
    if not len(xyz) or not len(targets):
        return make_transfer(np.full(len(targets), -1), np.zeros(len(targets)))
    ranks = np.arange(1, min(neighbours, len(xyz)) + 1)
    distance, place = cKDTree(xyz).query(targets, k=ranks, distance_upper_bound=radius, workers=-1)
    found = np.isfinite(distance)
    votes = np.where(found, ids[np.where(found, place, 0)], -1)
    equal = (votes[:, :, None] == votes[:, None, :]) & found[:, :, None] & found[:, None, :]
    count = equal.sum(axis=2)
    winner = count.argmax(axis=1)  # argmax takes the first, which is the nearest
    row = np.arange(len(targets))
    share = count[row, winner] / np.maximum(found.sum(axis=1), 1)
    return make_transfer(votes[row, winner], share)


def transfer_ids(xyz: FloatArray, ids: IntArray, targets: FloatArray, radius: float = RADIUS) -> IntArray:
    """Id of the nearest point of xyz (N, 3) for each target (P, 3); -1 where none stands within `radius` metres."""
    return transfer_by_vote(xyz, ids, targets, radius).ids

"""The last word of the masks: each goes to an instance, every point votes over the views that see it (METHOD 4 e)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from ig_ros.config import InstanceConfig
from ig_ros.instances.observations import HIDDEN, Observations
from ig_ros.types import FloatArray, IntArray

NONE = -1
NONE_WEIGHT = 0.5  # a view without a mask there speaks half as loud: segmenters miss more than they invent
PRIOR_WEIGHT = 0.5  # the group a point was merged into, in views ...
PRIOR_SHARE = 0.4  # ... and as a share of all its votes: errors that repeat are no majority against the merge ...
BACKING = 0.3  # ... of a point that this share of the votes gives to its group; with less backing the prior is less


@dataclass(frozen=True, slots=True)
class MaskMatch:
    """One mask of one view recognised as an instance."""

    instance: int
    column: int  # of Observations
    view: int
    iou: float  # of the points of the mask and of the instance's visible points


def assign_masks(group: IntArray, observed: Observations) -> list[MaskMatch]:
    """Give each mask to the group owning most of its points. group (N,) int, NONE = none."""
    matches: list[MaskMatch] = []
    known = group >= 0
    size = int(group.max()) + 1 if known.any() else 0
    if size == 0:
        return matches
    for k, mask in enumerate(observed.mask):
        visible = ((mask != HIDDEN) & known).nonzero()[0]
        owner = group[visible]
        total = np.bincount(owner, minlength=size)
        mine = np.unique(mask[visible])
        for column in mine[mine > 0].tolist():
            inside = np.bincount(owner[mask[visible] == column], minlength=size)
            best = int(np.argmax(inside))
            union = total[best] + inside.sum() - inside[best]
            matches.append(MaskMatch(best, column, k, float(inside[best] / union)))
    return matches


def vote(
    xyz: FloatArray,
    prior: IntArray,
    instances: int,
    observed: Observations,
    matches: list[MaskMatch],
    config: InstanceConfig,
) -> tuple[IntArray, FloatArray]:
    """Instance (P,) int32 of every point, NONE = none, and the share (P,) float32 of the votes it won by.

    xyz (P, 3) m; prior (P,) the group its anchor was merged into; `observed` is of these points. Votes are averaged
    over the nearest vote_neighbors points vote_rounds times.
    """
    n = len(xyz)
    width = instances + 1  # the last column is "none"
    instance_of = np.full(len(observed.view_of_column), instances, np.int64)
    for m in matches:
        instance_of[m.column] = m.instance
    votes = np.zeros((n, width), np.float32)
    for mask in observed.mask:
        labelled = (mask > 0).nonzero()[0]
        votes[labelled, instance_of[mask[labelled]]] += 1.0
        votes[mask == 0, instances] += NONE_WEIGHT
    total, mine = votes.sum(1), (np.arange(n), np.where(prior >= 0, prior, instances))
    backing = np.clip(votes[mine] / (BACKING * np.maximum(total, 1.0)), 0.0, 1.0)
    votes[mine] += PRIOR_WEIGHT + PRIOR_SHARE * backing * total
    votes /= votes.sum(1, keepdims=True)
    if config.vote_rounds and n > config.vote_neighbors:
        _, neighbor = cKDTree(xyz).query(xyz, k=config.vote_neighbors, workers=-1)
        rows = np.repeat(np.arange(n), config.vote_neighbors)
        average = csr_matrix(
            (np.full(rows.shape, 1.0 / config.vote_neighbors, np.float32), (rows, neighbor.ravel())), shape=(n, n)
        )
        for _ in range(config.vote_rounds):
            votes = average @ votes
    winner = votes.argmax(1).astype(np.int32)
    share = votes.max(1)
    winner[winner == instances] = NONE
    return winner, share.astype(np.float32)

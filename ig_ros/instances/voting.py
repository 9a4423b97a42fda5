"""Which groups are things: masks show them as one, in enough of the views that see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from ig_ros.config import InstanceConfig
from ig_ros.instances.mask_histograms import MaskHistograms
from ig_ros.instances.visibility import Observations
from ig_ros.raster import counting
from ig_ros.types import BoolArray, FloatArray, IntArray

NONE = -1
CHUNK = 4096  # points whose votes are counted at once: few of the instances get any, so they are kept sparse
HALF = 0.5  # a view without a mask counts half, for segmenters miss more than they invent; so does the prior, the group
# that a point was merged into, beside all votes and one more: errors that repeat do not win


@dataclass(frozen=True, slots=True)
class MaskMatch:
    """One mask of one view recognised as an instance."""

    instance: int
    column: int  # of Observations
    view: int
    iou: float  # of the points of the mask and of the instance's visible points
    say: float = 1.0  # how loud its points vote for the instance: less where it shows much else


def assign_masks(histograms: MaskHistograms) -> list[MaskMatch]:
    """Give each mask but the background's to the group owning most of its points; histograms are the groups'."""
    count, view = histograms.count, histograms.view_of_column
    if not count.size:
        return []
    visible = np.add.reduceat(count, histograms.start, axis=1)  # (G, K)
    total, best = count.sum(0), count.argmax(0)
    inside = count.max(0)
    shown = (total > 0) & ~histograms.unlabelled & ~histograms.background
    iou = inside / np.maximum(visible[best, view] + total - inside, 1.0)
    say = (inside / np.maximum(total, 1.0)) ** 2
    mask = np.cumsum(~histograms.unlabelled)  # column of Observations
    return [
        MaskMatch(*row)
        for row in zip(*(values[shown].tolist() for values in (best, mask, view, iou, say)), strict=True)
    ]


def vote(
    neighbor: IntArray,
    prior: IntArray,
    instances: int,
    observed: Observations,
    matches: list[MaskMatch],
    smooth: bool,
) -> tuple[IntArray, FloatArray]:
    """Returns the instance (P,) int32 of every point, NONE = none, and the share (P,) float32 of the votes it won by.

    neighbor (P, k) is every point's nearest points, itself first; prior (P,) the group its anchor was merged into.
    With `smooth`, votes are averaged over the neighbours.
    """
    instance_of = np.full(len(observed.view_of_column), instances, np.int64)
    say = np.ones(len(instance_of), np.float32)
    for m in matches:
        instance_of[m.column], say[m.column] = m.instance, m.say
    prior = np.where(prior >= 0, prior, instances)
    votes = tally(prior, instances, instance_of, say, observed)
    if smooth:
        n, k = neighbor.shape
        start, entry = np.arange(0, n * k + 1, k, dtype=np.int32), np.full(n * k, 1.0 / k, np.float32)
        votes = csr_matrix((entry, neighbor.ravel().astype(np.int32), start), shape=(n, n)) @ votes
    winner, share = winners(votes)
    return np.where(winner == instances, NONE, winner).astype(np.int32), share.astype(np.float32)


def tally(
    prior: IntArray,
    instances: int,
    instance_of: IntArray,
    say: FloatArray,
    observed: Observations,
) -> csr_matrix:
    """Returns (P, instances + 1) float32 shares of the votes of all points; the last column is "none".

    prior (P,) the group of a point, `instances` = none; instance_of (M,) likewise of every column of `observed`, and
    say (M,) how loud it speaks.
    """
    parts = [Rows.of(np.zeros((0, instances + 1), np.float32))]
    rows = np.arange(len(prior))
    for some in np.split(rows, np.arange(CHUNK, len(rows), CHUNK)):
        votes = counting.tally(observed.mask, some, instance_of, say, instances, HALF)
        total, mine = votes.sum(1), (np.arange(len(some)), prior[some])
        prior_votes = HALF * (1.0 + (votes[mine] > 0) * total)
        votes[mine] += prior_votes
        cast = Rows.of(votes)
        parts.append(cast._replace(data=cast.data / np.repeat(total + prior_votes, cast.length)))
    data, column, length = (np.concatenate(part) for part in zip(*parts, strict=True))
    start = np.cumsum(np.append(0, length), dtype=np.int32)
    return csr_matrix((data, column, start), shape=(len(rows), instances + 1))


class Rows(NamedTuple):
    """Some rows of a sparse matrix; scipy's own way from a dense one passes through coordinates that it sorts."""

    data: FloatArray  # (E,) entries, row by row
    column: IntArray  # (E,)
    length: IntArray  # (R,) entries of each row

    @classmethod
    def of(cls, dense: FloatArray) -> Rows:
        """Of dense (R, M) all but the zeros."""
        filled = dense != 0
        place = np.flatnonzero(filled)
        column = place.astype(np.int32) % np.int32(dense.shape[1])
        return cls(dense.ravel()[place], column, np.count_nonzero(filled, axis=1))


def winners(votes: csr_matrix) -> tuple[IntArray, FloatArray]:
    """(R,) column of the largest share of each row, of equals the first, and that share; no row is empty."""
    if not votes.shape[0]:
        return np.zeros(0, np.int32), np.zeros(0, np.float32)
    start = votes.indptr[:-1]
    top = np.maximum.reduceat(votes.data, start)
    largest = votes.data == np.repeat(top, np.diff(votes.indptr))
    return np.minimum.reduceat(np.where(largest, votes.indices, votes.shape[1]), start), top


MIN_IOU = (
    0.2  # a mask shows an object, and a later run finds it again, if the points of both overlap at least this much
)
SELDOM = 0.4  # of the views that see it on masks, in which a thing is recognised at least ...
ENOUGH = 5  # ... unless it is in so many: errors that repeat hide things in most views


def seldom_recognised(matches: list[MaskMatch], histograms: MaskHistograms, config: InstanceConfig) -> BoolArray:
    """(G,) groups that are rather patches of others: most views give what is there to a mask that shows more.

    Those that under min_views views recognise are left out: they are noise anyway, and their points hold on to each
    other. matches as of `assign_masks`, histograms of the groups.
    """
    labelled = (histograms.dominant >= 0).sum(1)
    views = recognitions(matches, len(labelled))
    seldom: BoolArray = (views >= config.min_views) & (views < np.minimum(SELDOM * labelled, ENOUGH))
    return seldom


def recognitions(matches: list[MaskMatch], groups: int) -> IntArray:
    """(G,) views in which a mask shows the group."""
    pairs = {(m.instance, m.view) for m in matches if m.iou > MIN_IOU}
    return np.bincount(np.array([group for group, _ in pairs], np.int64), minlength=groups)

"""Which groups are things: masks show them as one, in enough of the views that see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from ig_ros.config import InstanceConfig
from ig_ros.instances.mask_histograms import MaskHistograms
from ig_ros.instances.rerun_memory import Kept
from ig_ros.instances.view_lookup import Seen
from ig_ros.instances.visibility import Observations
from ig_ros.raster import counting
from ig_ros.types import BoolArray, FloatArray, IntArray

NONE = -1
CHUNK = 4096  # points whose votes are counted at once: few of the instances get any, so they are kept sparse
NONE_WEIGHT = 0.5  # a view without a mask there speaks half as loud: segmenters miss more than they invent
PRIOR_WEIGHT = 0.5  # the group a point was merged into, in views ...
PRIOR_SHARE = 0.4  # ... and as a share of all its votes: errors that repeat are no majority against the merge ...
SAY_STEPS = 4  # how loud a mask speaks, in steps: what hardly changed must not make points vote anew
BACKING = 0.3  # ... of a point that this share of the votes gives to its group; with less backing the prior is less


@dataclass(frozen=True, slots=True)
class MaskMatch:
    """One mask of one view recognised as an instance."""

    instance: int
    column: int  # of Observations
    view: int
    iou: float  # of the points of the mask and of the instance's visible points
    say: float = 1.0  # how loud its points vote for the instance: less where it shows much else


def assign_masks(histograms: MaskHistograms) -> list[MaskMatch]:
    """Give each mask to the group owning most of its points; histograms are those of the groups."""
    count, view = histograms.count, histograms.view_of_column
    if not count.size:
        return []
    visible = np.add.reduceat(count, histograms.start, axis=1)  # (G, K)
    total, best = count.sum(0), count.argmax(0)
    inside = count.max(0)
    shown = (total > 0) & ~histograms.unlabelled
    iou = inside / np.maximum(visible[best, view] + total - inside, 1.0)
    say = np.round(SAY_STEPS * (inside / np.maximum(total, 1.0)) ** 2) / SAY_STEPS
    mask = np.cumsum(~histograms.unlabelled)  # column of Observations
    return [
        MaskMatch(*row)
        for row in zip(*(values[shown].tolist() for values in (best, mask, view, iou, say)), strict=True)
    ]


class Ballot:
    """Lets every point vote; remembers the last run, so that only points vote anew whose votes may have changed."""

    def __init__(self) -> None:
        self._prior: IntArray = np.zeros(0, np.int64)
        self._instances = 0
        self._masks: list[IntArray] = []  # (M,) instance of each mask, by view ...
        self._says: list[FloatArray] = []  # ... and how loud it spoke
        self._winner: IntArray = np.zeros(0, np.int32)
        self._share: FloatArray = np.zeros(0, np.float32)

    def vote(
        self,
        near: tuple[IntArray, BoolArray],
        prior: IntArray,
        instances: int,
        seen: Seen,
        matches: list[MaskMatch],
        kept: Kept,
        config: InstanceConfig,
    ) -> tuple[IntArray, FloatArray]:
        """Instance (P,) int32 of every point, NONE = none, and the share (P,) float32 of the votes it won by.

        near is every point's nearest points (P, k), itself first, and (P,) whether they are those of the last run;
        prior (P,) the group its anchor was merged into. Votes are averaged over these vote_rounds times.
        """
        (neighbor, same), observed, n = near, seen.observed, len(prior)
        instance_of = np.full(len(observed.view_of_column), instances, np.int64)
        say = np.ones(len(instance_of), np.float32)
        for m in matches:
            instance_of[m.column], say[m.column] = m.instance, m.say
        prior = np.where(prior >= 0, prior, instances)
        first = np.searchsorted(observed.view_of_column[1:], np.arange(1, len(observed.mask)))
        views = len(observed.mask)  # without views np.split makes a part too many
        masks: list[IntArray] = [*np.split(instance_of[1:], first)[:views]]
        says: list[FloatArray] = [*np.split(say[1:], first)[:views]]
        name, dirty = self._changed(prior, instances, masks, says, seen, kept)
        rounds = config.vote_rounds if n > config.vote_neighbors else 0
        for _ in range(rounds):
            dirty = dirty | ~same | _any_of(dirty, neighbor)
        levels = [np.flatnonzero(dirty)]
        for _ in range(rounds):
            asked = np.zeros(n, bool)
            asked[neighbor[levels[-1]]] = True
            levels.append(np.flatnonzero(asked))
        votes = tally(levels[-1], prior, instances, instance_of, say, observed)
        for inner, outer in zip(levels[-2::-1], levels[:0:-1], strict=True):
            votes = _average(neighbor[inner], outer, n) @ votes
        old = np.flatnonzero(~dirty)
        winner, share = np.zeros(n, np.int32), np.zeros(n, np.float32)
        winner[old], share[old] = name[self._winner[kept.point[old]]], self._share[kept.point[old]]
        winner[levels[0]], share[levels[0]] = winners(votes)
        self._prior, self._instances, self._masks, self._says = prior, instances, masks, says
        self._winner, self._share = winner, share
        return np.where(winner == instances, NONE, winner).astype(np.int32), share

    def _changed(
        self,
        prior: IntArray,
        instances: int,
        masks: list[IntArray],
        says: list[FloatArray],
        seen: Seen,
        kept: Kept,
    ) -> tuple[IntArray, BoolArray]:
        """Today's number of each instance of the last run, and which points (P,) have other votes than then."""
        dirty = ~seen.steady
        if not len(self._prior):
            return np.zeros(0, np.int64), np.ones(len(prior), bool)
        old = np.flatnonzero(kept.point >= 0)
        before = self._prior[kept.point[old]]
        name = _names(before, prior[old], self._instances, instances)
        dirty[old] |= name[before] != prior[old]
        other = [np.zeros(1, bool)]  # masks that speak otherwise; where a view is new, nobody is steady anyway
        for k, (j, owner) in enumerate(zip(kept.view.tolist(), masks, strict=True)):
            same = np.ones(len(owner), bool) if j < 0 else (name[self._masks[j]] == owner) & (self._says[j] == says[k])
            other.append(~same)
        return name, dirty | counting.shown_on(seen.observed.mask, np.concatenate(other))


def _names(before: IntArray, now: IntArray, old: int, new: int) -> IntArray:
    """(old + 1,) number of each instance of the last run today, -1 = it is no more; the last is "none" in both.

    before, now (n,) the instances of the same points in both runs: two are one if each has most of the other's.
    """
    table = csr_matrix((np.ones(len(now), np.int32), (before, now)), shape=(old + 1, new + 1))
    table.sum_duplicates()
    order = np.argsort(table.data, kind="stable")
    before, now = np.repeat(np.arange(old + 1), np.diff(table.indptr))[order], table.indices[order]
    heir, parent = np.full(old + 1, -1), np.full(new + 1, -1)
    heir[before], parent[now] = now, before  # the largest is written last
    name = np.where((heir >= 0) & (parent[heir] == np.arange(old + 1)), heir, -1)
    name[name == new] = -1
    name[old] = new
    return name


def tally(
    rows: IntArray,
    prior: IntArray,
    instances: int,
    instance_of: IntArray,
    say: FloatArray,
    observed: Observations,
) -> csr_matrix:
    """(R, instances + 1) float32 shares of the votes of points `rows` (R,); the last column is "none".

    prior (P,) the group of a point, `instances` = none; instance_of (M,) likewise of every column of `observed`, and
    say (M,) how loud it speaks.
    """
    parts = [Rows.of(np.zeros((0, instances + 1), np.float32))]
    for some in np.split(rows, np.arange(CHUNK, len(rows), CHUNK)):
        votes = counting.tally(observed.mask, some, instance_of, say, instances, NONE_WEIGHT)
        total, mine = votes.sum(1), (np.arange(len(some)), prior[some])
        backing = np.clip(votes[mine] / (BACKING * np.maximum(total, 1.0)), 0.0, 1.0)
        prior_votes = PRIOR_WEIGHT + PRIOR_SHARE * backing * total
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


def _any_of(marked: BoolArray, neighbor: IntArray) -> BoolArray:
    """(P,) whether any neighbour (P, k) of a point is marked (P,); by column, as numpy is slow on short rows."""
    found = np.zeros(len(neighbor), bool)
    for column in neighbor.T:
        found |= marked[column]
    return found


def _average(neighbor: IntArray, rows: IntArray, points: int) -> csr_matrix:
    """Mean over the neighbours (n, k) of `points` points, which are among `rows` (r,), as a matrix (n, r)."""
    n, k = neighbor.shape
    place = np.zeros(points, np.int32)
    place[rows] = np.arange(len(rows))
    start = np.arange(0, n * k + 1, k, dtype=np.int32)
    return csr_matrix((np.full(n * k, 1.0 / k, np.float32), place[neighbor].ravel(), start), shape=(n, len(rows)))


def winners(votes: csr_matrix) -> tuple[IntArray, FloatArray]:
    """(R,) column of the largest share of each row, of equals the first, and that share; no row is empty."""
    if not votes.shape[0]:
        return np.zeros(0, np.int32), np.zeros(0, np.float32)
    start = votes.indptr[:-1]
    top = np.maximum.reduceat(votes.data, start)
    largest = votes.data == np.repeat(top, np.diff(votes.indptr))
    return np.minimum.reduceat(np.where(largest, votes.indices, votes.shape[1]), start), top


MIN_IOU = 0.2  # a mask shows an object if its points and the object's visible ones overlap at least this much
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

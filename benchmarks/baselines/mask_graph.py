"""Clustering of a graph of masks by their view consensus rate, on a depth cloud [MaskClustering, CVPR 2024].

A node is a mask, later a cluster of masks. Views that see two nodes observe the pair; those in which one mask contains
both support that they are one thing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.baselines.adjacency import components
from benchmarks.baselines.base import Material, Prediction
from benchmarks.baselines.votes import NONE, most_voted
from ig_ros.instances.instantiation import drop_small
from ig_ros.instances.visibility import Observations
from ig_ros.types import IntArray


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes by the views that see them and the masks that contain them."""

    seen: csr_matrix  # (C, K) 1 where a view sees the node
    inside: csr_matrix  # (C, M) 1 where a mask contains the node

    def merged(self, cluster: IntArray) -> Nodes:
        """The union over each cluster (C,) 0.. of nodes."""
        count = int(cluster.max(initial=-1)) + 1
        gather = csr_matrix((np.ones(len(cluster)), (cluster, np.arange(len(cluster)))), shape=(count, len(cluster)))
        return Nodes(binary(gather @ self.seen), binary(gather @ self.inside))


@dataclass(frozen=True, slots=True)
class MaskGraph:
    """Iterative clustering of masks with a falling number of observers asked for, then votes of the clusters."""

    name: str = "mask graph clustering"
    visible: float = 0.3  # share of a mask's points a view must see to observe it
    contained: float = (
        0.7  # share of those that must lie in one mask to be contained: 0.8 there, borders are ragged here
    )
    undersegmented: float = 0.3  # masks cut apart in more of the views that see them are not used
    rate: float = 0.9  # view consensus rate of an edge
    percentiles: tuple[int, ...] = tuple(range(95, -5, -5))  # of observers per pair: those asked for, one per round
    least_masks: int = 2  # smaller clusters are noise
    min_points: int = 20
    needs_depth: bool = True

    def __call__(self, material: Material, random: np.random.Generator) -> Prediction:  # noqa: ARG002 - the interface's
        """Deterministic: nothing is drawn."""
        cloud, observed = material.measured.points, material.measured.observed
        n, masks = len(cloud.xyz), len(observed.pixels)
        if masks == 1 or not n:
            return Prediction(cloud.xyz, np.full(n, NONE))
        falls = mask_points(observed)
        nodes, used = self.masks_as_nodes(observed, falls)
        cluster = self.clustered(nodes)
        size = np.bincount(cluster, minlength=1)
        node_of = np.full(masks, NONE, np.int64)
        node_of[used] = np.where(size[cluster] >= self.least_masks, cluster, NONE)
        ids = most_votes(falls, node_of)
        own = ids >= 0
        ids[own] = drop_small(ids[own], self.min_points)
        return Prediction(cloud.xyz, ids)

    def masks_as_nodes(self, observed: Observations, falls: csr_matrix) -> tuple[Nodes, IntArray]:
        """Every usable mask as a node, and their columns (C,) of `observed`; falls (N, M) says which points lie in."""
        shared = (falls.T @ falls).tocoo()  # (M, M) points two masks have in common
        views = len(observed.mask)
        visibility = csr_matrix(observed.mask.T >= 0).astype(np.float32)  # (N, K)
        seen_points = (falls.T @ visibility).toarray()  # (M, K) of the points of a mask, those a view sees
        points = np.asarray(falls.sum(axis=0)).ravel()
        seen = (seen_points >= self.visible * np.maximum(points, 1)[:, None]) & (points > 0)[:, None]
        view = observed.view_of_column
        part = shared.data / np.maximum(seen_points[shared.row, view[shared.col]], 1)
        holds = (part >= self.contained) & seen[shared.row, view[shared.col]]
        row, col = shared.row[holds], shared.col[holds]
        # A view that sees a mask and has it in none of its own either cut it apart or missed it; only the first
        # speaks against the mask.
        held = np.zeros((len(points), views), bool)
        held[row, view[col]] = True
        labelled = np.zeros_like(seen_points)
        np.add.at(labelled, (shared.row, view[shared.col]), shared.data)
        cut = seen & ~held & (labelled >= self.contained * seen_points)
        good = (points > 0) & (cut.sum(1) <= self.undersegmented * np.maximum((held | cut).sum(1), 1))
        good[0] = False  # column 0 is no mask
        # An undersegmented mask holds several things: its view says nothing about what lies in it. Nor does a view
        # that cut the mask apart: segmenters do that to every thing in a tenth of the frames.
        keep = good[row] & good[col]
        row, col = row[keep], col[keep]
        inside = csr_matrix((np.ones(len(row)), (row, col)), shape=(len(points), len(points)))
        told = binary(csr_matrix((np.ones(len(row)), (row, view[col])), shape=(len(points), views)))
        used = good.nonzero()[0]
        return Nodes(told[used], inside[used]), used

    def clustered(self, nodes: Nodes) -> IntArray:
        """(C,) cluster of every node, numbered 0.. ."""
        cluster = np.arange(nodes.seen.shape[0])
        pairs = (nodes.seen @ nodes.seen.T).data
        pairs = pairs[pairs > 0]
        for percentile in self.percentiles if len(pairs) else ():
            least = max(float(np.percentile(pairs, percentile)), 1.0)
            joined = components(nodes.seen.shape[0], self.edges(nodes, least))
            cluster = joined[cluster]
            nodes = nodes.merged(joined)
        return cluster

    def edges(self, nodes: Nodes, least: float) -> IntArray:
        """(E, 2) pairs of nodes with at least so many observers and a sufficient consensus rate."""
        supporters = (nodes.inside @ nodes.inside.T).tocoo()
        observers = np.asarray((nodes.seen @ nodes.seen.T).tocsr()[supporters.row, supporters.col]).ravel()
        good = (supporters.row < supporters.col) & (observers >= least) & (supporters.data >= self.rate * observers)
        return np.stack([supporters.row[good], supporters.col[good]], axis=1).astype(np.int64)


def mask_points(observed: Observations) -> csr_matrix:
    """(N, M) 1 where a point falls on a mask."""
    points = [(mask > 0).nonzero()[0] for mask in observed.mask]
    columns = np.concatenate([mask[p] for mask, p in zip(observed.mask, points, strict=True)])
    rows = np.concatenate(points)
    shape = (observed.mask.shape[1], len(observed.pixels))
    return csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)


def most_votes(falls: csr_matrix, node_of: IntArray) -> IntArray:
    """(N,) cluster most of whose masks a point falls on, -1 = none; node_of (M,) is the cluster of each mask."""
    known = (node_of >= 0).nonzero()[0]
    count = int(node_of.max(initial=NONE)) + 1
    if not count:
        return np.full(falls.shape[0], NONE, np.int64)
    gather = csr_matrix((np.ones(len(known), np.float32), (known, node_of[known])), shape=(len(node_of), count))
    return most_voted((falls @ gather).tocsr())


def binary(matrix: csr_matrix) -> csr_matrix:
    """The same entries, each 1."""
    matrix = matrix.tocsr()
    matrix.eliminate_zeros()
    matrix.data = np.ones_like(matrix.data)
    return matrix

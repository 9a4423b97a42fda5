"""Bottom-up instantiation from start to end: anchors in, objects out. Their number is found, never given."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from ig_ros.config import InstanceConfig
from ig_ros.instances.background import with_background
from ig_ros.instances.boxes import upright_box
from ig_ros.instances.groups import in_order, map_groups
from ig_ros.instances.mask_histograms import MaskHistograms
from ig_ros.instances.merging import join_coplanar, merge_sub_objects
from ig_ros.instances.observation import GaussianObservations, PreparedView, observe_gaussians, prepare_views
from ig_ros.instances.over_segmentation import Children, PointSet, over_segment
from ig_ros.instances.region_graph import find_boundaries, nearest_points
from ig_ros.instances.sub_object_splitting import split_sub_objects
from ig_ros.instances.tracking import ObjectTracker
from ig_ros.instances.visibility import LabelledView, Observations, observe
from ig_ros.instances.voting import MIN_IOU, NONE, MaskMatch, assign_masks, recognitions, seldom_recognised, vote
from ig_ros.types import FloatArray, IntArray, ObjectInstance


@dataclass(frozen=True, slots=True)
class Instantiation:
    """Objects without words yet, and which masks of which view show them."""

    child_ids: IntArray  # (G,) int32 stable id, -1 = none
    child_confidence: FloatArray  # (G,) float32
    objects: tuple[ObjectInstance, ...]  # labels still empty
    matches: tuple[tuple[MaskMatch, ...], ...]  # per object, masks accepted as showing it
    observed: Observations  # columns the matches refer to


class Instantiator:
    """Groups anchors into objects [IG Alg. 1], run after run: docs/method.md, section 4.

    Between runs it keeps what its views show, which halves the time of a rerun (benchmarks/bench/instantiation.py).
    Not for two threads at once.
    """

    def __init__(self) -> None:
        self._views: list[PreparedView] = []

    def run(
        self,
        points: PointSet,
        children: Children,
        views: Sequence[LabelledView],
        tracker: ObjectTracker,
        config: InstanceConfig,
        exhaustive: str = "true",
    ) -> Instantiation:
        """Returns today's objects; `tracker` is updated. `exhaustive` tells what no mask says, see `with_background`.

        1 look up the mask of every Gaussian in every view, 2 over-segment them, 3 group the parts, 4 give masks to
        groups, 5 let every Gaussian vote, 6 drop noise, 7 keep the ids of old objects, 8 fit boxes.
        """
        xyz, anchor = children.xyz, children.anchor
        if not len(xyz):
            return Instantiation(np.zeros(0, np.int32), np.zeros(0, np.float32), (), (), observe(xyz, [], 0.0))
        with ThreadPoolExecutor(1) as aside:  # what needs no masks is done beside looking them up
            coarse = aside.submit(over_segment, points, config, use_feature=True)
            near = aside.submit(nearest_points, xyz, min(config.vote_neighbors, len(xyz)))
            self._views = prepare_views(views, self._views, config.depth_tolerance)
            seen = observe_gaussians(xyz, self._views, config.depth_tolerance, config.min_views)
            seen = replace(seen, observed=with_background(seen.observed, exhaustive))
            sub_objects = split_sub_objects(coarse.result()[anchor], xyz, seen.observed, seen.normal, config.min_points)
            group, histograms = _group(points, children, sub_objects, seen, config)
        matches = assign_masks(histograms)
        patch = seldom_recognised(matches, histograms, config)
        if patch.any():  # its points vote for what is around it
            remaining = np.where(patch, NONE, np.arange(len(patch)))
            group, histograms = np.append(remaining, NONE)[group], histograms.grouped(remaining, len(patch))
            matches = assign_masks(histograms)
        count = len(histograms.count)
        owner, share = vote(
            near.result(), group, count, seen.observed, matches, smooth=len(xyz) > config.vote_neighbors
        )
        accepted = [m for m in matches if m.iou > MIN_IOU]
        owner, keep = drop_unseen(owner, anchor, accepted, count, config)
        ids = tracker.rename(points.uid, anchor_owner(owner, anchor, len(points.xyz)), len(keep))
        shown: list[list[MaskMatch]] = [[] for _ in range(count)]
        for match in accepted:
            shown[match.instance].append(match)
        showing = tuple(tuple(shown[old]) for old in keep)
        boxes = map_groups(lambda rows: upright_box(xyz[rows]), owner, len(keep))
        size = np.bincount(owner[owner >= 0], minlength=len(keep))
        sure = np.bincount(owner[owner >= 0], share[owner >= 0], len(keep)) / np.maximum(size, 1)
        objects = tuple(
            ObjectInstance(int(ids[i]), "", float(sure[i]), len({m.view for m in showing[i]}), *box, int(size[i]))
            for i, box in enumerate(boxes)
        )
        child_ids = np.where(owner >= 0, np.append(ids, NONE)[owner], NONE).astype(np.int32)
        return Instantiation(child_ids, share, objects, showing, seen.observed)


def _group(
    points: PointSet,
    children: Children,
    sub_objects: IntArray,
    seen: GaussianObservations,
    config: InstanceConfig,
) -> tuple[IntArray, MaskHistograms]:
    """Returns (G,) the group of every Gaussian, NONE = noise, and the groups' histograms.

    1 find where sub-objects touch and how, 2 merge while the witnesses agree, 3 join parts of one plane across gaps.
    """
    xyz, anchor = children.xyz, children.anchor
    parts = int(sub_objects.max()) + 1
    with ThreadPoolExecutor(1) as aside:  # what needs no borders is done beside finding them
        counted = aside.submit(MaskHistograms, sub_objects, parts, seen.observed, config)
        averaged = aside.submit(mean_by, sub_objects, points.feature[anchor])
        reach = 2.0 * np.maximum(points.edge[anchor], config.voxel)
        edges = find_boundaries(xyz, seen.normal, points.color[anchor], reach, sub_objects, config)
        histograms, feature = counted.result(), averaged.result()
    merged = merge_sub_objects(sub_objects, edges, feature, histograms, config)
    group = drop_small(merged, config.min_anchors, np.bincount(sub_objects))
    count = int(group.max(initial=NONE)) + 1
    spacing = float(np.median(points.edge))
    part_of = join_coplanar(xyz, group[sub_objects], spacing, histograms.grouped(group, count), config)
    group = in_order(np.append(NONE, np.append(part_of, NONE)[group]))[1:] - 1
    return group[sub_objects], histograms.grouped(group, int(group.max(initial=NONE)) + 1)


def mean_by(labels: IntArray, value: FloatArray) -> FloatArray:
    """(S, F) mean of value (P, F) over the points of each label (P,)."""
    size = np.maximum(np.bincount(labels), 1).astype(np.float64)
    mean: FloatArray = np.stack([np.bincount(labels, weights=f) for f in value.T], axis=1) / size[:, None]
    return mean


def drop_small(group: IntArray, min_points: int, size: IntArray | None = None) -> IntArray:
    """(S,) groups numbered from 0 in order, those under min_points become NONE; a row is size[s] points or 1."""
    total = np.bincount(group, weights=size)
    big = total >= max(min_points, 1)
    number: IntArray = np.where(big, np.cumsum(big) - 1, NONE)[group]
    return number


def drop_unseen(
    owner: IntArray, anchor: IntArray, matches: list[MaskMatch], count: int, config: InstanceConfig
) -> tuple[IntArray, list[int]]:
    """Drop instances with under min_views views or min_anchors anchors; returns (owner, old numbers)."""
    views = recognitions(matches, count)
    anchors = np.bincount(_owners(owner, anchor, int(anchor.max(initial=-1)) + 1).indices, minlength=count)
    good = (views >= config.min_views) & (anchors >= config.min_anchors)
    number = np.append(np.where(good, np.cumsum(good) - 1, NONE), NONE)
    return number[owner], np.flatnonzero(good).tolist()


def anchor_owner(owner: IntArray, anchor: IntArray, anchors: int) -> IntArray:
    """(N,) instance of each anchor: that of most of its children, -1 where none has one."""
    table = _owners(owner, anchor, anchors)
    order = np.argsort(table.data, kind="stable")
    result = np.full(anchors, NONE, np.int64)
    result[np.repeat(np.arange(anchors), np.diff(table.indptr))[order]] = table.indices[order]
    return result


def _owners(owner: IntArray, anchor: IntArray, anchors: int) -> csr_matrix:
    """(N, instances) number of children of every anchor in every instance."""
    own = np.flatnonzero(owner >= 0)
    shape = (anchors, int(owner.max(initial=-1)) + 1)
    table = csr_matrix((np.ones(len(own), np.int32), (anchor[own], owner[own])), shape=shape)
    table.sum_duplicates()
    return table

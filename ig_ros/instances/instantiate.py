"""Bottom-up instantiation from start to end: anchors in, objects out. Their number is found, never given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ig_ros.config import InstanceConfig
from ig_ros.instances.boundary import boundaries, surface_normals
from ig_ros.instances.boxes import upright_box
from ig_ros.instances.consensus import merge_sub_objects
from ig_ros.instances.identity import Identity
from ig_ros.instances.observations import LabelledView, Observations, observe
from ig_ros.instances.pieces import join_pieces
from ig_ros.instances.purity import purify
from ig_ros.instances.subobjects import PointSet, over_segment
from ig_ros.instances.votes import NONE, MaskMatch, assign_masks, vote
from ig_ros.types import FloatArray, IntArray, ObjectInstance

# Half-space features (S, F) of sub-objects, given each Gaussian's sub-object (G,): trained further [IG eq. 5].
Refine = Callable[[IntArray, FloatArray], FloatArray]

MIN_IOU = 0.2  # a mask shows an object if its points and the object's visible ones overlap at least this much


@dataclass(frozen=True, slots=True)
class Children:
    """The Gaussians whose instance is asked for."""

    xyz: FloatArray  # (G, 3) m
    anchor: IntArray  # (G,) row of PointSet


@dataclass(frozen=True, slots=True)
class Instantiation:
    """Objects without words yet, and which masks of which view show them."""

    child_ids: IntArray  # (G,) int32 stable id, -1 = none
    child_confidence: FloatArray  # (G,) float32
    objects: tuple[ObjectInstance, ...]  # labels still empty
    matches: tuple[tuple[MaskMatch, ...], ...]  # per object, masks accepted as showing it
    observed: Observations  # columns the matches refer to


def instantiate(
    points: PointSet,
    children: Children,
    views: Sequence[LabelledView],
    identity: Identity,
    config: InstanceConfig,
    refine: Refine | None = None,
) -> Instantiation:
    """Group anchors into objects [IG Alg. 1 with the view-consensus witness, METHOD 4]; `identity` is updated.

    1 look up the mask of every Gaussian in every view, 2 group them, 3 give masks to groups, 4 let every Gaussian vote,
    5 drop noise, 6 keep the ids of old objects, 7 fit boxes.
    """
    observed = observe(children.xyz, views, config.depth_tolerance)
    group = _group(points, children, views, observed, config, refine)
    matches = assign_masks(group, observed)
    count = int(group.max(initial=NONE)) + 1
    owner, share = vote(children.xyz, group, count, observed, matches, config)
    accepted = [m for m in matches if m.iou > MIN_IOU]
    owner, kept = drop_unseen(owner, children.anchor, accepted, count, config)
    ids = identity.rename(points.uid, anchor_owner(owner, children.anchor, len(points.xyz)), len(kept))
    showing = tuple(tuple(m for m in accepted if m.instance == old) for old in kept)
    objects = tuple(
        _describe(int(ids[i]), children.xyz[owner == i], share[owner == i], len({m.view for m in showing[i]}))
        for i in range(len(kept))
    )
    child_ids = np.where(owner >= 0, np.append(ids, NONE)[owner], NONE).astype(np.int32)
    return Instantiation(child_ids, share, objects, showing, observed)


def _group(
    points: PointSet,
    children: Children,
    views: Sequence[LabelledView],
    observed: Observations,
    config: InstanceConfig,
    refine: Refine | None,
) -> IntArray:
    """(G,) group of every Gaussian, NONE = noise.

    1 over-segment the anchors, 2 split sub-objects in which the masks see two things, 3 find where they touch and how,
    4 merge while the witnesses agree, 5 join pieces of one surface across gaps.
    """
    anchor = children.anchor
    if not len(anchor):
        return np.zeros(0, np.int64)
    sub_objects = purify(over_segment(points, config, use_feature=True)[anchor], observed)
    size = np.maximum(np.bincount(sub_objects), 1).astype(np.float64)
    feature: FloatArray = (
        np.stack([np.bincount(sub_objects, weights=f[anchor]) for f in points.feature.T], axis=1) / size[:, None]
    )
    if refine is not None:
        feature = refine(sub_objects, feature)
    normal = surface_normals(children.xyz, views, config.depth_tolerance)
    reach = 2.0 * np.maximum(points.edge[anchor], config.voxel)
    edges = boundaries(children.xyz, normal, points.color[anchor], reach, sub_objects, config.voxel)
    merged = merge_sub_objects(sub_objects, edges, feature, observed, config)
    group = drop_small(merged[sub_objects], config.min_anchors)
    return join_pieces(children.xyz, group, float(np.median(points.edge)), observed, config)


def drop_small(group: IntArray, min_points: int) -> IntArray:
    """Number groups 0.. in order, those under min_points become NONE."""
    _, inverse, count = np.unique(group, return_inverse=True, return_counts=True)
    big = count >= min_points
    return np.where(big, np.cumsum(big) - 1, NONE)[inverse]


def drop_unseen(
    owner: IntArray, anchor: IntArray, matches: list[MaskMatch], count: int, config: InstanceConfig
) -> tuple[IntArray, list[int]]:
    """Drop instances with under min_views views or min_anchors anchors; returns (owner, old numbers)."""
    views = np.zeros(count, np.int64)
    for i, _ in {(m.instance, m.view) for m in matches}:
        views[i] += 1
    own = owner >= 0
    pairs = np.unique(np.stack([owner[own], anchor[own]], axis=1), axis=0)
    anchors = np.bincount(pairs[:, 0], minlength=count)
    good = (views >= config.min_views) & (anchors >= config.min_anchors)
    number = np.append(np.where(good, np.cumsum(good) - 1, NONE), NONE)
    return number[owner], np.flatnonzero(good).tolist()


def anchor_owner(owner: IntArray, anchor: IntArray, anchors: int) -> IntArray:
    """(N,) instance of each anchor: that of most of its children, -1 where none has one."""
    own = owner >= 0
    result = np.full(anchors, NONE, np.int64)
    if own.any():
        pairs, count = np.unique(np.stack([anchor[own], owner[own]], axis=1), axis=0, return_counts=True)
        order = np.argsort(count, kind="stable")
        result[pairs[order, 0]] = pairs[order, 1]
    return result


def _describe(identity: int, xyz: FloatArray, share: FloatArray, views: int) -> ObjectInstance:
    pose, size = upright_box(xyz)
    return ObjectInstance(identity, "", float(share.mean()), views, pose, size, len(xyz))

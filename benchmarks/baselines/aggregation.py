"""Bottom-up aggregation on one trained map, the paper's way and with its parts left out [IG 3.3, Tables 5, 8-13].

Over-segment the anchors, link sub-objects that satisfy every condition in use, take connected components. No mask is
looked at after training: what the trained features do not know, these rows do not know.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.baselines.adjacency import components, voxel_edges
from benchmarks.baselines.base import Material, Prediction
from ig_ros.instances import PointSet
from ig_ros.instances.instantiation import drop_small
from ig_ros.instances.over_segmentation import over_segment
from ig_ros.types import FloatArray, IntArray

LLOYD_STEPS = 0  # of k-means after farthest point sampling: as the authors


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Sub-objects, edges, connected components; every condition in use must hold on an edge."""

    name: str
    use_feature_edge: bool = True  # mean features within gamma
    use_voxel_edge: bool = True  # voxel sets share a voxel or a face
    use_color_edge: bool = False  # mean colours within color_gap
    joint: bool = True  # over-segment on position, colour and feature; else on position and colour
    sub_objects: int = 1000  # S
    voxel: float = 0.1  # m
    gamma: float = 0.15  # half space; the authors' on ScanNet, 0.1 in the paper
    color_gap: float = 0.05  # Euclidean in RGB, each channel in [0, 1]
    min_link: int = 10  # anchors: two smaller sub-objects are not linked
    min_anchors: int = 10  # smaller instances are noise
    needs_depth: bool = False

    def __call__(self, material: Material, random: np.random.Generator) -> Prediction:  # noqa: ARG002 - the interface's
        """Deterministic: nothing is drawn."""
        points, children = material.frozen.points, material.children
        if not len(points.xyz):
            return Prediction(children.xyz, np.zeros(0, np.int64))
        # A map of few anchors gets fewer sub-objects, or none were large enough to start a link.
        count = max(1, min(self.sub_objects, len(points.xyz) // (2 * self.min_link)))
        config = dataclasses.replace(material.config.instances, sub_objects=count)
        sub_object = over_segment(points, config, self.joint, LLOYD_STEPS)
        size = np.bincount(sub_object)
        edges = self.edges(points, sub_object, size)
        group = drop_small(components(len(size), edges)[sub_object], self.min_anchors)
        return Prediction(children.xyz, group[children.anchor])

    def edges(self, points: PointSet, sub_object: IntArray, size: IntArray) -> IntArray:
        """(E, 2) linked pairs of sub-objects; sub_object (N,) of each anchor, size (S,) in anchors."""
        feature, color = (means(v, sub_object, size) for v in (points.feature, points.color))
        if self.use_voxel_edge:
            edges = voxel_edges(points.xyz, sub_object, self.voxel)
        elif self.use_feature_edge:
            edges = close(feature, self.gamma)
        else:
            edges = close(color, self.color_gap if self.use_color_edge else np.inf)
        s, t = edges.T
        good = (size[s] >= self.min_link) | (size[t] >= self.min_link)
        if self.use_feature_edge:
            good &= np.linalg.norm(feature[s] - feature[t], axis=1) <= self.gamma
        if self.use_color_edge:
            good &= np.linalg.norm(color[s] - color[t], axis=1) <= self.color_gap
        return np.asarray(edges[good])


def means(values: FloatArray, label: IntArray, size: IntArray) -> FloatArray:
    """(S, F) mean of values (N, F) over each label 0..S-1, all of them present."""
    total = np.stack([np.bincount(label, weights=v, minlength=len(size)) for v in values.T], axis=1)
    return np.asarray(total / size[:, None])


def close(rows: FloatArray, gap: float) -> IntArray:
    """(E, 2) pairs of rows (S, F) within `gap` of each other."""
    return np.asarray(cKDTree(rows).query_pairs(gap, output_type="ndarray"), np.int64).reshape(-1, 2)

"""Merging touching sub-objects while the views agree that they are one thing: the best edge first.

Three witnesses judge an edge, and its score is the share of what they say in its favour.

* The masks of all views that see both sides (METHOD 4 a-d, after MaskClustering and PairGS): `both` = the summed weight
  of these views, `same` = of those in which both lie on one mask.
* The distance of the trained instance features [IG 3.3]: a belief that falls from 1 to 0 about `feature_gap` (gamma).
  It is a prior worth `feature_trust` views, which decides where no view does. Where it is clear it is worth a share of
  the views against segmenters that repeat their errors: where a small one differs from a large one (they swallow small
  things by what carries them), and where two are all but the same (they cut one thing in the same parts).
* The surface at the contact (boundary.py), worth a share of the views that see it: a crease between a thing and its
  support stays a crease. Few contacts are no evidence: two undecided ones are added.

The merging itself is ig_ros/raster/native/merging.cpp: a thousand merges, each of which judges all edges of a group
anew. test/reference/consensus.py is the same in plain Python.
"""

from __future__ import annotations

import numpy as np

from ig_ros.config import InstanceConfig
from ig_ros.instances.boundary import Boundaries
from ig_ros.instances.histograms import FULL_WEIGHT, MaskHistograms
from ig_ros.raster import MergeRule, merge_groups
from ig_ros.types import FloatArray, IntArray

GOES_ON = 0.58  # share of smooth contacts at which the surface is undecided: the middle between creases and noise
SHARPNESS = 12.0  # of that decision
SAME = 0.25  # of feature_gap: trained features closer than this are all but one ...
SAME_CLARITY = 0.7  # ... and say so less loud than views that all agree: before training all are one
ALIKE, UNLIKE = 2.0, 6.0  # times larger: parts of one thing, and what a segmenter takes for a part of its support
SMOOTH_TRUST = 0.15  # of boundary_trust's unit, for a surface that goes on: things may lie flush, so it says little


def merge_sub_objects(
    labels: IntArray, edges: Boundaries, feature: FloatArray, histograms: MaskHistograms, config: InstanceConfig
) -> IntArray:
    """(S,) group of every sub-object: best edge first while its score exceeds merge_threshold.

    labels (N,) sub-object of each point, edges the touching pairs, feature (S, F) mean half-space features,
    histograms of the sub-objects.
    """
    mass = np.bincount(labels, minlength=len(feature)) + 1e-9  # a number may be nobody's
    return merge_groups(
        _rule(config), mass, feature, histograms.masks, histograms.count, histograms.dominant, histograms.weight,
        edges.pairs, edges.smooth, edges.length,
    )  # fmt: skip


def _rule(config: InstanceConfig) -> MergeRule:
    return MergeRule(
        threshold=config.merge_threshold,
        feature_gap=config.feature_gap,
        feature_trust=config.feature_trust,
        feature_share=config.feature_share,
        boundary_trust=config.boundary_trust,
        goes_on=GOES_ON,
        sharpness=SHARPNESS,
        same=SAME,
        same_clarity=SAME_CLARITY,
        alike=ALIKE,
        unlike=UNLIKE,
        smooth_trust=SMOOTH_TRUST,
        least=config.min_points,
        dominance=config.dominance,
        full=FULL_WEIGHT,
    )

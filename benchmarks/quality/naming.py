"""What the instances of any method are called: one association for all rows, so that they differ by grouping alone."""

from __future__ import annotations

import numpy as np

from benchmarks.baselines import Material
from ig_ros.instances import Instantiation
from ig_ros.instances.mask_histograms import MaskHistograms
from ig_ros.instances.visibility import Observations
from ig_ros.instances.voting import MIN_IOU, assign_masks
from ig_ros.named_objects import name_objects
from ig_ros.types import FloatArray, IntArray, ObjectInstance

UNKNOWN = -1


def embed_instances(ids: IntArray, observed: Observations, material: Material) -> dict[int, FloatArray]:
    """Instance -> (E,) embedding from the masks that show it, as `find_objects` does for its own objects [OG 3.3].

    ids (N,) of the points of `observed`, -1 = none. Instances recognised in under min_views keyframes have none.
    """
    own = ids >= 0
    known, number = np.unique(ids[own], return_inverse=True)
    group = np.full(len(ids), -1, np.int64)
    group[own] = number
    histograms = MaskHistograms(group, len(known), observed, material.config.instances)
    matches = [m for m in assign_masks(histograms) if m.iou > MIN_IOU]
    showing = tuple(tuple(m for m in matches if m.instance == i) for i in range(len(known)))
    views = [len({m.view for m in own_matches}) for own_matches in showing]
    objects = tuple(_nameless(i, views[i]) for i in range(len(known)))
    found = Instantiation(group.astype(np.int32), np.ones(len(ids), np.float32), objects, showing, observed)
    least = material.config.instances.min_views
    named = name_objects(found, list(material.keyframes), material.encoder, material.config.language, least)
    return {
        int(i): row for i, row, seen in zip(known, named.embeddings, views, strict=True) if seen >= least and row.any()
    }


def classify(embeddings: dict[int, FloatArray], texts: FloatArray) -> dict[int, int]:
    """Instance -> row of texts (C, E) closest to its embedding by cosine; both are unit vectors."""
    return {i: int(np.argmax(texts @ row)) for i, row in embeddings.items() if row.any()}


def spread(ids: IntArray, value: dict[int, int]) -> IntArray:
    """(N,) value of each point's instance, UNKNOWN where it has none."""
    known, number = np.unique(ids, return_inverse=True)
    return np.array([value.get(int(i), UNKNOWN) for i in known], np.int64)[number]


def _nameless(number: int, views: int) -> ObjectInstance:
    return ObjectInstance(number, "", 1.0, views, np.eye(4), np.zeros(3), 0)

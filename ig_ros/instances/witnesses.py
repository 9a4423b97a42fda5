"""Witnesses of an edge: what, beside the masks, says whether two touching sub-objects are one thing.

docs/method.md, section 4c. The table is `registries.WITNESSES`, and docs/development.md shows how to add one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ig_ros.config import InstanceConfig
from ig_ros.registries import WITNESSES, load
from ig_ros.types import FloatArray

GOES_ON = 0.58  # share of smooth contacts at which the surface is undecided: the middle between creases and noise
SHARPNESS = 12.0  # of that decision
SAME = 0.25  # of feature_gap: trained features closer than this are all but one ...
SAME_CLARITY = 0.7  # ... and say so less loud than views that all agree: before training all are one
ALIKE, UNLIKE = 2.0, 6.0  # times larger: parts of one thing, and what a segmenter takes for a part of its support
SMOOTH_TRUST = 0.15  # of boundary_trust's unit, for a surface that goes on: things may lie flush, so it says little


@dataclass(frozen=True, slots=True)
class Edges:
    """n pairs of touching sub-objects, as witnesses see them."""

    views: FloatArray  # (n,) weight of the views that see both
    distance: FloatArray  # (n,) of their mean half-space features
    size: FloatArray  # (2, n) points of each of the two
    contacts: FloatArray  # (n, 2) smooth contacts, and all


class Witness(Protocol):
    """What stands in `registries.WITNESSES`: a class that judges edges."""

    def __init__(self, config: InstanceConfig) -> None:
        """Takes what it needs of the parameters."""

    def judge(self, edges: Edges) -> tuple[FloatArray, FloatArray]:
        """Returns the belief (n,) in [0, 1] that the two are one thing, and its weight (n,) in fully observed views."""


def make_witnesses(config: InstanceConfig) -> list[Witness]:
    """Returns every witness of the table, in its order."""
    return [load(target)(config) for target in WITNESSES.values()]


class FeatureWitness:
    """Trained half-space features: close means one thing [IG]."""

    def __init__(self, config: InstanceConfig) -> None:
        self._gap, self._trust, self._share = config.feature_gap, config.feature_trust, config.feature_share

    def judge(self, edges: Edges) -> tuple[FloatArray, FloatArray]:
        """Returns the belief (n,), and its weight (n,): it grows with the views where the features are clear."""
        clear = clarity(edges.distance, unequal(*edges.size), self._gap)
        return feature_prior(edges.distance, self._gap), self._trust + self._share * clear * edges.views


class SurfaceWitness:
    """The surface between the two: it goes on smoothly, or through a crease or a change of colour."""

    def __init__(self, config: InstanceConfig) -> None:
        self._trust = config.boundary_trust

    def judge(self, edges: Edges) -> tuple[FloatArray, FloatArray]:
        """Returns the belief (n,), and its weight (n,) as a share of the views."""
        belief, trust = surface_prior(edges.contacts, self._trust)
        return belief, trust * (edges.views + 1.0)


def surface_prior(contact: FloatArray, trust: float) -> tuple[FloatArray, FloatArray]:
    """Belief (n,) in [0, 1] that the surface goes on, and its weight (n,) per view, from (smooth, all) contacts (n, 2).

    Few contacts are no evidence: two undecided ones are added.
    """
    share = (contact[:, 0] + 2.0 * GOES_ON) / (contact[:, 1] + 2.0)
    belief = 1.0 / (1.0 + np.exp(-SHARPNESS * (share - GOES_ON)))
    return belief, np.where(belief < 0.5, trust, trust * SMOOTH_TRUST)


def unequal(size: FloatArray, others: FloatArray) -> FloatArray:
    """(n,) in [0, 1]: from nothing where the larger is up to ALIKE times the smaller to all from UNLIKE times on."""
    ratio = np.maximum(size / others, others / size)
    share: FloatArray = np.clip(np.log(ratio / ALIKE) / np.log(UNLIKE / ALIKE), 0.0, 1.0)
    return share


def clarity(distance: FloatArray, sizes: FloatArray, gap: float) -> FloatArray:
    """(n,) in [0, 1]: how surely a feature distance (n,) tells one thing from two; `sizes` (n,) is `unequal`."""
    same = SAME_CLARITY * np.clip(1.0 - distance / (SAME * gap + 1e-9), 0.0, 1.0)
    share: FloatArray = np.where(distance < gap, same, sizes)
    return share


def feature_prior(distance: FloatArray, gap: float) -> FloatArray:
    """Belief in [0, 1] that two sub-objects are one thing from their feature distance; 0.5 at `gap` (gamma)."""
    belief: FloatArray = 1.0 / (1.0 + np.exp(np.clip((distance - gap) / (0.25 * gap + 1e-9), -30, 30)))
    return belief

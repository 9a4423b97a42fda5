"""All rows of the quality tables by name."""

from __future__ import annotations

from benchmarks.baselines.aggregation import Aggregation
from benchmarks.baselines.base import Material, Method
from benchmarks.baselines.clustering import FeatureHdbscan
from benchmarks.baselines.codebook import TwoLevelCodebook
from benchmarks.baselines.consensus_cloud import ConsensusCloud
from benchmarks.baselines.fusion import MaskFusion
from benchmarks.baselines.language_field import LanguageField
from benchmarks.baselines.mask_graph import MaskGraph
from benchmarks.baselines.tracking import TrackingAssociation
from ig_ros.errors import ConfigError

# The paper's Table 5; gamma is 0.1 or 0.15, whichever of the authors' two serves the row.
AGGREGATIONS: tuple[Method, ...] = (
    Aggregation("colour + space aggregation", joint=False, use_feature_edge=False, use_color_edge=True),
    Aggregation("voxel-only aggregation", use_feature_edge=False),
    Aggregation("feature-only aggregation", use_voxel_edge=False, gamma=0.1),
    Aggregation("feature + voxel aggregation"),
)
ON_THE_MAP: tuple[Method, ...] = (  # on the Gaussians of the map
    FeatureHdbscan("HDBSCAN on features"),
    FeatureHdbscan("HDBSCAN on features + position", position_weight=0.3),
    TwoLevelCodebook("two-level codebook"),
    *AGGREGATIONS,
    LanguageField("per-Gaussian language"),
    TrackingAssociation("tracking association"),
)
ON_DEPTH: tuple[Method, ...] = (  # on a cloud of measured depth
    MaskFusion("plain mask fusion", seen_weight=1.0, merge_every=0, min_frames=1),
    MaskFusion("mask fusion"),
    MaskFusion("mask fusion + words", likeness_weight=0.5),
    MaskGraph("mask graph clustering"),
    ConsensusCloud("training-free consensus"),
)
METHODS = ON_THE_MAP + ON_DEPTH


def method(name: str) -> Method:
    """The method of that name. Raises ConfigError naming those there are."""
    for candidate in METHODS:
        if candidate.name == name:
            return candidate
    raise ConfigError(f"no method is called '{name}': there are {', '.join(m.name for m in METHODS)}")


def applicable(material: Material) -> tuple[Method, ...]:
    """The rows that can run on this map: without measured depth those that need it are left out."""
    return tuple(m for m in METHODS if material.has_depth or not m.needs_depth)

"""What every method of grouping gets, and what it returns: the rows of the quality table share one interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.baselines.cloud import MeasuredCloud
from ig_ros.config import Config
from ig_ros.instances import Children, LabelledView
from ig_ros.language import Encoder
from ig_ros.mapper import Mapper
from ig_ros.named_objects import FrozenMap, labelled_view
from ig_ros.scaffold import Keyframe
from ig_ros.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Material:
    """One trained map with its keyframes; a method takes what it needs and leaves the rest."""

    frozen: FrozenMap  # anchors (points), Gaussians (canonical), step
    keyframes: tuple[Keyframe, ...]  # those with masks: images, measured depth, mask labels, names, embeddings
    views: tuple[LabelledView, ...]  # the same keyframes as labels with the surface each pixel sees
    has_depth: bool  # a sensor measured the surfaces; else they are rendered from the map
    measured: MeasuredCloud  # what it measured in these keyframes: the map of those that train none
    config: Config
    encoder: Encoder | None = None
    classes: tuple[str, ...] = ()  # names asked for in the semantic tables

    def __post_init__(self) -> None:
        """Raises ValueError if the cloud is of other keyframes or views."""
        if self.measured.keyframes is not self.keyframes or self.measured.views is not self.views:
            raise ValueError("the measured cloud of a material has to be made of its own keyframes and views")

    @property
    def children(self) -> Children:
        """The exported Gaussians: xyz (G, 3) m and the anchor (G,) each belongs to."""
        g = self.frozen.gaussians
        return Children(g.means.cpu().numpy(), g.anchors.cpu().numpy())


@dataclass(frozen=True, slots=True)
class Prediction:
    """A labelled point cloud."""

    xyz: FloatArray  # (P, 3) m
    ids: IntArray  # (P,) instance, -1 = none
    classes: IntArray | None = None  # (P,) row of Material.classes, -1 = unknown; None: named by the instances' masks


class Method(Protocol):
    """One row of a table."""

    @property
    def name(self) -> str:
        """As printed."""

    @property
    def needs_depth(self) -> bool:
        """Cannot run from images and poses alone."""

    def __call__(self, material: Material, random: np.random.Generator) -> Prediction:
        """Group the map. Deterministic for a given generator state."""
        ...


def material_of(mapper: Mapper, classes: tuple[str, ...] = ()) -> Material:
    """Everything the methods may use of a trained mapper."""
    frozen = mapper.freeze()
    keyframes = tuple(k for k in frozen.keyframes if k.masks is not None)
    views = tuple(labelled_view(k, frozen.gaussians) for k in keyframes)
    has_depth = any(k.depth is not None and not k.estimated for k in keyframes)
    measured = MeasuredCloud(keyframes, views, mapper.config.instances.depth_tolerance)
    return Material(frozen, keyframes, views, has_depth, measured, mapper.config, mapper.encoder, classes)

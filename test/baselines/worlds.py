"""The ground with its two cards as a trained map: exact anchors, features, masks: what perfect training would leave."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from helpers import CARDS, ground_frame, ground_labels, look_at, small_config

from benchmarks.baselines import Material, Prediction
from benchmarks.baselines.cloud import MeasuredCloud
from ig_ros.instances import LabelledView, PointSet
from ig_ros.language import Encoder
from ig_ros.named_objects import FrozenMap
from ig_ros.scaffold.keyframes import Keyframe, make_keyframe
from ig_ros.types import FloatArray, GaussianBatch, IntArray

EDGE = 0.02  # m, between anchors
CHILDREN = 2
NAMES = {0: "ground", **{i: name for i, (name, _) in CARDS.items()}}


def anchors(features: Mapping[int, int], seed: int = 0, noise: float = 0.01) -> tuple[PointSet, IntArray]:
    """Anchors on a jittered grid and the card (N,) of each; `features` says which axis of feature space a card has."""
    random = np.random.default_rng(seed)
    x, y = (a.ravel() for a in np.meshgrid(*[np.arange(-0.5, 0.5, EDGE)] * 2))
    xyz = np.stack([x, y, 0 * x], axis=1) + random.uniform(-0.2, 0.2, (len(x), 3)) * EDGE * [1, 1, 0]
    card = ground_labels(xyz[:, 0], xyz[:, 1])
    axis = np.vectorize(features.__getitem__)(card)
    feature = np.eye(6)[axis] + noise * random.standard_normal((len(x), 6))
    feature /= 2 * np.linalg.norm(feature, axis=1, keepdims=True)
    color = np.array([[0.5, 0.5, 0.5], [1.0, 0.25, 0.25], [0.25, 0.35, 1.0]])[card]
    return PointSet(xyz, color, feature, np.full(len(x), EDGE), np.arange(len(x))), card


def keyframes(n: int, depth: bool, names: Mapping[int, str]) -> list[Keyframe]:
    """n views of the whole ground from above with exact masks; bare ground is mask 3."""
    config, found = small_config().input, []
    for k, x in enumerate(np.linspace(-0.2, 0.2, n)):
        frame = ground_frame(look_at((x, -0.1, 1.6), (0.0, 0.0, 0.0)), k, depth=depth)
        assert frame.masks is not None
        labels = np.where(frame.masks.labels > 0, frame.masks.labels, 3)
        masks = dataclasses.replace(frame.masks, labels=labels, names={i or 3: name for i, name in names.items()})
        found.append(make_keyframe(k, dataclasses.replace(frame, masks=masks), config))
    return found


def world(
    features: Mapping[int, int] | None = None,
    *,
    views: int = 5,
    depth: bool = True,
    names: Mapping[int, str] = NAMES,
    encoder: Encoder | None = None,
    classes: tuple[str, ...] = (),
    empty: bool = False,
) -> tuple[Material, IntArray]:
    """A material and the card (G,) of each of its Gaussians. Every card has its own feature unless `features` tells."""
    points, card = anchors(features or {0: 0, 1: 1, 2: 2})
    if empty:
        points = PointSet(*(getattr(points, f.name)[:0] for f in dataclasses.fields(points)))
        card = card[:0]
    owner = np.repeat(np.arange(len(card)), CHILDREN)
    n = len(owner)
    means = points.xyz[owner] + np.tile([[0.0, 0, 0], [0.002, 0, 0]], (len(card), 1))
    gaussians = GaussianBatch(
        torch.from_numpy(means).float(), torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1), torch.full((n, 3), 0.01),
        torch.full((n,), 0.9), torch.zeros((n, 9)), torch.from_numpy(owner),
    )  # fmt: skip
    shown = tuple(keyframes(views, depth, names))
    # The truth's own surfaces: with or without a sensor, a pixel sees z = 0.
    exact = keyframes(views, True, names)
    seen = tuple(LabelledView(k.camera, k.T_world_camera, k.masks.labels, k.depth.float().numpy()) for k in exact)  # type: ignore[union-attr]
    frozen = FrozenMap(100, 0, gaussians, points, shown)
    config = small_config()
    measured = MeasuredCloud(shown, seen, config.instances.depth_tolerance)
    return Material(frozen, shown, seen, depth, measured, config, encoder, classes), card[owner]


def with_keyframes(material: Material, keyframes: tuple[Keyframe, ...], views: tuple[LabelledView, ...]) -> Material:
    """The material with other keyframes and views."""
    measured = MeasuredCloud(keyframes, views, material.config.instances.depth_tolerance)
    return dataclasses.replace(material, keyframes=keyframes, views=views, measured=measured)


def best_iou(ids: IntArray, true: IntArray) -> float:
    """Best IoU of any predicted instance with the points (G,) bool."""
    return max(
        (float((m & true).sum() / (m | true).sum()) for m in (ids == i for i in np.unique(ids[ids >= 0]))), default=0.0
    )


def check(prediction: Prediction, material: Material) -> None:
    """What every method owes: one id per point, numbered 0.. without gaps, -1 = none."""
    xyz: FloatArray = prediction.xyz
    assert xyz.ndim == 2
    assert xyz.shape[1] == 3
    assert prediction.ids.shape == (len(xyz),)
    assert np.issubdtype(prediction.ids.dtype, np.integer)
    own = np.unique(prediction.ids[prediction.ids >= 0])
    assert own.tolist() == list(range(len(own)))
    assert prediction.ids.min(initial=-1) >= -1
    if prediction.classes is not None:
        assert prediction.classes.shape == (len(xyz),)
        assert prediction.classes.min(initial=-1) >= -1
        assert prediction.classes.max(initial=-1) < len(material.classes)

"""Labels of a map on points that are not the map's: by the nearest Gaussians, or learnt as a field."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import nn

from ig_ros.raster import top_contributor
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.types import BoolArray, FloatArray, GaussianBatch, IntArray

RADIUS = 0.05  # m: a target with no point of the map this near is unknown


@dataclass(frozen=True, slots=True)
class Transfer:
    """Ids on P given points."""

    ids: IntArray  # (P,) of the map, -1 = unknown
    confidence: FloatArray  # (P,) in [0, 1], 0 where unknown

    @classmethod
    def unknown(cls, points: int) -> Transfer:
        """Returns no id for any point."""
        return cls(np.full(points, -1), np.zeros(points))

    @property
    def coverage(self) -> float:
        """Share of the points that got an id, [0, 1]."""
        return float((self.ids >= 0).mean()) if len(self.ids) else 0.0


def transfer_by_vote(
    xyz: FloatArray, ids: IntArray, targets: FloatArray, radius: float = RADIUS, neighbours: int = 1
) -> Transfer:
    """Gives each target (P, 3) m the most frequent id of its `neighbours` nearest points of xyz (N, 3) within `radius`.

    Points without an object (-1) vote too: amid them a target has none. Between equal votes the nearest point decides.
    The confidence is the winner's share of the votes in reach.
    """
    if not len(xyz) or not len(targets):
        return Transfer.unknown(len(targets))
    ranks = np.arange(1, min(neighbours, len(xyz)) + 1)
    distance, place = cKDTree(xyz).query(targets, k=ranks, distance_upper_bound=radius, workers=-1)
    found = np.isfinite(distance)
    votes = np.where(found, ids[np.where(found, place, 0)], -1)
    equal = (votes[:, :, None] == votes[:, None, :]) & found[:, :, None] & found[:, None, :]
    count = equal.sum(axis=2)
    winner = count.argmax(axis=1)  # argmax takes the first, which is the nearest
    row = np.arange(len(targets))
    chosen, share = votes[row, winner], count[row, winner] / np.maximum(found.sum(axis=1), 1)
    return Transfer(chosen, np.where(chosen >= 0, share, 0.0))


def transfer_ids(xyz: FloatArray, ids: IntArray, targets: FloatArray, radius: float = RADIUS) -> IntArray:
    """Returns the id of the point of xyz (N, 3) nearest to each target (P, 3); -1 where none is within `radius` m."""
    return transfer_by_vote(xyz, ids, targets, radius).ids


CHUNK = 16384  # points labelled at a time, so that a mesh of millions fits into memory


@dataclass(frozen=True, slots=True)
class SmoothingOptions:
    """The paper's values, but for the steps (10,000 there) and where Own is written."""

    steps: int = 600  # Own: chosen for its seconds; a room still gained from 300 to 600, more was not measured
    batch: int = 1024
    width: int = 128
    frequencies: int = 6  # octaves of the position encoding (Own: the paper does not say)
    rate: float = 1e-3  # of Adam
    radius: float = 0.1  # m: a target further than this from every point of the map is unknown


@dataclass(frozen=True, slots=True)
class ColoredPoints:
    """N points in the world frame."""

    xyz: FloatArray  # (N, 3) m
    rgb: FloatArray | None = None  # (N, 3) in [0, 1]; None = nobody knows


class LabelField(nn.Module):
    """Logits of C instances over (position, colour): 4 layers of `width`, the input again at layer 2."""

    def __init__(self, inputs: int, width: int, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        shapes = [(inputs, width), (width + inputs, width), (width, width), (width, width), (width, classes)]
        layers = [nn.Linear(i, o, device="meta").to_empty(device="cpu") for i, o in shapes]  # no global random numbers
        for layer in layers:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) for encoded points (B, inputs)."""
        first, second, third, fourth, head = self.layers
        y = torch.relu(first(x))
        y = torch.relu(second(torch.cat([y, x], dim=1)))
        logits: torch.Tensor = head(torch.relu(fourth(torch.relu(third(y)))))
        return logits


def smooth_onto(
    cloud: ColoredPoints,
    ids: IntArray,
    trusted: BoolArray,
    targets: ColoredPoints,
    generator: torch.Generator,
    options: SmoothingOptions | None = None,
) -> Transfer:
    """Learns the ids (N,) of the trusted (N,) points of a map's cloud and reads them at the targets.

    Points without an object (-1) teach nothing. Colour counts where both clouds have it. The confidence is the
    softmax's. Deterministic for a generator's state and a number of threads. Nothing to learn from: all unknown.
    """
    options = options or SmoothingOptions()
    taught = trusted & (ids >= 0)
    if not taught.any() or not len(targets.xyz):
        return Transfer.unknown(len(targets.xyz))
    low, high = cloud.xyz.min(axis=0), cloud.xyz.max(axis=0)
    center, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-6)
    colored = cloud.rgb is not None and targets.rgb is not None

    def encoded(points: ColoredPoints, rows: BoolArray) -> torch.Tensor:
        xyz = torch.from_numpy(((points.xyz[rows] - center) / half).astype(np.float32))
        parts = [position_encoding(xyz, options.frequencies)]
        if colored and points.rgb is not None:
            parts.append(torch.from_numpy(points.rgb[rows].astype(np.float32)))
        return torch.cat(parts, dim=1)

    names, label = np.unique(ids[taught], return_inverse=True)
    field = train_field(encoded(cloud, taught), torch.from_numpy(label), len(names), generator, options)
    reached = cKDTree(cloud.xyz).query(targets.xyz, distance_upper_bound=options.radius, workers=-1)[0] < math.inf
    result = Transfer.unknown(len(targets.xyz))
    share, best = read_field(field, encoded(targets, reached))
    result.ids[reached], result.confidence[reached] = names[best], share
    return result


def position_encoding(xyz: torch.Tensor, frequencies: int) -> torch.Tensor:
    """Returns (N, 3 + 6 F) of positions (N, 3) in [-1, 1]: themselves, sine and cosine of pi 2^i times them, i < F."""
    turns = xyz[:, None] * (math.pi * 2.0 ** torch.arange(frequencies, dtype=xyz.dtype))[None, :, None]
    return torch.cat([xyz, turns.sin().flatten(1), turns.cos().flatten(1)], dim=1)


def train_field(
    inputs: torch.Tensor, labels: torch.Tensor, classes: int, generator: torch.Generator, options: SmoothingOptions
) -> LabelField:
    """Fits a field to encoded points (N, I) and their labels (N,) by cross-entropy on random batches."""
    field = LabelField(inputs.shape[1], options.width, classes, generator)
    optimizer = torch.optim.Adam(field.parameters(), lr=options.rate)
    for _ in range(options.steps):
        rows = torch.randint(len(inputs), (options.batch,), generator=generator)
        loss = nn.functional.cross_entropy(field(inputs[rows]), labels[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return field


@torch.no_grad()
def read_field(field: LabelField, inputs: torch.Tensor) -> tuple[FloatArray, IntArray]:
    """Returns softmax (N,) and index (N,) of the likeliest label of encoded points (N, I)."""
    found = [field(part).softmax(dim=1).max(dim=1) for part in torch.split(inputs, CHUNK)]
    return torch.cat([f.values for f in found]).numpy(), torch.cat([f.indices for f in found]).numpy()


def trusted_points(gaussians: GaussianBatch, ids: IntArray, keyframes: Iterable[Keyframe], accept: float) -> BoolArray:
    """Returns which Gaussians (N,) are the top contributor to a pixel of a mask accepted for their instance [IG A.3].

    In every keyframe with masks an instance accepts the mask that its pixels overlap best, if the IoU exceeds
    `accept`. ids (N,) are the instances' of the Gaussians, -1 = none.
    """
    trusted = np.zeros(len(ids), bool)
    for keyframe in keyframes:
        if keyframe.masks is None:
            continue
        top = top_contributor(gaussians, keyframe.T_world_camera, keyframe.camera).cpu().numpy()
        shown = np.append(ids, -1)[top]  # -1, nothing drawn, takes the appended one
        trusted[top[accepted_pixels(shown, keyframe.masks.labels, accept)]] = True
    return trusted


def accepted_pixels(shown: IntArray, labels: IntArray, accept: float) -> BoolArray:
    """Returns where a view shows an instance (H, W), -1 = none, inside the mask (H, W), 0 = none, that it accepts."""
    own, instance, size = np.unique(shown, return_inverse=True, return_counts=True)
    masks, mask, area = np.unique(labels, return_inverse=True, return_counts=True)
    instance, mask = instance.reshape(shown.shape), mask.reshape(shown.shape)
    shared = np.zeros((len(own), len(masks)))
    np.add.at(shared, (instance, mask), 1.0)
    iou = shared / (size[:, None] + area[None] - shared)
    iou[own < 0], iou[:, masks <= 0] = 0.0, 0.0
    best = iou.argmax(axis=1)
    good: BoolArray = (iou.max(axis=1) > accept)[instance] & (best[instance] == mask)
    return good

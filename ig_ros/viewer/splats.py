"""A snapshot as coloured Gaussians for the browser: photograph or objects, the rest pale when something is asked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ig_ros.colors import id_colors
from ig_ros.types import FloatArray, GaussianBatch, IntArray, MapSnapshot, ObjectInstance

MOST = 200_000  # Gaussians a tablet still turns smoothly
DOT = 0.006  # m, standard deviation of a point that is known by its position only
NOTHING = np.array([120, 120, 120], np.float32)  # colour of what belongs to no object
PALE = 0.75  # share of grey in what does not answer a query
FAINT = 0.35  # and what is left of its opacity
GLOW = np.array([255, 210, 0], np.float32)  # laid over what answers
GLOW_SHARE = 0.45
SURROUNDING = 1.5  # m: an object longer than this is part of the room; its box would hide the rest


@dataclass(frozen=True, slots=True)
class Splats:
    """Gaussians as viser takes them, and which row of the snapshot each one is."""

    rows: IntArray  # (N,) into the snapshot
    centers: FloatArray  # (N, 3) m, world
    covariances: FloatArray  # (N, 3, 3) m^2


@dataclass(frozen=True, slots=True)
class SplatStyle:
    """How the map is to be drawn."""

    phase: float = 0.0  # 0 = colour as photographed, 1 = colour of the object's id
    opacity: float = 1.0  # factor
    lit: Collection[int] = ()  # ids that stand out


def make_splats(snapshot: MapSnapshot, most: int) -> Splats:
    """Shapes of a snapshot's Gaussians; beyond `most` they are thinned, and the rest grows to close the gaps."""
    gaussians = snapshot.gaussians
    if gaussians is None or len(gaussians.means) != len(snapshot.xyz):
        shapes = np.broadcast_to(np.eye(3, dtype=np.float32) * DOT**2, (len(snapshot.xyz), 3, 3))
    else:
        shapes = covariances(gaussians)
    rows, share = thin(snapshot, most)
    return Splats(rows, snapshot.xyz[rows], shapes[rows] / share[:, None, None])


def thin(snapshot: MapSnapshot, most: int) -> tuple[IntArray, FloatArray]:
    """At most `most` rows (N,) of a snapshot, and which share (N,) of its like each one stands for.

    Small objects keep more of theirs: they get half of the places, walls and floors and what has no name the rest.
    """
    total = len(snapshot.xyz)
    if total <= most:
        return np.arange(total), np.ones(total, np.float32)
    things = [o.id for o in snapshot.instances.objects if is_thing(o)]
    small = np.isin(snapshot.instances.point_ids, things)
    parts = (np.flatnonzero(small), np.flatnonzero(~small))
    few = min(len(parts[0]), max(most // 2, most - len(parts[1])))
    rows, shares = [], []
    for part, places in zip(parts, (few, most - few), strict=True):
        kept = part[np.linspace(0, len(part) - 1, places).astype(np.int64)] if places else part[:0]
        rows.append(kept)
        shares.append(np.full(len(kept), places / max(len(part), 1), np.float32))
    order = np.argsort(np.concatenate(rows))
    return np.concatenate(rows)[order], np.concatenate(shares)[order]


def is_thing(thing: ObjectInstance) -> bool:
    """False for walls and floors."""
    return float(thing.size.max()) <= SURROUNDING


def covariances(gaussians: GaussianBatch) -> FloatArray:
    """(N, 3, 3) m^2, world: R diag(scale^2) R^T."""
    rotation = Rotation.from_quat(gaussians.quats.numpy(force=True)[:, [1, 2, 3, 0]]).as_matrix()
    half = rotation.astype(np.float32) * gaussians.scales.numpy(force=True)[:, None, :]
    return np.asarray(half @ half.transpose(0, 2, 1))


def paint(snapshot: MapSnapshot, rows: IntArray, style: SplatStyle) -> tuple[FloatArray, FloatArray]:
    """Colour (N, 3) in [0, 1] and opacity (N, 1) in [0, 1] of these rows of a snapshot."""
    ids = snapshot.instances.point_ids[rows]
    own = np.where((ids > 0)[:, None], id_colors(np.maximum(ids, 0)).astype(np.float32), NOTHING)
    color = (1 - style.phase) * snapshot.rgb[rows].astype(np.float32) + style.phase * own
    opacity = snapshot.opacity[rows].astype(np.float32) * style.opacity
    if style.lit:
        lit = np.isin(ids, list(style.lit))
        color[lit] = (1 - GLOW_SHARE) * color[lit] + GLOW_SHARE * GLOW
        grey = color[~lit].mean(axis=1, keepdims=True)
        color[~lit] = (1 - PALE) * color[~lit] + PALE * grey
        opacity[~lit] *= FAINT
    return color.clip(0, 255) / np.float32(255), opacity.clip(0, 1)[:, None]

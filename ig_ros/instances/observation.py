"""What all Gaussians look like in all views: the mask and the normal that each view shows there.

A surface has some thickness, so what lies little behind it counts as seen: the table under the rim of a plate, too.
But such a point is seen better from elsewhere. Where enough views show a point closely, the others do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from ig_ros.geometry import lengths
from ig_ros.instances.region_graph import normal_image
from ig_ros.instances.visibility import HIDDEN, LabelledView, Observations, mask_places, surface_of
from ig_ros.raster import PointVisibility, ViewProjection, believe_loose
from ig_ros.types import FloatArray, IntArray

QUANTUM = 127  # steps of a normal's component: sums of integers do not depend on their order
CLOSE = 0.5  # of the tolerance, within which a view shows a point closely
CHANGED = 0.01  # a view is another when on more than this share of its pixels the depth differs by more than this share


@dataclass(frozen=True, slots=True)
class GaussianObservations:
    """The Gaussians in the views."""

    observed: Observations
    normal: FloatArray  # (G, 3) unit, towards the cameras, zero where no view knows it


@dataclass(frozen=True, slots=True)
class PreparedView:
    """A view with what each of its pixels says."""

    view: LabelledView
    labels: IntArray  # (M,) ids of the masks
    pixels: IntArray  # (M,) their sizes
    place: IntArray  # (H * W,) int32: 1 + place of the pixel's mask among them, 0 = none
    normal: IntArray  # (H * W, 3) int8 in the world, in steps of 1 / QUANTUM


def prepare_views(
    views: Sequence[LabelledView], before: Sequence[PreparedView], tolerance: float
) -> list[PreparedView]:
    """Prepares views side by side; takes those over from `before` that show the same.

    `tolerance` is the share of the depth by which neighbouring pixels of one surface may differ.
    Keyframes stay, whatever the training moves: this is most of the time that a rerun saves.
    """
    known: dict[bytes, list[PreparedView]] = {}
    for old in before:
        known.setdefault(old.view.T_world_camera.tobytes(), []).append(old)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(
            pool.map(lambda v: _same(v, known.get(v.T_world_camera.tobytes(), [])) or _prepared(v, tolerance), views)
        )


def observe_gaussians(
    xyz: FloatArray, views: Sequence[PreparedView], tolerance: float, enough: int
) -> GaussianObservations:
    """Looks up Gaussians xyz (G, 3) m in views: one is visible if it lies within tolerance * depth of the surface.

    Where `enough` views show it closely, it counts as hidden in others.
    """
    count = [len(v.labels) for v in views]
    first = np.cumsum([0, *count])
    mask = np.full((len(views), len(xyz)), HIDDEN, np.int32)
    total, closely = np.zeros((len(xyz), 3), np.int32), np.zeros(len(xyz), np.int32)
    points = PointVisibility(np.ascontiguousarray(xyz, np.float32), total, closely)
    projections = [
        ViewProjection(surface_of(v.view, tolerance), v.normal, v.place, begin, row)
        for v, begin, row in zip(views, first[:-1].tolist(), mask, strict=True)
    ]
    points.add(projections, CLOSE)
    believe_loose(mask, np.flatnonzero(closely < enough))
    observed = Observations(
        mask,
        np.append(0, np.repeat(np.arange(len(views)), count)).astype(np.int32),
        np.concatenate([np.zeros(1, np.int32), *(v.labels.astype(np.int32) for v in views)]),
        np.concatenate([np.zeros(1, np.int64), *(v.pixels for v in views)]),
    )
    return GaussianObservations(observed, total / np.maximum(lengths(total.astype(np.float64))[:, None], 1e-6))


def _prepared(view: LabelledView, tolerance: float) -> PreparedView:
    ids, place, count = mask_places(view.labels)
    world = normal_image(view, tolerance).reshape(-1, 3) @ view.T_world_camera[:3, :3].T.astype(np.float32)
    return PreparedView(view, ids, count, (place + 1).astype(np.int32), np.round(QUANTUM * world).astype(np.int8))


def _same(view: LabelledView, candidates: list[PreparedView]) -> PreparedView | None:
    """Returns the prepared view of the same pose that shows the same, None where there is none."""
    return next((old for old in candidates if _alike(old.view, view)), None)


def _alike(a: LabelledView, b: LabelledView) -> bool:
    if a.labels.shape != b.labels.shape or (a.camera.K != b.camera.K).any() or a.tolerance != b.tolerance:
        return False
    if a.labels is not b.labels and not np.array_equal(a.labels, b.labels):
        return False
    return a.depth is b.depth or bool((np.abs(a.depth - b.depth) > CHANGED * np.abs(a.depth)).mean() <= CHANGED)

"""What all Gaussians look like in all views: their masks and their normals, looked up only where something changed.

A surface has some thickness, so what lies little behind it counts as seen: the table under the rim of a plate, too.
But such a point is seen better from elsewhere. Where several views show a point closely, the others are not asked.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from ig_ros.geometry import lengths
from ig_ros.instances.region_graph import normal_image
from ig_ros.instances.rerun_memory import Kept
from ig_ros.instances.visibility import HIDDEN, LabelledView, Observations, mask_places, surface_of
from ig_ros.raster import PointVisibility, ViewProjection, believe_loose, carry
from ig_ros.types import BoolArray, FloatArray, IntArray

QUANTUM = 127  # steps of a normal's component: sums of integers do not depend on their order
SPARE = 3  # times the memory needed that is kept at most
CLOSE = 0.5  # of the tolerance, within which a view shows a point closely
ENOUGH = 3  # such views; with fewer all that show a point within the tolerance count


@dataclass(frozen=True, slots=True)
class Seen:
    """The Gaussians in the views."""

    observed: Observations
    normal: FloatArray  # (G, 3) unit, towards the cameras, zero where no view knows it
    turned: BoolArray  # (G,) new, or its normal is another than in the last run
    steady: BoolArray  # (G,) kept, and seen on the same masks of the same views as before


@dataclass(frozen=True, slots=True)
class _Image:
    """A view made ready: what a pixel says."""

    labels: IntArray  # (M,) ids of the masks
    pixels: IntArray  # (M,) their sizes
    place: IntArray  # (H * W,) int32: 1 + place of the pixel's mask among them, 0 = none
    normal: IntArray  # (H * W, 3) int8 in the world, in steps of 1 / QUANTUM


class Sight:
    """Remembers the last look.

    Tables of masks take turns in two pieces of memory, as fresh memory costs more than filling it: what a look returned
    is overwritten by the next but one.
    """

    def __init__(self) -> None:
        self._views: tuple[LabelledView, ...] = ()
        self._images: list[_Image] = []
        self._first: IntArray = np.zeros(0, np.int64)  # (K + 1,) masks of earlier views
        self._mask: IntArray = np.zeros((0, 0), np.int32)  # (K, G) of Observations
        self._total: IntArray = np.zeros((0, 3), np.int32)  # sum of the normals over the views
        self._closely: IntArray = np.zeros(0, np.int32)  # (G,) views that show a Gaussian closely
        self._memory = [np.zeros(0, np.int32), np.zeros(0, np.int32)]  # of the last table and the one before

    def look(self, xyz: FloatArray, views: tuple[LabelledView, ...], tolerance: float, kept: Kept) -> Seen:
        """xyz (G, 3) m; a Gaussian is visible if it lies within tolerance * depth of the surface.

        Where ENOUGH views show it closely, it counts as hidden in others.
        """
        old = kept.point >= 0
        rows, fresh = np.flatnonzero(old), np.flatnonzero(~old)
        images = self._images_of(views, kept.view)
        first = np.cumsum([0, *(len(image.labels) for image in images)])
        shift = np.where(kept.view >= 0, first[:-1] - np.append(self._first, 0)[kept.view], 0)
        mask = self._table(len(views), len(xyz))
        carry(mask, self._mask, kept.view, shift, kept.point, HIDDEN)
        total, closely = np.zeros((len(xyz), 3), np.int32), np.zeros(len(xyz), np.int32)
        total[rows], closely[rows] = self._total[kept.point[rows]], self._closely[kept.point[rows]]
        before, vague = total.copy(), old & (closely < ENOUGH)
        known = PointVisibility(np.ascontiguousarray(xyz, np.float32), total, closely, old.copy())
        gone = np.setdiff1d(np.arange(len(self._views)), kept.view).tolist()  # no longer among the views
        sightings = [ViewProjection(surface_of(self._views[j], tolerance), rows, self._images[j].normal) for j in gone]
        everything = np.arange(len(xyz))

        def looking(at: list[IntArray]) -> list[ViewProjection]:
            own = zip(views, images, first[:-1].tolist(), mask, at, strict=True)
            return [
                ViewProjection(surface_of(v, tolerance), p, i.normal, i.place, begin, row)
                for v, i, begin, row, p in own
            ]

        known.add(sightings + looking([fresh if j >= 0 else everything for j in kept.view.tolist()]), CLOSE)
        cleared = np.flatnonzero(vague & (closely >= ENOUGH))  # which of their masks are loose was not kept
        if len(cleared):
            nobody = PointVisibility(
                known.xyz, np.zeros_like(total), np.zeros_like(closely), np.zeros_like(known.steady)
            )
            nobody.add(looking([cleared] * len(views)), CLOSE)
        believe_loose(mask, np.flatnonzero((closely < ENOUGH) & ~known.steady))
        self._views, self._images, self._first, self._mask = views, images, first, mask
        self._total, self._closely = total, closely
        length = lengths(total.astype(np.float64))[:, None]
        turned = ~old
        for then, now in zip(before.T, total.T, strict=True):  # by column, as numpy is slow on short rows
            turned |= then != now
        return Seen(_observations(mask, images), total / np.maximum(length, 1e-6), turned, known.steady)

    def _table(self, views: int, gaussians: int) -> IntArray:
        size = views * gaussians
        last, spare = self._memory
        if not size <= len(spare) <= SPARE * size:
            spare = np.empty(size + size // 8, np.int32)  # maps grow
        self._memory = [spare, last]
        return spare[:size].reshape(views, gaussians)

    def _images_of(self, views: tuple[LabelledView, ...], kept: IntArray) -> list[_Image]:
        """Those of the last run where they are known; the others are made side by side."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            fresh = pool.map(_image, [view for view, j in zip(views, kept, strict=True) if j < 0])
            return [self._images[j] if j >= 0 else next(fresh) for j in kept.tolist()]


def _image(view: LabelledView) -> _Image:
    ids, place, count = mask_places(view.labels)
    world = normal_image(view).reshape(-1, 3) @ view.T_world_camera[:3, :3].T.astype(np.float32)
    return _Image(ids, count, (place + 1).astype(np.int32), np.round(QUANTUM * world).astype(np.int8))


def _observations(mask: IntArray, images: list[_Image]) -> Observations:
    count = [len(image.labels) for image in images]
    return Observations(
        mask,
        np.append(0, np.repeat(np.arange(len(images)), count)).astype(np.int32),
        np.concatenate([np.zeros(1, np.int32), *(image.labels.astype(np.int32) for image in images)]),
        np.concatenate([np.zeros(1, np.int64), *(image.pixels for image in images)]),
    )

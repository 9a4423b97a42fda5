"""What each 3D point looks like in each view: which mask it falls on, where it is visible at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ig_ros.raster import DepthView, visible_pixels
from ig_ros.raster.counting import unique_ids
from ig_ros.types import Camera, FloatArray, IntArray

HIDDEN = -1  # outside the image, behind something, or of unknown depth
UNLABELLED = 0  # visible, but no mask there
PARALLAX = 0.012  # 1/m: depth from parallax errs by a multiple of its square ...
THICKNESS = 0.015  # m: ... but from near, too, a map's surface is about this thick


@dataclass(frozen=True, slots=True)
class LabelledView:
    """One keyframe as the instantiation needs it."""

    camera: Camera
    T_world_camera: FloatArray  # (4, 4) m
    labels: IntArray  # (H, W), 0 = no mask
    depth: FloatArray  # (H, W) m, surface seen by each pixel, 0 = unknown
    tolerance: float = 0.0  # m, added to the relative one: thickness of the model's own surface


@dataclass(frozen=True, slots=True)
class Observations:
    """Masks of all views numbered through: column c is one mask of one view."""

    mask: IntArray  # (K, N) int32: column of the mask point n falls on in view k, or HIDDEN or UNLABELLED
    # (below HIDDEN: view k shows point n on a mask, but others show it better, so that it counts as hidden)
    view_of_column: IntArray  # (M,) int32; column 0 is unused so that 0 stays UNLABELLED
    label_of_column: IntArray  # (M,) int32, id of the mask in its own label image
    pixels: IntArray  # (M,) int64, size of the mask


def observe(points: FloatArray, views: Sequence[LabelledView], depth_tolerance: float) -> Observations:
    """Project points (N, 3) m into every view; a point is visible if it lies within depth_tolerance of the surface."""
    seen = np.full((len(views), len(points)), HIDDEN, np.int32)
    view_of, label_of = [np.zeros(1, np.int32)], [np.zeros(1, np.int32)]
    pixels: list[IntArray] = [np.zeros(1, np.int64)]
    columns = 1
    for k, view in enumerate(views):
        ids, compact, count = mask_places(view.labels)
        view_of.append(np.full(len(ids), k, np.int32))
        label_of.append(ids.astype(np.int32))
        pixels.append(count)
        column_of = np.append(np.arange(columns, columns + len(ids)), UNLABELLED).astype(np.int32)
        index, pixel = visible_points(points, view, depth_tolerance)
        seen[k, index] = column_of[compact[pixel]]
        columns += len(ids)
    return Observations(seen, np.concatenate(view_of), np.concatenate(label_of), np.concatenate(pixels))


def mask_places(labels: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Ids (M,) of the masks of a label image (H, W), each pixel's place among them (H * W,), -1 = none, and sizes."""
    ids, place, count = unique_ids(labels.ravel())
    real = ids > 0
    return ids[real], np.where(real, np.cumsum(real) - 1, -1)[place], count[real]


def visible_points(points: FloatArray, view: LabelledView, depth_tolerance: float) -> tuple[IntArray, IntArray]:
    """Indices (P,) of the points visible in a view and the pixels they fall on, as places in the flattened image."""
    pixel = visible_pixels(points, surface_of(view, depth_tolerance))
    index = np.flatnonzero(pixel >= 0)
    return index, pixel[index]


def surface_of(view: LabelledView, depth_tolerance: float) -> DepthView:
    """What a view sees of the scene, with the thickness that counts as seen."""
    return DepthView(view.camera, view.T_world_camera, view.depth, depth_tolerance, view.tolerance, PARALLAX, THICKNESS)

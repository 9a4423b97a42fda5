"""What each 3D point looks like in each view: which mask it falls on, where it is visible at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ig_ros.geometry import inverse, project, transform
from ig_ros.types import Camera, FloatArray, IntArray

HIDDEN = -1  # outside the image, behind something, or of unknown depth
UNLABELLED = 0  # visible, but no mask there


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

    mask: (
        IntArray  # (K, N) int32: column of the mask point n falls on in view k, or HIDDEN or UNLABELLED - see `column`
    )
    view_of_column: IntArray  # (M,) int32; column 0 is unused so that 0 stays UNLABELLED
    label_of_column: IntArray  # (M,) int32, id of the mask in its own label image
    pixels: IntArray  # (M,) int64, size of the mask


def observe(points: FloatArray, views: Sequence[LabelledView], depth_tolerance: float) -> Observations:
    """Project points (N, 3) m into every view; a point is visible if it lies within depth_tolerance of the surface."""
    seen = np.full((len(views), len(points)), HIDDEN, np.int32)
    view_of, label_of, pixels = [np.zeros(1, np.int32)], [np.zeros(1, np.int32)], [np.zeros(1, np.int64)]
    columns = 1
    for k, view in enumerate(views):
        ids, compact, count = np.unique(view.labels, return_inverse=True, return_counts=True)
        compact = compact.reshape(view.labels.shape)
        real = ids > 0
        column_of = np.where(real, columns + np.cumsum(real) - 1, UNLABELLED).astype(np.int32)
        columns += int(real.sum())
        view_of.append(np.full(int(real.sum()), k, np.int32))
        label_of.append(ids[real].astype(np.int32))
        pixels.append(count[real])
        index, rows, cols = visible_points(points, view, depth_tolerance)
        seen[k, index] = column_of[compact[rows, cols]]
    return Observations(seen, np.concatenate(view_of), np.concatenate(label_of), np.concatenate(pixels))


def visible_points(
    points: FloatArray, view: LabelledView, depth_tolerance: float
) -> tuple[IntArray, IntArray, IntArray]:
    """Indices (P,) of the points visible in a view and the rows and columns of the pixels they fall on."""
    local = transform(inverse(view.T_world_camera), points)
    uv, z = project(local, view.camera)
    inside = (z > 0.05) & (uv >= 0).all(1) & (uv[:, 0] < view.camera.width) & (uv[:, 1] < view.camera.height)
    index = inside.nonzero()[0]
    cols, rows = uv[index].astype(np.int64).T
    surface = view.depth[rows, cols]
    slack = depth_tolerance * z[index] + view.tolerance
    good = (surface > 0) & (np.abs(z[index] - surface) <= slack)
    return index[good], rows[good], cols[good]

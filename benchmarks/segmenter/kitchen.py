"""What stands on the kitchen table: world points read off single frames (7-Scenes redkitchen, shared/data/kitchen)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ig_ros.types import FloatArray, Frame, IntArray

FOLDER = Path(__file__).resolve().parents[3] / "shared/data/kitchen"

# A point (m, world) of each thing, and the most surface (m^2) that a mask of it shows.
THINGS = {
    "first mug": ((-0.70, -0.13, 1.89), 0.03),
    "second mug": ((0.28, -0.07, 1.77), 0.03),
    "plastic box": ((0.56, -0.07, 1.76), 0.2),
    "magazine": ((-0.17, 0.05, 1.67), 0.2),
    "papers": ((-0.54, -0.03, 1.82), 0.2),
    "controller": ((0.78, 0.05, 1.59), 0.06),
}
WOOD = ((0.01, 0.0, 1.80), (0.82, -0.045, 1.88), (-0.14, -0.14, 2.07), (0.08, 0.11, 1.59), (0.52, 0.10, 1.61))
MARGIN = 12  # px from the image's edge within which nothing is asked
REACH = 0.06  # m between a point and the surface that is measured where it should be seen


def label_at(point: tuple[float, ...], frame: Frame, labels: IntArray) -> int | None:
    """Label of the pixel that sees a world point, None where something else or nothing is measured there."""
    x, y, z = np.linalg.inv(frame.T_world_camera)[:3] @ [*point, 1.0]
    if z <= 0:
        return None
    K, camera = frame.camera.K, frame.camera
    u, v = int(x / z * K[0, 0] + K[0, 2]), int(y / z * K[1, 1] + K[1, 2])
    inside = MARGIN < u < camera.width - MARGIN and MARGIN < v < camera.height - MARGIN
    if not inside or frame.depth is None or abs(frame.depth[v, u] - z) > REACH:
        return None
    return int(labels[v, u])


def surface_of(labels: IntArray, label: int, frame: Frame) -> float:
    """m^2 that a mask shows, as if it faced the camera."""
    assert frame.depth is not None
    return float((frame.depth[labels == label].astype(np.float64) ** 2).sum()) / float(frame.camera.K[0, 0] ** 2)


def id_near(point: tuple[float, ...], xyz: FloatArray, ids: IntArray, radius: float = 0.04) -> int:
    """The most frequent object id (N,) within `radius` m of a world point, -1 where there is no surface."""
    near = ids[np.linalg.norm(xyz - np.array(point), axis=1) < radius]
    values, counts = np.unique(near, return_counts=True)
    return int(values[counts.argmax()]) if len(values) else -1

"""The object with an id, at a point in space (RViz's Publish Point) or behind a pixel."""

from __future__ import annotations

import numpy as np

from ig_ros.errors import QueryError
from ig_ros.geometry import inverse, project, transform
from ig_ros.language.scene_geometry import CONTACT
from ig_ros.types import Camera, FloatArray, MapSnapshot, ObjectInstance

PIXEL_RADIUS = 0.012  # of the image width: surface points this close to a pixel are seen at it


def object_at_point(snapshot: MapSnapshot, point: FloatArray, reach: float = CONTACT) -> ObjectInstance:
    """The object whose surface is nearest to a point (3,) m, world. Raises QueryError beyond `reach` of all."""
    rows = np.flatnonzero(snapshot.instances.point_ids > 0)
    if not len(rows):
        raise QueryError("no object has been found yet: wait for more images with masks")
    distance = np.linalg.norm(snapshot.xyz[rows] - np.asarray(point, np.float64), axis=1)
    nearest = int(np.argmin(distance))
    if distance[nearest] > reach:
        where = ", ".join(f"{v:.2f}" for v in point)
        raise QueryError(
            f"no object at ({where}) m: the nearest surface is {distance[nearest]:.2f} m away, {reach:.2f} m count"
        )
    return object_by_id(snapshot, int(snapshot.instances.point_ids[rows[nearest]]))


def object_at_pixel(
    snapshot: MapSnapshot, camera: Camera, T_world_camera: FloatArray, u: float, v: float
) -> tuple[ObjectInstance, FloatArray]:
    """The foremost object behind pixel (u, v) of a camera, and the point (3,) m, world, where it is seen.

    Pixel centres are at +0.5. Raises QueryError for a pixel outside the image or with no object behind it.
    """
    if not (0 <= u < camera.width and 0 <= v < camera.height):
        raise QueryError(f"pixel ({u:g}, {v:g}) lies outside of the image of {camera.width}x{camera.height}")
    uv, depth = project(transform(inverse(T_world_camera), snapshot.xyz.astype(np.float64)), camera)
    near = np.flatnonzero((depth > 0.05) & (np.hypot(uv[:, 0] - u, uv[:, 1] - v) < PIXEL_RADIUS * camera.width))
    if not len(near):
        raise QueryError(f"the map has nothing behind pixel ({u:g}, {v:g})")
    front = near[depth[near] < depth[near].min() + CONTACT]
    ids = snapshot.instances.point_ids[front]
    weight = snapshot.opacity[front] * (ids > 0)
    if not weight.any():
        raise QueryError(f"what is seen at pixel ({u:g}, {v:g}) belongs to no object")
    winner = int(np.bincount(np.maximum(ids, 0), weight).argmax())
    return object_by_id(snapshot, winner), np.median(snapshot.xyz[front[ids == winner]], axis=0)


def object_by_id(snapshot: MapSnapshot, number: int) -> ObjectInstance:
    """Returns object `number` of a snapshot. Raises QueryError when the map does not have it."""
    found = next((o for o in snapshot.instances.objects if o.id == number), None)
    if found is None:
        raise QueryError(f"object {number} is not in the map")
    return found

"""Which object a click means: the foremost surface along the ray of the click."""

from __future__ import annotations

import numpy as np

from ig_ros.types import FloatArray, MapSnapshot

CONE = 0.012  # rad, half: surface points this close to the ray are under the click
NEAREST = 0.02  # m: nearer than this in front of the camera is nothing to click
SOLID = 0.3  # opacity: what is fainter does not stop the ray
FRONT = 0.05  # m: of the points under the click, the ones within this depth of the foremost decide


def pick(snapshot: MapSnapshot, origin: FloatArray, direction: FloatArray) -> int:
    """Id of the object that a ray from `origin` (3,) m, world, along `direction` (3,) meets first; 0 = none.

    Points in a cone about the ray count as met, so the reach grows with the distance as a pixel's does. Of those near
    the foremost, the id with most opacity wins.
    """
    ray = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    offset = snapshot.xyz.astype(np.float64) - np.asarray(origin, np.float64)
    depth = offset @ ray
    aside = np.linalg.norm(offset - depth[:, None] * ray, axis=1)
    met = np.flatnonzero((depth > NEAREST) & (aside < CONE * depth) & (snapshot.opacity > SOLID))
    if not len(met):
        return 0
    front = met[depth[met] < depth[met].min() + FRONT]
    ids = snapshot.instances.point_ids[front]
    weight = np.bincount(np.maximum(ids, 0), snapshot.opacity[front])
    return int(weight.argmax())

"""What a grasp planner needs of one object: its surface with normals, what carries it, and from where it is free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ig_ros.errors import QueryError
from ig_ros.language.scene_geometry import CONTACT, SUPPORT_MARGIN
from ig_ros.planning.picking import object_by_id
from ig_ros.types import FloatArray, IntArray, MapSnapshot, ObjectInstance

PLANE_POINTS = 12  # points from which a plane is estimated: the local one with its normal, and the support
SIDES = 16  # horizontal directions in which a free way is looked for
REACH, HAND = 0.25, 0.03  # m: length and half width of the way beside the object that a hand needs


@dataclass(frozen=True, slots=True)
class ObjectSurface:
    """Metres, world frame with z up."""

    rows: IntArray  # (n,) the object's rows of the snapshot
    normals: FloatArray  # (n, 3) unit, away from the object's middle
    plane: FloatArray | None  # (4,) a b c d with a x + b y + c z + d = 0 and unit (a, b, c) upward; None = unknown
    support: int  # id of the object that carries it, 0 = unknown or no object
    free_side: FloatArray  # (3,) unit vector from the object to its freest side; up where that is free
    clearance: float  # m without obstacle on that side, at most REACH


def object_surface(snapshot: MapSnapshot, number: int) -> ObjectSurface:
    """Returns surface, support and free side of object `number`. Raises QueryError when the map does not have it."""
    thing = object_by_id(snapshot, number)
    rows = np.flatnonzero(snapshot.instances.point_ids == number)
    if not len(rows):
        raise QueryError(f"object {number} is not in the map")
    others = snapshot.instances.point_ids != number
    obstacles = snapshot.xyz[others].astype(np.float64)
    plane, support = supporting_plane(obstacles, snapshot.instances.point_ids[others], thing)
    side, clearance = free_side(obstacles, thing, plane)
    outward = normals(snapshot.xyz[rows].astype(np.float64), thing.T_world_box[:3, 3])
    return ObjectSurface(rows, outward, plane, support, side, clearance)


def normals(points: FloatArray, middle: FloatArray) -> FloatArray:
    """(n, 3) unit normals of the local planes through points (n, 3), pointing away from `middle` (3,)."""
    k = min(PLANE_POINTS, len(points))
    _, near = cKDTree(points).query(points, k)
    around = points[np.reshape(near, (len(points), k))]
    spread = around - around.mean(axis=1, keepdims=True)
    _, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", spread, spread))
    normal = axes[:, :, 0]
    inward = ((points - middle) * normal).sum(1) < 0
    return np.where(inward[:, None], -normal, normal)


def supporting_plane(xyz: FloatArray, owner: IntArray, thing: ObjectInstance) -> tuple[FloatArray | None, int]:
    """The plane (4,) through what lies around the object's underside, and the id of the object it belongs to.

    `xyz` (m, 3) m are the points of everything else, `owner` (m,) the ids of their objects.
    """
    local = np.abs((xyz - thing.T_world_box[:3, 3]) @ thing.T_world_box[:3, :3])
    low = thing.T_world_box[2, 3] - thing.size[2] / 2
    around = (local[:, :2] <= thing.size[:2] / 2 + SUPPORT_MARGIN).all(1) & (np.abs(xyz[:, 2] - low) <= CONTACT)
    chosen = np.flatnonzero(around)
    for _ in range(3):  # leave out what lies off the plane, and fit again
        if len(chosen) < PLANE_POINTS:
            return None, 0
        ground = np.column_stack([xyz[chosen, :2], np.ones(len(chosen))])
        (a, b, c), *_ = np.linalg.lstsq(ground, xyz[chosen, 2], rcond=None)
        residual = np.abs(ground @ [a, b, c] - xyz[chosen, 2])
        plane = np.array([-a, -b, 1.0, -c]) / np.sqrt(a * a + b * b + 1)
        chosen = chosen[residual <= max(0.005, 2 * float(np.median(residual)))]
    ids = owner[chosen][owner[chosen] > 0]
    return plane, int(np.bincount(ids).argmax()) if len(ids) else 0


def free_side(obstacles: FloatArray, thing: ObjectInstance, plane: FloatArray | None) -> tuple[FloatArray, float]:
    """The direction (3,) in which most of REACH is free of obstacles (m, 3), and m that are free; up where equal."""
    middle = thing.T_world_box[:3, 3]
    near = obstacles[np.abs(obstacles - middle).max(1) < thing.size.max() + REACH]
    if plane is not None:
        near = near[near @ plane[:3] + plane[3] > 0.015]
    angles = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
    up = np.array([0.0, 0.0, 1.0])
    sides = [up, *np.stack([np.cos(angles), np.sin(angles), np.zeros(SIDES)], axis=1)]
    free = [clear_distance(near - middle, thing, side) for side in sides]
    best = int(np.argmax(free))
    return sides[best], free[best]


def clear_distance(offsets: FloatArray, thing: ObjectInstance, side: FloatArray) -> float:
    """m from the box to the first of the obstacles (m, 3), relative to its middle, on a hand's way from that side."""
    axes = thing.T_world_box[:3, :3]
    half = float(np.abs(axes.T @ side) @ thing.size / 2)
    along = offsets @ side
    aside = offsets - along[:, None] * side
    upright = abs(side[2]) > 0.5
    flat = np.linalg.norm(aside[:, :2], axis=1)
    on_way = flat < (HAND + thing.size[:2].min() / 2 if upright else HAND)
    if not upright:
        on_way &= np.abs(aside[:, 2]) < thing.size[2] / 2
    ahead = along[on_way & (along > half)] - half
    return float(min(REACH, ahead.min(initial=REACH)))

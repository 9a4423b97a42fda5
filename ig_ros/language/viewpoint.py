"""Where a query looks, and from where left, right, in front and behind are meant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ig_ros.errors import QueryError
from ig_ros.geometry import T_BODY_OPTICAL, inverse, transform
from ig_ros.types import FloatArray, Instances, MapSnapshot

CLOSE_BY = 0.3  # m over the floor: nearer than this, the way from an observer to a thing gives no direction


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """An observer in the world (z up)."""

    position: FloatArray  # (3,) m
    right: FloatArray  # (3,) unit, horizontal
    forward: FloatArray  # (3,) unit, horizontal

    @staticmethod
    def of_camera(T_world_camera: FloatArray) -> Viewpoint:
        """Of a camera pose (4, 4), OpenCV axes; it may look straight down, or lie on its side."""
        right, forward = _flat(T_world_camera[:3, 0]), _flat(T_world_camera[:3, 2])
        if np.linalg.norm(right) > 0.5:
            return Viewpoint(T_world_camera[:3, 3], _unit(right), _turned_left(_unit(right)))
        return Viewpoint(T_world_camera[:3, 3], -_turned_left(_unit(forward)), _unit(forward))

    @staticmethod
    def newest(snapshot: MapSnapshot) -> Viewpoint:
        """Of a map's newest camera pose; without one, world x is to the right and y forward."""
        T = snapshot.T_world_view
        return Viewpoint.of_camera(T) if T is not None else Viewpoint(np.zeros(3), *np.eye(3)[:2])

    @staticmethod
    def of_body(T_world_body: FloatArray) -> Viewpoint:
        """Of a robot's or person's pose (4, 4) with ROS body axes: x forward, y left, z up."""
        return Viewpoint.of_camera(T_world_body @ T_BODY_OPTICAL)

    def axes_at(self, place: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(3,) right and (3,) forward as this observer means them at a place (3,).

        Forward is halfway between where the observer looks and where the place is: the image's own left and the left
        across the line of sight are both meant. Close by, or behind the observer's back, they are the observer's own.
        """
        toward = _flat(place - self.position)
        if np.linalg.norm(toward) < CLOSE_BY or toward @ self.forward <= 0:
            return self.right, self.forward
        forward = _unit(_unit(toward) + self.forward)
        return -_turned_left(forward), forward


def _flat(v: FloatArray) -> FloatArray:
    return np.asarray(v, np.float64) * [1.0, 1.0, 0.0]


def _turned_left(v: FloatArray) -> FloatArray:
    """A horizontal vector (3,) turned by 90 degrees about the world's z."""
    return np.array([-v[1], v[0], 0.0])


def _unit(v: FloatArray) -> FloatArray:
    return np.asarray(v / max(float(np.linalg.norm(v)), 1e-9))


@dataclass(frozen=True, slots=True)
class Scope:
    """Limits of a query; the default has none, and looks from the newest camera pose.

    Raises QueryError for a box whose edges are not all finite and positive.
    """

    viewpoint: Viewpoint | None = None  # whose left and right; None = the newest camera's
    T_world_box: FloatArray | None = None  # (4, 4) only objects whose centre lies in this box; None = everywhere
    size: FloatArray | None = None  # (3,) m, its full edge lengths
    id: int = 0  # only this object, or what it has become part of; 0 = any

    def __post_init__(self) -> None:
        if self.size is not None and not (np.isfinite(self.size).all() and (self.size > 0).all()):
            edges = " x ".join(f"{edge:g}" for edge in self.size)
            raise QueryError(f"a box of {edges} m: give three edges, finite and greater than 0")

    @property
    def narrow(self) -> bool:
        """Whether it names objects by itself, so that no text is needed."""
        return self.id > 0 or self.T_world_box is not None

    def admits(self, instances: Instances) -> npt.NDArray[np.bool_]:
        """(S,) bool: the objects inside."""
        admitted = np.ones(len(instances.objects), bool)
        if self.id:
            number = instances.merged_into.get(self.id, self.id)  # a holder of an old id means what it is part of now
            admitted &= np.array([o.id == number for o in instances.objects], bool)
        if self.T_world_box is not None and self.size is not None and len(instances.objects):
            centers = np.stack([o.T_world_box[:3, 3] for o in instances.objects])
            admitted &= (np.abs(transform(inverse(self.T_world_box), centers)) <= self.size / 2).all(1)
        return admitted

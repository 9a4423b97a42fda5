"""From where left, right, in front and behind are meant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ig_ros.types import FloatArray

NEAR = 0.3  # m; an observer who stands this close to a thing does not look at it across the floor
UP = np.array([0.0, 0.0, 1.0])


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
            return Viewpoint(T_world_camera[:3, 3], _unit(right), np.cross(UP, _unit(right)))
        return Viewpoint(T_world_camera[:3, 3], np.cross(_unit(forward), UP), _unit(forward))

    @staticmethod
    def of_body(T_world_body: FloatArray) -> Viewpoint:
        """Of a robot's or person's pose (4, 4) with ROS body axes: x forward, y left, z up."""
        return Viewpoint.of_camera(T_world_body @ T_BODY_OPTICAL)

    def axes_at(self, place: FloatArray) -> FloatArray:
        """(2, 3) right and forward as this observer means them at a place (3,): forward is the way to look there.

        Close by, or behind the observer's back, they are the observer's own.
        """
        toward = _flat(place - self.position)
        if np.linalg.norm(toward) < NEAR or toward @ self.forward <= 0:
            return np.stack([self.right, self.forward])
        forward = _unit(toward)
        return np.stack([np.cross(forward, UP), forward])


T_BODY_OPTICAL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def _flat(v: FloatArray) -> FloatArray:
    return np.asarray(v, np.float64) * [1.0, 1.0, 0.0]


def _unit(v: FloatArray) -> FloatArray:
    return np.asarray(v / max(float(np.linalg.norm(v)), 1e-9))

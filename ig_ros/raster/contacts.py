"""Contacts between neighbouring points of different groups, by the compiled kernel."""

from __future__ import annotations

import ctypes

import numpy as np

from ig_ros.raster.library import load, threads
from ig_ros.types import FloatArray, IntArray


class _ContactPoints(ctypes.Structure):
    """Mirror of the struct in native/contacts.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("position", "normal", "color", "reach", "owner", "neighbor")),
        *((name, ctypes.c_int64) for name in ("count", "neighbors")),
        *((name, ctypes.c_float) for name in ("crease", "crease_sharpness", "step", "step_sharpness")),
    ]


def contacts(
    position: FloatArray,
    normal: FloatArray,
    color: FloatArray,
    reach: FloatArray,
    owner: IntArray,
    neighbor: IntArray,
    crease: tuple[float, float],
    step: tuple[float, float],
) -> FloatArray:
    """(N, k) float32 belief in [0, 1] that the surface goes on from a point to its neighbours; -1 = no contact.

    There is none within a group, owner (N,), nor where both points' reach (N,) m is less than their distance. position
    (N, 3) m, normal (N, 3) unit or zero, color (N, 3) in [0, 1], neighbor (N, k) rows. `crease` is the concavity, and
    `step` the RGB distance, at which the belief is one half, and the sharpness of that decision.
    """
    arrays = [np.ascontiguousarray(a, np.float32) for a in (position, normal, color, reach)]
    arrays += [np.ascontiguousarray(a, np.int32) for a in (owner, neighbor)]
    points = _ContactPoints(*(a.ctypes.data for a in arrays), *neighbor.shape, *crease, *step)
    smooth = np.empty(neighbor.shape, np.float32)
    load().call("ig_contacts", points, ctypes.c_void_p(smooth.ctypes.data), ctypes.c_int32(threads()))
    return smooth

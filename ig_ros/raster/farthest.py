"""Farthest point sampling by the compiled kernel, which other threads need not wait for."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from ig_ros.raster.library import load, threads
from ig_ros.types import FloatArray, IntArray


class _PointSets(ctypes.Structure):
    """Mirror of the struct in native/farthest.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("points", "first", "seed")),
        *((name, ctypes.c_int64) for name in ("sets", "dims")),
    ]


def farthest_points(sets: Sequence[FloatArray], counts: Sequence[int]) -> list[tuple[IntArray, FloatArray]]:
    """Of each set, (n, D) float32, as many rows as its count says, each as far from those before it as can be.

    The first is row 0. Per set: seeds (s,) int64, and radius (s,) float32, each one's distance to those before it: it
    falls from seed to seed, and the first one's is infinite. A count is at most n. [Eldar et al. 1997]; the same as
    `fpsample` finds, which holds the interpreter for tens of milliseconds a set, so that frames come too late.
    Raises MemoryError.
    """
    if not sets:
        return []
    points = np.ascontiguousarray(np.concatenate(sets), np.float32)
    first, seed = (np.concatenate([[0], np.cumsum(sizes)]) for sizes in ([len(rows) for rows in sets], counts))
    seeds, radius = np.empty(seed[-1], np.int64), np.empty(seed[-1], np.float32)
    packed = _PointSets(points.ctypes.data, first.ctypes.data, seed.ctypes.data, len(sets), points.shape[1])
    out = (ctypes.c_void_p(array.ctypes.data) for array in (seeds, radius))
    load().call("ig_farthest", packed, *out, ctypes.c_int32(threads()))
    return list(zip(np.split(seeds, seed[1:-1]), np.split(radius, seed[1:-1]), strict=True))

"""Merging touching groups of points while masks, features and surfaces agree, by the compiled kernel."""

from __future__ import annotations

import ctypes

import numpy as np

from ig_ros.raster.library import load
from ig_ros.types import Array, FloatArray, IntArray


class MergeRule(ctypes.Structure):
    """Mirror of the struct in native/merging.cpp; ig_ros/instances/merging.py says what the numbers mean."""

    _fields_ = [
        *((name, ctypes.c_double) for name in ("threshold", "feature_gap", "feature_trust", "feature_share")),
        *((name, ctypes.c_double) for name in ("boundary_trust", "goes_on", "sharpness", "same", "same_clarity")),
        *((name, ctypes.c_double) for name in ("alike", "unlike", "smooth_trust")),
        *((name, ctypes.c_float) for name in ("least", "dominance", "full")),
    ]


class _MergeState(ctypes.Structure):
    """Mirror of the struct in native/merging.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("mass", "mean", "count", "dominant", "weight", "group", "first", "end")),
        *((name, ctypes.c_int64) for name in ("groups", "features", "columns", "views")),
    ]


def merge_groups(
    rule: MergeRule,
    mass: FloatArray,
    mean: FloatArray,
    masks: IntArray,
    count: FloatArray,
    dominant: IntArray,
    weight: FloatArray,
    pairs: IntArray,
    smooth: FloatArray,
    length: FloatArray,
) -> IntArray:
    """(G,) int64 group that each of G groups becomes a part of: itself, or another one.

    mass (G,) points and mean (G, F) features of the groups; masks (K,) of every view, count (G, W) of
    `counting.mask_counts`, dominant and weight (G, K) of `counting.dominant_masks`; pairs (E, 2) that touch, with
    length (E,) contacts, smooth (E,) of which are smooth. Raises MemoryError.
    """
    group = np.arange(len(mass))
    first = np.cumsum(masks) - masks + np.arange(len(masks))
    state: list[Array] = [
        np.array(mass, np.float64),
        np.array(mean, np.float64, order="C"),
        np.ascontiguousarray(count, np.float32),
        np.array(dominant, np.int32, order="C"),
        np.array(weight, np.float32, order="C"),
        group,
        np.ascontiguousarray(first, np.int64),
        np.ascontiguousarray(first + masks + 1, np.int64),
    ]
    edges: list[Array] = [
        np.ascontiguousarray(pairs, np.int64),
        np.ascontiguousarray(smooth, np.float64),
        np.ascontiguousarray(length, np.float64),
    ]
    size = (len(mass), mean.shape[1], count.shape[1], len(masks))
    shared = _MergeState(*(a.ctypes.data for a in state), *size)
    places = (ctypes.c_void_p(a.ctypes.data) for a in edges)
    load().call("ig_merge", rule, shared, *places, ctypes.c_int64(len(pairs)))
    return group

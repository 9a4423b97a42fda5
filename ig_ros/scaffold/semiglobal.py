"""Semi-global matching (Hirschmueller, PAMI 2008): one smooth choice per pixel out of a volume of costs."""

from __future__ import annotations

import numpy as np

from ig_ros.types import FloatArray, IntArray

STEP_PENALTY = 3.0  # grey levels for a neighbour one hypothesis away: a slanted surface
JUMP_PENALTY = 40.0  # ... for any other: an edge in depth
RIVAL = 2  # hypotheses further apart than this are rivals, not neighbours


def aggregate(volume: FloatArray) -> FloatArray:
    """Sum over four directions of the cheapest path that ends at each entry; volume (D, h, w) float32, same out."""
    total = np.zeros_like(volume)
    for axis in (1, 2):
        lines = np.ascontiguousarray(np.moveaxis(volume, axis, 0))  # (n, D, m)
        summed = np.zeros_like(lines)
        _walk(lines, summed)
        _walk(lines[::-1], summed[::-1])
        total += np.moveaxis(summed, 0, axis)
    return total


def _walk(lines: FloatArray, summed: FloatArray) -> None:
    """Add to `summed` (n, D, m) the path costs along its first axis."""
    path = lines[0].copy()
    summed[0] += path
    for i in range(1, len(lines)):
        least = path.min(0)
        best = np.minimum(path, least + JUMP_PENALTY)
        np.minimum(best[1:], path[:-1] + STEP_PENALTY, out=best[1:])
        np.minimum(best[:-1], path[1:] + STEP_PENALTY, out=best[:-1])
        best -= least
        best += lines[i]
        path = best
        summed[i] += path


def choose(total: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The cheapest hypothesis (h, w), a fraction by a parabola, and how many times as much its best rival costs (h, w).

    A ratio near 1 means that the pixel could as well be elsewhere. total (D, h, w), D >= 3.
    """
    depth = len(total)
    best: IntArray = total.argmin(0)
    middle = np.clip(best, 1, depth - 2)[None]
    before, here, after = (np.take_along_axis(total, middle + k, axis=0)[0] for k in (-1, 0, 1))
    fraction = vertex(before, here, after, 0.5) * (best == middle[0])
    least = np.take_along_axis(total, best[None], axis=0)[0]
    away = np.abs(np.arange(depth)[:, None, None] - best) > RIVAL
    rival = np.where(away, total, np.inf).min(0)
    return best + fraction, rival / np.maximum(least, 1.0)


def vertex(before: FloatArray, here: FloatArray, after: FloatArray, limit: float) -> FloatArray:
    """Where the parabola through three values at -1, 0, 1 is lowest, within +-limit; 0 where it opens downwards."""
    bend = before - 2 * here + after
    place = (before - after) / (2 * np.maximum(bend, 1e-6))
    return np.where(bend > 1e-3, np.clip(place, -limit, limit), 0.0)

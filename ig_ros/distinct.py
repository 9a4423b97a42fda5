"""Which ids occur in an array."""

from __future__ import annotations

import numpy as np

from ig_ros.types import IntArray

MANY = 1 << 20  # range of ids beyond which they are sorted instead of counted in a table


def distinct(ids: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Of ids (P,): those that occur, increasing (M,), each one's place among them (P,), how often each occurs (M,)."""
    low, high = int(ids.min(initial=0)), int(ids.max(initial=0))
    if high - low > MANY:
        return np.unique(ids, return_inverse=True, return_counts=True)
    count = np.bincount(ids - low)
    found = count > 0
    return np.flatnonzero(found) + low, (np.cumsum(found) - 1)[ids - low], count[found]

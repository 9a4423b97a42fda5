"""One colour per object id, the same everywhere: clouds, boxes, pictures."""

from __future__ import annotations

import colorsys

import numpy as np
import numpy.typing as npt

from ig_ros.types import IntArray

GOLDEN = 0.6180339887  # neighbouring ids land far apart on the hue circle
TABLE = 1024


def _table() -> npt.NDArray[np.uint8]:
    rows = [
        colorsys.hsv_to_rgb(i * GOLDEN % 1.0, (0.85, 0.6, 0.95)[i % 3], (0.95, 0.8, 0.65)[i // 3 % 3])
        for i in range(TABLE)
    ]
    return (np.array(rows) * 255).astype(np.uint8)


_COLORS = _table()


def id_colors(ids: IntArray) -> npt.NDArray[np.uint8]:
    """(..., 3) colour of each id; ids repeat their colour after 1024."""
    return _COLORS[np.asarray(ids) % TABLE]

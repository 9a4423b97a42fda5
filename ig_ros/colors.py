"""One colour per object id, the same everywhere, and what colours are called."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.types import FloatArray, IntArray

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


COLOR_NAMES = (
    "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "brown", "black", "grey", "white",
)  # fmt: skip
_HUES = (  # upper end in degrees, name; red again after the last
    (14.0, "red"), (40.0, "orange"), (68.0, "yellow"), (165.0, "green"), (195.0, "cyan"), (258.0, "blue"),
    (295.0, "purple"), (338.0, "pink"), (360.0, "red"),
)  # fmt: skip
DARK, PALE, GREY = 0.2, 0.75, 0.18  # value below which all is black, above which greys are white; saturation of greys
BROWN = 0.65  # value below which orange is brown
_ENDS = np.array([end for end, _ in _HUES])
_NUMBERS = np.array([COLOR_NAMES.index(name) for _, name in _HUES])


def color_numbers(rgb: FloatArray) -> IntArray:
    """(n,) place in COLOR_NAMES of colours rgb (n, 3) in [0, 1]."""
    hue, saturation, value = cv2.cvtColor(rgb.astype(np.float32)[:, None], cv2.COLOR_RGB2HSV).reshape(-1, 3).T
    number = _NUMBERS[np.searchsorted(_ENDS, hue)]
    number = np.where((number == COLOR_NAMES.index("orange")) & (value < BROWN), COLOR_NAMES.index("brown"), number)
    grey = np.where(value > PALE, COLOR_NAMES.index("white"), COLOR_NAMES.index("grey"))
    number = np.where(saturation < GREY, grey, number)
    return np.where(value < DARK, COLOR_NAMES.index("black"), number)

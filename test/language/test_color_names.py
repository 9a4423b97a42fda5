"""Names of colours, all at once, against colorsys one by one."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from ig_ros.colors import COLOR_NAMES, color_numbers

UPPER = ((14, "red"), (40, "orange"), (68, "yellow"), (165, "green"), (195, "cyan"), (258, "blue"), (295, "purple"),
         (338, "pink"), (360, "red"))  # fmt: skip


def name_slowly(rgb: np.ndarray) -> str:
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    if value < 0.2:
        return "black"
    if saturation < 0.18:
        return "white" if value > 0.75 else "grey"
    name = next(n for end, n in UPPER if hue * 360 <= end)
    return "brown" if name == "orange" and value < 0.65 else name


def test_every_colour_has_the_name_that_its_hue_saturation_and_value_say() -> None:
    rgb = np.random.default_rng(0).random((5000, 3))
    rgb[:500] *= 0.3  # dark ones
    rgb[500:1000] = 1 - 0.3 * rgb[500:1000]  # pale ones
    names = [COLOR_NAMES[i] for i in color_numbers(rgb)]
    assert names == [name_slowly(c) for c in rgb]
    assert set(names) == set(COLOR_NAMES)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((0, 0, 0), "black"), ((1, 1, 1), "white"), ((0.5, 0.5, 0.5), "grey"), ((1, 0, 0), "red"), ((0, 1, 0), "green"),
     ((0, 0, 1), "blue"), ((1, 1, 0), "yellow"), ((0.5, 0.25, 0.05), "brown"), ((1, 0, 0.02), "red")],
)  # fmt: skip
def test_pure_colours(rgb: tuple[float, float, float], name: str) -> None:
    assert COLOR_NAMES[color_numbers(np.array([rgb], float))[0]] == name

"""The options of a simulated scene, written behind its name: sim:tabletop?seed=3&frames=80&masks=noisy."""

from __future__ import annotations

from dataclasses import dataclass, fields
from urllib.parse import parse_qsl

from ig_ros.errors import DatasetError

CHOICES = {"masks": ("noisy", "exact", "repeating", "none"), "depth": ("noisy", "exact", "none")}
RANGES = {"seed": (0, 2**31), "frames": (1, 100_000), "width": (64, 4096), "noise": (0.0, 8.0)}


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """How a simulated scene is recorded."""

    seed: int = 1  # chooses objects, places, looks, path and all noise
    frames: int = 0  # pictures along the same path, 0 = as many as the scene proposes
    width: int = 640  # px; height is 3/4 of it
    masks: str = "noisy"  # noisy: errors differ from frame to frame; repeating: they come back; exact; none
    noise: float = 1.0  # multiplies the rates of the mask errors
    depth: str = "noisy"  # noisy: quantised, holes at edges; exact; none: RGB only
    meshes: str = ""  # folder of scanned objects (scene "scanned" only)


def parse_options(query: str) -> SimulationOptions:
    """Options from a query string; unknown names and impossible values raise DatasetError with what is allowed."""
    defaults = SimulationOptions()
    types = {field.name: type(getattr(defaults, field.name)) for field in fields(defaults)}
    values: dict[str, int | float | str] = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        if key not in types:
            raise DatasetError(f"unknown simulation option '{key}': known are {', '.join(types)}")
        try:
            values[key] = types[key](text)
        except ValueError as error:
            raise DatasetError(f"simulation option {key}={text} must be a number ({types[key].__name__})") from error
        if key in CHOICES and text not in CHOICES[key]:
            raise DatasetError(f"simulation option {key}={text}: must be one of {', '.join(CHOICES[key])}")
        low, high = RANGES.get(key, (None, None))
        if low is not None and high is not None and not low <= float(text) <= high:
            raise DatasetError(f"simulation option {key}={text}: must be between {low} and {high}")
    return SimulationOptions(**values)  # type: ignore[arg-type]

"""Finding free places for things by the rectangles they stand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ig_ros.simulation.scene import Thing
from ig_ros.simulation.textures import Random
from ig_ros.types import FloatArray

TRIES = 4000


@dataclass(frozen=True, slots=True)
class Footprint:
    """Oriented rectangle on the ground: what a thing covers when seen from above."""

    centre: tuple[float, float]  # m, where the thing's own origin is
    offset: tuple[float, float]  # m, from the thing's origin to the middle of the rectangle, in the thing's frame
    half: tuple[float, float]  # m, half edge lengths along the thing's own axes
    degrees: float = 0.0

    @property
    def area(self) -> float:
        return 4 * self.half[0] * self.half[1]

    def corners(self, margin: float = 0.0) -> FloatArray:
        """(4, 2) corners in m, grown by a margin."""
        a = np.radians(self.degrees)
        R = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        local = np.asarray(self.offset) + signs * (np.asarray(self.half) + margin)
        corners: FloatArray = local @ R.T + np.asarray(self.centre)
        return corners


def footprint_of(thing: Thing) -> Footprint:
    """The footprint of a thing that stands at the origin."""
    low, high = thing.bounds()
    middle, half = (low + high) / 2, (high - low) / 2
    return Footprint((0.0, 0.0), (float(middle[0]), float(middle[1])), (float(half[0]), float(half[1])))


def overlap(first: Footprint, second: Footprint, gap: float) -> bool:
    """Whether two rectangles come closer than `gap` metres (separating axes)."""
    a, b = first.corners(gap / 2), second.corners(gap / 2)
    for polygon in (a, b):
        edges = np.diff(polygon[:3], axis=0)
        for axis in edges / np.linalg.norm(edges, axis=1, keepdims=True):
            pa, pb = a @ axis, b @ axis
            if pa.max() < pb.min() or pb.max() < pa.min():
                return False
    return True


def find_place(
    shape: Footprint, half: FloatArray, taken: Sequence[Footprint], gap: float, random: Random
) -> Footprint | None:
    """A random free pose inside the rectangle |x| <= half[0], |y| <= half[1], crowding the middle; None if full."""
    for attempt in range(TRIES):
        reach = half * min(1.0, 0.55 + attempt / 300)
        x, y = random.uniform(-reach, reach)
        place = Footprint((float(x), float(y)), shape.offset, shape.half, float(random.uniform(0, 360)))
        inside = (np.abs(place.corners()) <= half).all()
        if inside and not any(overlap(place, other, gap) for other in taken):
            return place
    return None

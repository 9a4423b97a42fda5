"""docs/relations.svg: every relation in a picture, coloured by what the code says of it.

    python -m benchmarks.language.drawings

Grey is the anchor, green what stands in the relation to it, pale what does not. Seen from above the observer looks up
the page from below; else it is a view from the side.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ig_ros.language.relations import between, related
from ig_ros.language.scene_geometry import SceneGeometry, geometry_of
from ig_ros.language.viewpoint import Viewpoint
from ig_ros.types import FloatArray, Instances, MapSnapshot, ObjectInstance

Box = tuple[tuple[float, float, float], tuple[float, float, float]]  # middle and edges, m
PATH = Path(__file__).parents[2] / "docs" / "relations.svg"
TABLE: Box = ((0, 0, 0.39), (1.2, 0.8, 0.04))
SHELF: tuple[Box, ...] = (((0, 0, 0.02), (0.8, 0.4, 0.04)), ((0, 0, 0.42), (0.8, 0.4, 0.04)),
                          ((-0.39, 0, 0.22), (0.02, 0.4, 0.44)), ((0.39, 0, 0.22), (0.02, 0.4, 0.44)))  # fmt: skip
CUP = (0.12, 0.12, 0.14)
GRID: tuple[Box, ...] = tuple(((x, y, 0.48), CUP) for x in (-0.5, -0.25, 0, 0.25, 0.5) for y in (-0.3, -0.1, 0.1, 0.3))
RING: tuple[Box, ...] = tuple(((x, y, 0.07), CUP) for x in (-0.6, -0.3, 0, 0.3, 0.6) for y in (-0.45, -0.2, 0.2, 0.45))
PILE: tuple[Box, ...] = (((-0.3, 0, 0.44), (0.3, 0.3, 0.06)), ((-0.3, 0, 0.54), CUP), ((0.3, 0, 0.48), CUP),
                         ((0.3, 0, 0.07), CUP), ((-0.25, 0, 0.07), CUP), ((0.8, 0, 0.07), CUP))  # fmt: skip
INSIDE: tuple[Box, ...] = (((0, 0, 0.11), CUP), ((0.2, 0, 0.51), CUP), ((0.7, 0, 0.07), CUP))
PANELS: tuple[tuple[str, bool, tuple[Box, ...], tuple[Box, ...]], ...] = (  # name, from above, anchor's boxes, things
    *((name, True, (((0, 0, 0.1), (0.24, 0.16, 0.2)),), RING) for name in ("left of", "behind", "next to")),
    *((f"{place} of", True, (TABLE,), GRID) for place in ("center", "edge", "corner", "left side", "back side")),
    *((name, False, (TABLE,), PILE) for name in ("on", "under")),
    ("above", False, (((-0.3, 0, 0.07), CUP),), (TABLE, ((-0.3, 0, 0.6), CUP), ((0.3, 0, 0.6), CUP))),
    ("in", False, SHELF, INSIDE),
)
SCALE, WIDE, HIGH = 100, 190, 140  # px per m, and of a panel


def surface(box: Box) -> FloatArray:
    """(n, 3) points on a box."""
    random = np.random.default_rng(1)
    points = random.uniform(-0.5, 0.5, (1500, 3))
    side = random.integers(0, 3, 1500)
    points[np.arange(1500), side] = np.sign(points[np.arange(1500), side]) * 0.5
    return np.asarray(points * box[1] + box[0])


def scene_of(things: list[tuple[Box, ...]]) -> SceneGeometry:
    """Things of boxes each, as a map would have them."""
    points = [np.concatenate([surface(box) for box in boxes]) for boxes in things]
    objects = []
    for number, own in enumerate(points, start=1):
        T = np.eye(4)
        T[:3, 3] = (own.min(0) + own.max(0)) / 2
        objects.append(ObjectInstance(number, "", 1.0, 3, T, np.ptp(own, axis=0), len(own)))
    ids = np.repeat(np.arange(1, len(points) + 1, dtype=np.int32), [len(p) for p in points])
    xyz, ones = np.concatenate(points), np.ones(len(ids), np.float32)
    return geometry_of(MapSnapshot(1, 0, 0, xyz, np.zeros((len(ids), 3), np.uint8), ones,
                                   Instances(ids, ones, tuple(objects))))  # fmt: skip


def panel(name: str, above: bool, anchors: list[tuple[Box, ...]], things: tuple[Box, ...], place: int) -> str:
    """One picture with its name."""
    scene = scene_of([*anchors, *((box,) for box in things)])
    view = Viewpoint(np.array([0, -4.0, 1.5]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    score = between(scene, (0, 1), view.position) if name == "between" else related(name, scene, 0, view)
    fills = ["#888"] * sum(map(len, anchors))
    fills += ["#3a3" if s >= 0.5 else "#dde" for s in score[len(anchors) :]]
    x0, y0 = (place % 4) * WIDE + WIDE / 2, (place // 4) * HIGH + (HIGH / 2 + 6 if above else HIGH - 25)
    parts = [f'<text x="{x0}" y="{place // 4 * HIGH + 14}" text-anchor="middle">{name}</text>']
    for fill, (middle, size) in zip(fills, [*(b for boxes in anchors for b in boxes), *things], strict=True):
        up = 1 if above else 2
        left, top = x0 + SCALE * (middle[0] - size[0] / 2), y0 - SCALE * (middle[up] + size[up] / 2)
        edges = f'width="{SCALE * size[0]:.0f}" height="{max(SCALE * size[up], 2):.0f}"'
        parts.append(f'<rect x="{left:.0f}" y="{top:.0f}" {edges} fill="{fill}" stroke="#444" stroke-width="0.7"/>')
    return "\n".join(parts)


def main() -> None:
    """Write the page's picture."""
    panels = [panel(name, above, [anchor], things, i) for i, (name, above, anchor, things) in enumerate(PANELS)]
    ends: list[tuple[Box, ...]] = [(((-0.6, 0, 0.07), CUP),), (((0.6, 0, 0.07), CUP),)]
    panels.append(panel("between", True, ends, RING[4:16], len(PANELS)))
    size = f'width="{4 * WIDE}" height="{-(-len(panels) // 4) * HIGH}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    PATH.write_text("\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *panels, "</svg>"]) + "\n")


if __name__ == "__main__":
    main()

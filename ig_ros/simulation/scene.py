"""What a simulated scene consists of: things made of textured parts, placed once, lamps, and a camera path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ig_ros.simulation.mesh import Mesh
from ig_ros.simulation.textures import Texture
from ig_ros.types import FloatArray


@dataclass(frozen=True, slots=True)
class Part:
    """A surface and the picture on it."""

    mesh: Mesh
    texture: Texture  # (S, S, 3) uint8, S a power of two


@dataclass(frozen=True, slots=True)
class Thing:
    """One instance: a named object or a piece of the room."""

    name: str
    parts: tuple[Part, ...]
    paraphrases: tuple[str, ...] = ()  # other texts that ask for it
    support: int = 0  # id of what it stands on, 0 = nothing
    structure: bool = False  # floor, wall, ceiling: not an object

    def changed(self, change: Callable[[Mesh], Mesh]) -> Thing:
        """The same thing with every mesh moved, turned or scaled."""
        return replace(self, parts=tuple(replace(part, mesh=change(part.mesh)) for part in self.parts))

    def at(self, x: float, y: float, z: float = 0.0, degrees: float = 0.0) -> Thing:
        """Turned about the vertical and moved."""
        return self.changed(lambda mesh: mesh.turned("z", degrees).moved(x, y, z))

    def grounded(self) -> Thing:
        """Moved up or down so that its lowest point is at z = 0."""
        low, _ = self.bounds()
        return self.changed(lambda mesh: mesh.moved(z=-float(low[2])))

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest corner (3,) of the axis-aligned box around it, m."""
        vertices = np.concatenate([part.mesh.vertices for part in self.parts])
        return vertices.min(axis=0), vertices.max(axis=0)


@dataclass(frozen=True, slots=True)
class Lamp:
    """A small area light, as a few points of equal strength."""

    points: FloatArray  # (L, 3) m
    strength: float  # irradiance that the whole lamp gives at 1 m distance, relative to white = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything needed to render a scene and to know the truth about it; a thing's id is its place plus one."""

    name: str
    things: tuple[Thing, ...]
    lamps: tuple[Lamp, ...]
    path: FloatArray  # (F, 4, 4) camera-to-world poses, m
    absent: tuple[str, ...]  # texts of things that are not there
    spacing: float  # mean distance between truth points, m


def area_lamp(x: float, y: float, z: float, radius: float, strength: float, count: int = 3) -> Lamp:
    """A horizontal round lamp represented by `count` points on its rim."""
    angle = np.arange(count) * 2 * np.pi / count + 0.4
    points = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle), np.full(count, z)], axis=1)
    return Lamp(points, strength)


def look_at(eye: FloatArray, target: FloatArray, roll: float = 0.0) -> FloatArray:
    """Camera-to-world pose (4, 4), OpenCV axes, at `eye` (3,) looking to `target` (3,), rolled by radians."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    right, down = np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right
    T = np.eye(4)
    T[:3] = np.stack([right, down, forward, eye], axis=1)
    return T

"""Triangle meshes and the few parametric shapes that household things are made of. Metres, z up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from ig_ros.geometry import dot
from ig_ros.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Mesh:
    """A surface with a smooth normal and a texture coordinate per vertex."""

    vertices: FloatArray  # (V, 3) m
    normals: FloatArray  # (V, 3) unit
    uv: FloatArray  # (V, 2), 1 = one repeat of the texture
    triangles: IntArray  # (T, 3)

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
        return replace(self, vertices=self.vertices + np.array([x, y, z]))

    def turned(self, axis: str, degrees: float) -> Mesh:
        """Rotated about a coordinate axis ('x', 'y' or 'z') through the origin."""
        R = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
        return replace(self, vertices=self.vertices @ R.T, normals=self.normals @ R.T)

    def scaled(self, x: float, y: float, z: float) -> Mesh:
        s = np.array([x, y, z])
        normals = self.normals / s
        return replace(self, vertices=self.vertices * s, normals=unit(normals))

    def tiled(self, u: float, v: float) -> Mesh:
        """Texture coordinates multiplied: u and v repeats where there was one."""
        return replace(self, uv=self.uv * np.array([u, v]))


def unit(vectors: FloatArray) -> FloatArray:
    """Vectors (..., 3) at length 1; zero vectors stay zero."""
    return vectors / np.sqrt(np.maximum(dot(vectors, vectors), 1e-24))[..., None]


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several."""
    offsets = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uv for m in meshes]),
        np.concatenate([m.triangles + o for m, o in zip(meshes, offsets, strict=True)]),
    )


def grid_triangles(rows: int, cols: int) -> IntArray:
    """Triangles of a (rows, cols) vertex grid stored row by row; counter-clockwise where row x col is outward."""
    corner = (np.arange(rows - 1)[:, None] * cols + np.arange(cols - 1)).ravel()
    first = np.stack([corner, corner + cols, corner + cols + 1], axis=1)
    second = np.stack([corner, corner + cols + 1, corner + 1], axis=1)
    return np.concatenate([first, second])


def plate(width: float, depth: float, cell: float = 0.05) -> Mesh:
    """Flat rectangle in the xy plane, centred, facing +z, cut into cells for baked shading; uv in [0, 1]."""
    nx, ny = (max(2, round(length / cell) + 1) for length in (width, depth))
    u, v = np.meshgrid(np.linspace(0, 1, nx), np.linspace(0, 1, ny))
    vertices = np.stack([(u - 0.5) * width, (v - 0.5) * depth, np.zeros_like(u)], axis=-1).reshape(-1, 3)
    normals = np.tile([0.0, 0.0, 1.0], (len(vertices), 1))
    uv = np.stack([u, 1 - v], axis=-1).reshape(-1, 2)
    return Mesh(vertices, normals, uv, grid_triangles(ny, nx))


FACES = (  # rotation that brings a +z plate to each side of a box, and the axes its width, depth and height lie on
    ((), (0, 1, 2)),  # top
    ((("x", 180.0),), (0, 1, 2)),  # bottom
    ((("x", 90.0),), (0, 2, 1)),  # front, -y
    ((("x", 90.0), ("z", 180.0)), (0, 2, 1)),  # back, +y
    ((("x", 90.0), ("z", 90.0)), (1, 2, 0)),  # right, +x
    ((("x", 90.0), ("z", -90.0)), (1, 2, 0)),  # left, -x
)


def box(width: float, depth: float, height: float, bevel: float = 0.002, cell: float = 0.05) -> Mesh:
    """Box standing on z = 0, centred in x and y, with rounded edges; each side shows the whole texture upright."""
    size = np.array([width, depth, height])
    bevel = min(bevel, 0.49 * float(size.min()))
    sides = []
    for turns, (a, b, c) in FACES:
        side = plate(size[a], size[b], cell).moved(z=size[c] / 2)
        for axis, degrees in turns:
            side = side.turned(axis, degrees)
        sides.append(side)
    whole = join(sides)
    core = whole.vertices.clip(-(size / 2 - bevel), size / 2 - bevel)
    rounded = unit(whole.vertices - core)
    return replace(whole, vertices=core + bevel * rounded, normals=rounded).moved(z=height / 2)


def box_uv_in_metres(mesh: Mesh, tile: float) -> Mesh:
    """Texture coordinates from position instead: the texture repeats every `tile` metres on every side."""
    axis = np.abs(mesh.normals).argmax(axis=1)
    x, y, z = mesh.vertices.T / tile
    u = np.select([axis == 0], [y], x)
    v = np.select([axis == 2], [y], z)
    return replace(mesh, uv=np.stack([u, v], axis=1))


def lathe(profile: Sequence[tuple[float, float]], segments: int = 48) -> Mesh:
    """Surface of revolution about z. profile: (radius, z) from the bottom along the outside; u = angle, v = 1 - length.

    A corner is kept sharp by naming its point twice.
    """
    points = np.asarray(profile, dtype=np.float64)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    steps = np.diff(points, axis=0)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(steps, axis=1))])
    slope = np.stack([steps[:, 1], -steps[:, 0]], axis=1)  # outward of each piece
    slope /= np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)
    normal = np.zeros_like(points)
    normal[:-1] += slope
    normal[1:] += slope
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    vertices = np.concatenate([points[:, None, :1] * ring[None], np.repeat(points[:, None, 1:], len(ring), 1)], -1)
    normals = np.concatenate([normal[:, None, :1] * ring[None], np.repeat(normal[:, None, 1:], len(ring), 1)], -1)
    u, v = np.meshgrid(angle / (2 * np.pi), 1 - length / length[-1])
    uv = np.stack([u, v], axis=-1).reshape(-1, 2)
    return Mesh(vertices.reshape(-1, 3), normals.reshape(-1, 3), uv, grid_triangles(len(points), len(ring)))


def cylinder(radius: float, height: float, bevel: float = 0.001, segments: int = 40) -> Mesh:
    """Closed upright cylinder standing on z = 0."""
    r, b = radius - bevel, bevel
    side = [(radius, z) for z in np.linspace(b, height - b, max(2, round(height / 0.05) + 1))]
    return lathe([(0, 0), (r, 0), (r, 0), *side, (r, height), (r, height), (0, height)], segments)


def ball(radius: float, rings: int = 24, segments: int = 40) -> Mesh:
    """Sphere resting on z = 0."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, rings)
    return lathe([(radius * np.cos(a), radius * (1 + np.sin(a))) for a in angle], segments)


def cushion(width: float, depth: float, height: float, power: float = 0.6) -> Mesh:
    """Pillow-like superellipsoid on z = 0; lower powers are boxier."""
    mesh = ball(1.0, 28, 48)
    p = mesh.vertices - [0, 0, 1]
    radial = np.hypot(p[:, 0], p[:, 1])
    square = radial / np.maximum(np.abs(p[:, :2]).max(axis=1), 1e-9)
    bulge = 1 + (square - 1) * (1 - power)
    shaped = np.stack([p[:, 0] * bulge, p[:, 1] * bulge, np.sign(p[:, 2]) * np.abs(p[:, 2]) ** power], axis=1)
    vertices = shaped * np.array([width, depth, height]) / 2 + [0, 0, height / 2]
    uv = vertices[:, :2] / np.array([width, depth]) + 0.5
    normals = unit(p / np.array([width, depth, height]))
    return Mesh(vertices, normals, uv, mesh.triangles)


def tube(path: FloatArray, radius: FloatArray | float, segments: int = 14) -> Mesh:
    """Round tube along a path (N, 3) with radius (N,) or one for all; ends are closed. u runs around, v along."""
    path = np.asarray(path, dtype=np.float64)
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(path))
    path = np.concatenate([path[:1], path, path[-1:]])
    radii = np.concatenate([[1e-5], radii, [1e-5]])
    tangent = unit(np.gradient(path, axis=0))
    side, up = _frames(tangent)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    spoke = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * up[:, None]
    points = path[:, None] + radii[:, None, None] * spoke
    normals = spoke.copy()
    normals[0], normals[-1] = -tangent[0], tangent[-1]
    u, v = np.meshgrid(np.linspace(0, 1, segments + 1), np.linspace(0, 1, len(path)))
    uv = np.stack([u, v], axis=-1).reshape(-1, 2)
    return Mesh(points.reshape(-1, 3), normals.reshape(-1, 3), uv, grid_triangles(len(path), segments + 1))


def _frames(tangent: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two directions across the path that turn as little as possible (parallel transport)."""
    side = np.zeros_like(tangent)
    start = np.eye(3)[np.abs(tangent[0]).argmin()]
    for i, t in enumerate(tangent):
        previous = start if i == 0 else side[i - 1]
        side[i] = unit(previous - t * (previous @ t))
    return side, np.cross(tangent, side)


def arc(radius: float, start: float, stop: float, count: int = 16) -> FloatArray:
    """(count, 3) points of a circle in the xz plane between two angles in degrees."""
    a = np.radians(np.linspace(start, stop, count))
    return np.stack([radius * np.cos(a), np.zeros(count), radius * np.sin(a)], axis=1)

"""Three coloured cubes in a row on a grey floor: a map that is known exactly."""

from __future__ import annotations

import numpy as np
import torch

from ig_ros.types import GaussianBatch, Instances, MapSnapshot, ObjectInstance

CUBES = {1: ("book", -0.4, (30, 60, 220)), 2: ("mug", 0.0, (210, 30, 30)), 3: ("plant", 0.4, (30, 160, 60))}
EDGE = 0.24  # m
FLOOR = 4  # id
SPACING = 0.04  # m between Gaussians


def lattice(center: tuple[float, float, float], size: tuple[float, float, float]) -> np.ndarray:
    """Points (P, 3) m on the surface and inside of a box."""
    axes = [np.arange(-s / 2, s / 2 + 1e-6, SPACING) for s in size]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) + center


def pose(x: float, y: float, z: float) -> np.ndarray:
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T


def shelf(version: int = 1) -> MapSnapshot:
    """Cubes stand at x = -0.4, 0 and 0.4 m, their middle 0.12 m above the floor."""
    parts, colors, ids, objects = [], [], [], []
    for number, (label, x, color) in CUBES.items():
        points = lattice((x, 0.0, EDGE / 2), (EDGE,) * 3)
        parts.append(points)
        colors.append(np.tile(np.array(color, np.uint8), (len(points), 1)))
        ids.append(np.full(len(points), number, np.int32))
        box = pose(x, 0, EDGE / 2)
        objects.append(ObjectInstance(number, label, 0.9, 7, box, np.full(3, EDGE), len(points)))
    floor = lattice((0.0, 0.0, -0.05), (1.6, 1.6, 0.0))
    parts.append(floor)
    colors.append(np.full((len(floor), 3), 128, np.uint8))
    ids.append(np.full(len(floor), FLOOR, np.int32))
    objects.append(ObjectInstance(FLOOR, "floor", 0.9, 7, pose(0, 0, -0.05), np.array([1.6, 1.6, 0.01]), len(floor)))
    xyz, n = np.concatenate(parts).astype(np.float32), sum(map(len, parts))
    rgb, opacity = np.concatenate(colors), np.full(n, 0.95, np.float32)
    gaussians = GaussianBatch(
        torch.from_numpy(xyz),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        torch.full((n, 3), SPACING / 2),
        torch.from_numpy(opacity),
        torch.from_numpy(rgb / np.float32(255)),
        torch.arange(n),
    )
    instances = Instances(np.concatenate(ids), np.full(n, 0.9, np.float32), tuple(objects))
    return MapSnapshot(version, 10 * version, 0, xyz, rgb, opacity, instances, pose(0.2, -1.5, 0.9), gaussians)

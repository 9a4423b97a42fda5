"""Poses that drift: a keyframe's pose is refined on the surface that the keyframes before it have measured.

Point-to-plane ICP [CM92] with a robust kernel, on depth alone. The surface is that of the stored keyframes which see
the same ground, at the poses they have by now: it moves with them, is forgotten with them, and nothing else is stored.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from ig_ros.depth_images import DEPTH_NOISE
from ig_ros.geometry import inverse, transform
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.types import Camera, FloatArray, IntArray

log = logging.getLogger(__name__)

WINDOW = 5  # px square in which a pixel's plane is fitted
POINTS = 4000  # of a keyframe at most
VIEWS = 10  # keyframes at most whose depth makes the surface
OVERLAP = 0.3  # share of a new view's points that a keyframe must show to be one of them
VOXEL = 0.015  # edge of the surface's cells, share of the median depth
REACH = 0.1  # m between a point and the surface, and between a pose and the refined one, at most
HELD = 0.01  # mean square of the surface's normals along a direction, below which it slides
MATCHED = 0.2  # share of a view's points that must lie on the surface
ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Surface:
    """Points with normals, of one camera's frame or of the world from an origin near by."""

    points: FloatArray  # (N, 3) float64 m
    normals: FloatArray  # (N, 3) unit, towards the camera


@dataclass(frozen=True, slots=True)
class Fit:
    """How a view lies on the surface at a pose."""

    T: FloatArray  # (4, 4)
    cost: float  # mean over all points of the squared residual by the kernel's width, at most 1 each
    matched: float  # share of the points that lie within the kernel
    held: int = 6  # directions, of 6, that the surface holds


def measured_surface(depth: FloatArray, camera: Camera) -> Surface:
    """Returns the planes (N at most POINTS, camera frame) fitted to windows of depth (H, W) m without hole or step.

    Over a plane 1/z is linear in the pixel, so that the fit is one filter per coefficient.
    """
    known = depth > 0
    rho = np.where(known, 1 / np.where(known, depth, 1), 0).astype(np.float64)
    steps, ones = np.arange(WINDOW) - WINDOW // 2.0, np.ones(WINDOW)
    spread = float((steps**2).mean())
    du, dv, mean, square = (
        cv2.sepFilter2D(image, -1, kx, ky, borderType=cv2.BORDER_CONSTANT) / WINDOW**2
        for image, kx, ky in (
            (rho, steps / spread, ones), (rho, ones, steps / spread), (rho, ones, ones), (rho**2, ones, ones),
        )
    )  # fmt: skip
    whole = cv2.erode(known.astype(np.uint8), np.ones((WINDOW, WINDOW)), borderValue=0) > 0
    rest = square - mean**2 - spread * (du**2 + dv**2)
    plane = whole & (rest < (DEPTH_NOISE / 3 * mean) ** 2)
    stride = int(np.ceil(np.sqrt(max(plane.sum(), 1) / POINTS)))
    grid = np.zeros_like(plane)
    grid[::stride, ::stride] = True
    rows, cols = np.nonzero(plane & grid)
    a, b, z = du[rows, cols], dv[rows, cols], 1 / mean[rows, cols]
    pixel = np.stack([cols + 0.5, rows + 0.5, np.ones(len(z))])
    points = (np.linalg.inv(camera.K) @ pixel * z).T
    normals = -np.stack([a, b, 1 / z - a * pixel[0] - b * pixel[1]], axis=1) @ camera.K
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Surface(points, normals)


def fused_surface(parts: Sequence[tuple[Surface, FloatArray]], voxel: float) -> Surface:
    """Returns the mean per cell of surfaces, each of a camera's frame with its pose (4, 4); near ones count more."""
    points = np.concatenate([transform(T, s.points) for s, T in parts])
    normals = np.concatenate([s.normals @ T[:3, :3].T for s, T in parts])
    weight = np.concatenate([1 / s.points[:, 2] ** 2 for s, _ in parts])
    side = np.abs(normals).argmax(axis=1)  # the two sides of a thin thing stay two
    side = side * 2 + (normals[np.arange(len(side)), side] > 0)
    cell = np.floor(points / voxel).astype(np.int64) & 0xFFFFF
    _, group = np.unique(cell[:, 0] << 43 | cell[:, 1] << 23 | cell[:, 2] << 3 | side, return_inverse=True)
    total = np.bincount(group, weight)
    values = [np.bincount(group, weight * v) / total for v in (*points.T, *normals.T)]
    normals = np.stack(values[3:], axis=1)
    return Surface(np.stack(values[:3], axis=1), normals / np.linalg.norm(normals, axis=1, keepdims=True))


class Registration:
    """Lays a view's points on a surface."""

    def __init__(self, view: Surface, surface: Surface) -> None:
        """The surface's frame is that of the poses."""
        self._view, self._surface, self._tree = view, surface, cKDTree(surface.points)
        self._z = view.points[:, 2]
        self._middle = view.points.mean(axis=0)
        self._size = float(np.sqrt(((view.points - self._middle) ** 2).sum(axis=1).mean()))

    def cost(self, T: FloatArray, width: FloatArray) -> Fit:
        """Returns how the view lies at a pose (4, 4); width (N,) m is the kernel's."""
        residual, _, _ = self._residuals(T, REACH)
        share = np.minimum((residual / width) ** 2, 1.0)
        share[~np.isfinite(share)] = 1.0
        return Fit(T, float(share.mean()), float((share < 1).mean()))

    def refine(self, T: FloatArray, judged: FloatArray) -> Fit:
        """Returns the pose (4, 4) near T at which the view lies best, judged by a kernel of width (N,) m.

        The kernel starts at the depth's noise at each point's range and narrows to what the residuals show. Directions
        that the surface does not hold stay as they are in T.
        """
        width, reach, held = np.full(len(self._z), REACH), REACH, 6
        for i in range(ROUNDS):
            residual, normals, turned = self._residuals(T, reach)
            weight = np.where(np.isfinite(residual), np.maximum(1 - (residual / width) ** 2, 0) ** 2, 0.0)
            used = weight > 0
            if used.sum() < MATCHED * len(residual):
                return Fit(T, 1.0, float(used.mean()), held)
            step, held = self._step(residual[used], normals[used], turned[used], weight[used])
            T = self._moved(T, step)
            if np.linalg.norm(step) < 1e-5 and i >= 15:
                break
            spread = 1.4826 * np.median(np.abs(residual[used] / self._z[used]))
            reach = max(REACH / 3, reach * 0.8)
            width = np.maximum(np.clip(4.7 * spread, DEPTH_NOISE / 6, DEPTH_NOISE) * self._z, REACH * 0.8 ** (i + 1))
        fit = self.cost(T, judged)
        return Fit(T, fit.cost, fit.matched, held)

    def _residuals(self, T: FloatArray, reach: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Returns distances (N,) m from the surface's nearest planes, inf without, their normals and lever arms."""
        points, seen = transform(T, self._view.points), self._view.normals @ T[:3, :3].T
        far, place = self._tree.query(points, distance_upper_bound=reach)
        place[np.isinf(far)] = 0
        normals = self._surface.normals[place]
        residual = np.einsum("ni,ni->n", normals, points - self._surface.points[place])
        residual[np.isinf(far) | (np.einsum("ni,ni->n", normals, seen) < 0.7)] = np.inf
        return residual, normals, np.cross(points - transform(T, self._middle[None]), normals)

    def _step(
        self, residual: FloatArray, normals: FloatArray, turned: FloatArray, weight: FloatArray
    ) -> tuple[FloatArray, int]:
        """Returns a Gauss-Newton step (6,): turn times the view's size and shift, both m, and how much of it is held.

        [Z16]: along eigenvectors of the normal equations with small eigenvalues nothing moves.
        """
        J = np.concatenate([turned / self._size, normals], axis=1)
        value, vector = np.linalg.eigh((J.T * weight) @ J / weight.sum())
        held = value > HELD
        along = vector.T @ (J.T @ (weight * -residual)) / weight.sum()
        return vector[:, held] @ (along[held] / value[held]), int(held.sum())

    def _moved(self, T: FloatArray, step: FloatArray) -> FloatArray:
        """Returns T (4, 4) after a step, which turns about the view's middle."""
        D = np.eye(4)
        D[:3, :3] = Rotation.from_rotvec(step[:3] / self._size).as_matrix()
        middle = transform(T, self._middle[None])[0]
        D[:3, 3] = middle - D[:3, :3] @ middle + step[3:]
        return np.asarray(D @ T)


@dataclass(slots=True)
class PoseRefiner:
    """Refines the keyframes of one map as they come, and remembers by how much: T_map_slam."""

    counts: Counter[str] = field(default_factory=Counter)  # refined, partly, kept
    newest: FloatArray = field(default_factory=lambda: np.eye(4))  # (4, 4) T_map_slam of the newest keyframe
    shift: float = 0.0  # m and rad by which the newest keyframe has moved
    turn: float = 0.0
    doubtful: set[int] = field(default_factory=set)  # uids of keyframes that lie on nothing: no surface for others
    _carried: dict[str, FloatArray] = field(default_factory=dict)  # by camera
    _surfaces: OrderedDict[int, tuple[torch.Tensor, Surface]] = field(default_factory=OrderedDict)  # by uid

    def refine(self, keyframe: Keyframe, keyframes: Sequence[Keyframe]) -> None:
        """Moves the newest of the keyframes to where its depth lies on what the others have measured.

        Where it lies on nothing the correction of the one before holds.
        """
        slam = keyframe.T_world_camera
        origin = slam[:3, 3].copy()
        carried = self._carried.get(keyframe.source, self.newest) @ slam
        found = self._register(keyframe, keyframes, [_moved_by(T, -origin) for T in (carried, slam)])
        T = carried if found is None else _moved_by(found.T, origin)
        self.counts["kept" if found is None else "refined" if found.held == 6 else "partly"] += 1
        keyframe.T_world_camera = T
        self.newest = self._carried[keyframe.source] = T @ inverse(slam)
        self.shift = float(np.linalg.norm(T[:3, 3] - origin))
        self.turn = float(Rotation.from_matrix(self.newest[:3, :3]).magnitude())

    def _register(
        self, keyframe: Keyframe, keyframes: Sequence[Keyframe], starts: Sequence[FloatArray]
    ) -> Fit | None:
        """Returns the accepted fit from the best of some poses (4, 4), None where there is none.

        Poses are from an origin near by: that of the last one's camera in the world is what was taken off.
        """
        view = self._surface(keyframe)
        if view is None or len(view.points) < POINTS // 20:
            return None
        origin = keyframe.T_world_camera[:3, 3] - starts[-1][:3, 3]
        others = [k for k in keyframes if k is not keyframe and k.uid not in self.doubtful]
        near = overlapping(transform(starts[0], view.points[:: len(view.points) // 200]), others, origin)
        parts = [(s, _moved_by(k.T_world_camera, -origin)) for k in near if (s := self._surface(k)) is not None]
        if not parts:
            return None
        registration = Registration(view, fused_surface(parts, VOXEL * float(np.median(view.points[:, 2]))))
        width = DEPTH_NOISE / 3 * view.points[:, 2]
        fit = min((registration.refine(T, width) for T in starts), key=lambda fit: fit.cost)
        best = min((registration.cost(T, width) for T in starts), key=lambda fit: fit.cost)
        if fit.cost >= best.cost:
            fit = best
        moved = float(np.median(np.linalg.norm(transform(fit.T, view.points) - transform(best.T, view.points), axis=1)))
        if fit.matched < MATCHED or moved > REACH:
            self.doubtful.add(keyframe.uid)
            return None
        return fit

    def _surface(self, keyframe: Keyframe) -> Surface | None:
        """Returns what a keyframe has measured; the newest used are kept, as long as its depth is the same."""
        if keyframe.depth is None or keyframe.estimated:
            return None
        depth, surface = self._surfaces.pop(keyframe.uid, (None, None))
        if surface is None or depth is not keyframe.depth:
            surface = measured_surface(keyframe.depth.float().numpy(), keyframe.camera)
        self._surfaces[keyframe.uid] = (keyframe.depth, surface)
        if len(self._surfaces) > 4 * VIEWS:
            self._surfaces.popitem(last=False)
        return surface


def overlapping(points: FloatArray, keyframes: Sequence[Keyframe], origin: FloatArray) -> list[Keyframe]:
    """Returns the VIEWS keyframes at most that show most of points (P, 3) m, from an origin (3,), on their surface."""
    if not keyframes:
        return []
    T = np.stack([inverse(_moved_by(k.T_world_camera, -origin)) for k in keyframes])
    K = np.stack([k.camera.K for k in keyframes])
    size = np.array([[k.camera.width, k.camera.height] for k in keyframes])
    seen = points @ T[:, :3, :3].swapaxes(1, 2) + T[:, None, :3, 3]
    z = np.maximum(seen[..., 2], 1e-6)
    uv = (seen[..., :2] / z[..., None] * K[:, None, [0, 1], [0, 1]] + K[:, None, :2, 2]).clip(-1, size[:, None])
    inside = (seen[..., 2] > 0) & (uv >= 0).all(axis=2) & (uv < size[:, None]).all(axis=2)
    share = np.zeros(len(keyframes))
    for i in np.flatnonzero(inside.mean(axis=1) >= OVERLAP):
        if (depth := keyframes[i].depth) is None or keyframes[i].estimated:
            continue
        cols, rows = uv[i, inside[i]].astype(int).T
        near = np.abs(depth.numpy()[rows, cols] - z[i, inside[i]]) < REACH
        share[i] = near.sum() / len(points)
    return [keyframes[i] for i in np.argsort(-share)[:VIEWS] if share[i] >= OVERLAP]


def _moved_by(T: FloatArray, shift: FloatArray) -> FloatArray:
    """Returns T (4, 4) float64 shifted by (3,) m."""
    moved = np.array(T, np.float64)
    moved[:3, 3] += shift
    return moved

"""Poses that drift: a keyframe's pose is refined on the surface that the keyframes before it have measured.

Point-to-plane ICP with a robust kernel, on depth alone (docs/method.md, section 7.11). The surface is that of the
stored keyframes which see the same ground, at the poses they have by now: it moves with them, is forgotten with them,
and nothing else is stored.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from ig_ros.depth_images import DEPTH_NOISE
from ig_ros.geometry import interpolate, inverse, transform
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.types import Camera, FloatArray, MapSnapshot

WINDOW = 5  # px square in which a pixel's plane is fitted
POINTS = 4000  # of a keyframe at most
VIEWS = 10  # keyframes at most whose depth makes the surface
OVERLAP = 0.3  # share of a new view's points that a keyframe must show to be one of them
VOXEL = 0.015  # edge of the surface's cells, share of the median depth
REACH = 0.1  # m between a point and the surface, and between a pose and the refined one, at most
HELD = 0.003  # mean square of the surface's normals along a direction, below which it slides, besides their noise
UNSURE = 0.002  # share of the median depth by which a fit may err: what moves by less stays
MATCHED = 0.2  # share of a view's points that must lie on the surface
AVERAGED = 5  # newest keyframes whose mean correction is that of answers
JURY = 8  # keyframes that say whether a correction of the SLAM system has been made good before
TRUSTED = 0.1  # m of correction beyond which somebody should know
DOUBTFUL = (
    "a keyframe lies on nothing that the map has measured though it looks there: the pose jumped, the scene was "
    "rearranged, or depth is wrong; its pose is taken as it came"
)
ROUNDS, COARSE = 30, 12  # of Gauss-Newton at most, and of these the first on a third of the points


@dataclass(frozen=True, slots=True)
class Surface:
    """Points with normals, of one camera's frame or of the world from an origin near by."""

    points: FloatArray  # (N, 3) float64 m
    normals: FloatArray  # (N, 3) unit, towards the camera

    @property
    def far(self) -> float:
        """Returns the median depth, m; of a camera's frame only."""
        return float(np.median(self.points[:, 2]))


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
        self.judged = DEPTH_NOISE / 3 * self._z  # (N,) m: the kernel that compares fits
        self._size = float(np.sqrt(((view.points - self._middle) ** 2).sum(axis=1).mean()))

    def cost(self, T: FloatArray, width: FloatArray) -> Fit:
        """Returns how the view lies at a pose (4, 4); width (N,) m is the kernel's."""
        residual = self._residuals(T, REACH)[0]
        share = np.minimum((residual / width) ** 2, 1.0)
        share[~np.isfinite(share)] = 1.0
        return Fit(T, float(share.mean()), float((share < 1).mean()))

    def best(self, starts: Sequence[FloatArray]) -> Fit | None:
        """Returns the best fit from some poses (4, 4), None where the view does not lie on the surface near by.

        A fit errs by UNSURE of the depth. A shorter way to it from the best start is not gone, a little longer one in
        part: poses that are better than depth can tell stay as they are.
        """
        begin = min((self.cost(T, self.judged) for T in starts), key=lambda fit: fit.cost)
        fit = min((self.refine(T) for T in starts), key=lambda fit: fit.cost)
        way = transform(fit.T, self._view.points) - transform(begin.T, self._view.points)
        square = float((way**2).sum(axis=1).mean())
        if fit.matched < MATCHED or square > REACH**2:
            return None
        share = max(0.0, 1 - (UNSURE * self._view.far) ** 4 / square**2) if fit.cost < begin.cost else 0.0
        return replace(fit, T=interpolate(begin.T, fit.T, share) if share else begin.T)

    def refine(self, T: FloatArray) -> Fit:
        """Returns the pose (4, 4) near T at which the view lies best.

        The kernel starts wide and narrows to what the residuals show, at most the depth's noise at each point's range.
        Directions that the surface does not hold stay as they are in T.
        """
        width, reach, held = np.full(len(self._z), REACH), REACH, 6
        for i in range(ROUNDS):
            few = slice(None, None, 3 if i < COARSE else 1)
            residual, normals, turned, tilt = self._residuals(T, reach, few)
            weight = np.where(np.isfinite(residual), np.maximum(1 - (residual / width[few]) ** 2, 0) ** 2, 0.0)
            used = weight > 0
            if used.sum() < MATCHED * len(residual):
                return Fit(T, 1.0, float(used.mean()), held)
            J = np.concatenate([turned[used] / self._size, normals[used]], axis=1)
            step, held = held_step(J, residual[used], weight[used], HELD + float(np.median(tilt[used])))
            T = self._moved(T, step)
            if np.linalg.norm(step) < 1e-5 and i > COARSE:
                break
            spread = 1.4826 * np.median(np.abs(residual[used] / self._z[few][used]))
            reach = max(REACH / 3, reach * 0.8)
            width = np.maximum(np.clip(4.7 * spread, DEPTH_NOISE / 6, DEPTH_NOISE) * self._z, REACH * 0.8 ** (i + 1))
        fit = self.cost(T, self.judged)
        return Fit(T, fit.cost, fit.matched, held)

    def _residuals(
        self, T: FloatArray, reach: float, few: slice = slice(None)
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Returns distances (N,) m from the surface's nearest planes, inf without, their normals, lever arms and tilt.

        The tilt (N,) is half the squared sine between the view's normal and the surface's.
        """
        points, seen = transform(T, self._view.points[few]), self._view.normals[few] @ T[:3, :3].T
        far, place = self._tree.query(points, distance_upper_bound=reach)
        place[np.isinf(far)] = 0
        normals = self._surface.normals[place]
        residual = np.einsum("ni,ni->n", normals, points - self._surface.points[place])
        cosine = np.einsum("ni,ni->n", normals, seen)
        residual[np.isinf(far) | (cosine < 0.7)] = np.inf
        lever = np.cross(points - transform(T, self._middle[None]), normals)
        return residual, normals, lever, (1 - cosine**2) / 2

    def _moved(self, T: FloatArray, step: FloatArray) -> FloatArray:
        """Returns T (4, 4) after a step, which turns about the view's middle."""
        D = np.eye(4)
        D[:3, :3] = Rotation.from_rotvec(step[:3] / self._size).as_matrix()
        middle = transform(T, self._middle[None])[0]
        D[:3, 3] = middle - D[:3, :3] @ middle + step[3:]
        return np.asarray(D @ T)


def held_step(J: FloatArray, residual: FloatArray, weight: FloatArray, least: float) -> tuple[FloatArray, int]:
    """Returns a Gauss-Newton step (6,), and how many of its directions are held, for J (N, 6) and residuals (N,).

    Zhang, Kaess and Singh 2016: along eigenvectors of the normal equations with eigenvalues below `least` nothing
    moves. Those of a bare wall are as large as its normals are noisy.
    """
    value, vector = np.linalg.eigh((J.T * weight) @ J / weight.sum())
    held = value > least
    along = vector.T @ (J.T @ (weight * -residual)) / weight.sum()
    return vector[:, held] @ (along[held] / value[held]), int(held.sum())


@dataclass(frozen=True, slots=True)
class MapCorrection:
    """Where the map lies in the frame in which the poses come, by now."""

    T_map_slam: FloatArray = field(default_factory=lambda: np.eye(4))  # (4, 4), of the newest keyframes
    shift: float = 0.0  # m by which the newest keyframe was moved
    turn: float = 0.0  # rad

    @property
    def moves(self) -> bool:
        """Returns whether it is more than nothing."""
        return not np.array_equal(self.T_map_slam, np.eye(4))

    def placed(self, snapshot: MapSnapshot) -> MapSnapshot:
        """Returns a snapshot's points and boxes where the robot believes them to be; what it draws stays."""
        if not self.moves:
            return snapshot
        T = inverse(self.T_map_slam)
        objects = tuple(replace(o, T_world_box=T @ o.T_world_box) for o in snapshot.instances.objects)
        return replace(snapshot, xyz=transform(T, snapshot.xyz), instances=replace(snapshot.instances, objects=objects))


def drift_warning(correction: MapCorrection) -> str:
    """Returns what to do about poses that have drifted by TRUSTED, "" for less."""
    if correction.shift < TRUSTED:
        return ""
    return (
        f"poses disagree with the map by {100 * correction.shift:.0f} cm and {np.degrees(correction.turn):.1f} deg: "
        "the SLAM system drifts (publish its pose_graph), or depth scale, mounting or stamps of the camera are wrong"
    )


@dataclass(slots=True)
class PoseRefiner:
    """Refines the keyframes of one map as they come, and remembers where their poses had come."""

    counts: Counter[str] = field(default_factory=Counter)  # keyframes: first, refined, sliding, alone, doubtful
    correction: MapCorrection = MapCorrection()
    _slam: dict[int, FloatArray] = field(default_factory=dict)  # by uid: (4, 4) as the SLAM system has it by now
    _doubtful: set[int] = field(default_factory=set)  # uids of keyframes that lie on nothing: no surface for others
    _surfaces: OrderedDict[int, tuple[torch.Tensor, Surface]] = field(default_factory=OrderedDict)  # by uid

    def refine(self, keyframe: Keyframe, keyframes: Sequence[Keyframe]) -> None:
        """Moves the newest of the keyframes to where its depth lies on what the others have measured.

        Where it lies on nothing, the correction of its camera's keyframe before holds.
        """
        older, slam = [k for k in keyframes if k is not keyframe], keyframe.T_world_camera
        own = [k for k in older if k.source == keyframe.source]
        carried = self._T_map_slam(own[-1]) @ slam if own else slam
        starts = distinct([carried, *(self._T_map_slam(k) @ slam for k in older[-1:]), slam])
        verdict, keyframe.T_world_camera = self._refined(keyframe, older, starts)
        self.counts[verdict] += 1
        self._slam = {k.uid: self._slam[k.uid] for k in older if k.uid in self._slam} | {keyframe.uid: slam}
        self._doubtful &= set(self._slam)
        if verdict == "doubtful":
            self._doubtful.add(keyframe.uid)
        self.conclude(keyframes)

    def reported(self, keyframes: Sequence[Keyframe]) -> list[Keyframe]:
        """Returns copies of the keyframes at the poses which the SLAM system has given them."""
        return [replace(k, T_world_camera=self._slam.get(k.uid, k.T_world_camera)) for k in keyframes]

    def follow(self, poses: Mapping[int, FloatArray], keyframes: Sequence[Keyframe]) -> dict[int, FloatArray]:
        """Returns where the map's keyframes go, by stamp (ns), when the SLAM system moves its own to `poses` (4, 4).

        The keyframes go along with its motion, or to its poses, whichever lets what they measured agree better: it may
        have moved the map as it is, or have found the drift that was refined away already.
        """
        old = {k.uid: k.T_world_camera for k in self.reported(keyframes)}
        new: dict[int, FloatArray] = {k.uid: np.asarray(poses.get(k.stamp, old[k.uid])) for k in keyframes}
        along = {k.uid: _along(old[k.uid], new[k.uid], k.T_world_camera) for k in keyframes}
        there: Mapping[int, FloatArray] = along
        if any(not np.allclose(old[k.uid], k.T_world_camera, rtol=0) for k in keyframes):
            there = min(along, new, key=lambda wanted: self._disagreement(keyframes, wanted))
        self._slam = new
        return {k.stamp: there[k.uid] for k in keyframes if not np.allclose(there[k.uid], k.T_world_camera, rtol=0)}

    def believe(self, poses: Mapping[int, FloatArray], keyframes: Sequence[Keyframe]) -> None:
        """Takes the poses (4, 4), by stamp (ns), to be those of the SLAM system and of the map."""
        self._slam |= {k.uid: poses[k.stamp] for k in keyframes if k.stamp in poses}

    def conclude(self, keyframes: Sequence[Keyframe]) -> None:
        """Updates the correction from the keyframes as they are by now.

        It is the mean of the newest ones: drift they have in common, noise they have not.
        """
        newest = [k for k in keyframes[-AVERAGED:] if k.uid in self._slam]
        if not newest:
            return
        slam, T = self._slam[newest[-1].uid], newest[-1].T_world_camera
        motions = np.stack([self._T_map_slam(k) for k in newest])
        mean = np.eye(4)
        mean[:3, :3] = Rotation.from_matrix(motions[:, :3, :3]).mean().as_matrix()
        mean[:3, 3] = (motions[:, :3, :3] @ slam[:3, 3] + motions[:, :3, 3]).mean(axis=0) - mean[:3, :3] @ slam[:3, 3]
        still = np.array_equal(motions, np.tile(np.eye(4), (len(motions), 1, 1)))
        turn = Rotation.from_matrix(T[:3, :3] @ slam[:3, :3].T).magnitude()
        shift = float(np.linalg.norm(T[:3, 3] - slam[:3, 3]))
        self.correction = MapCorrection(np.eye(4) if still else mean, shift, float(turn))

    def _T_map_slam(self, keyframe: Keyframe) -> FloatArray:
        slam = self._slam.get(keyframe.uid)
        if slam is None or np.array_equal(slam, keyframe.T_world_camera):
            return np.eye(4)
        return np.asarray(keyframe.T_world_camera @ inverse(slam))

    def _refined(
        self, keyframe: Keyframe, others: Sequence[Keyframe], starts: Sequence[FloatArray]
    ) -> tuple[str, FloatArray]:
        """Returns what became of a keyframe, and its pose (4, 4), from the first of its possible poses or the best."""
        view, origin = self._surface(keyframe), starts[0][:3, 3]
        if view is None or len(view.points) < POINTS // 20:
            return "no_depth", starts[0]
        registration = self._registration(view, others, starts[0])
        if registration is None:
            return "alone", starts[0]
        fit = registration.best([_moved_by(T, -origin) for T in starts])
        if fit is None:
            return "doubtful", starts[0]
        return "refined" if fit.held == 6 else "sliding", _moved_by(fit.T, origin)

    def _registration(
        self, view: Surface, others: Sequence[Keyframe], T: FloatArray, poses: Mapping[int, FloatArray] | None = None
    ) -> Registration | None:
        """Returns the surface around a pose T (4, 4) of a view, from there; None where nobody has seen it.

        `poses` are those of the others by uid, where they are not their own.
        """
        at = {k.uid: _moved_by(k.T_world_camera if poses is None else poses[k.uid], -T[:3, 3]) for k in others}
        points = transform(_moved_by(T, -T[:3, 3]), view.points[:: max(len(view.points) // 200, 1)])
        near = overlapping(points, [k for k in others if k.uid not in self._doubtful], at)
        parts = [(s, at[k.uid]) for k in near if (s := self._surface(k)) is not None]
        return Registration(view, fused_surface(parts, VOXEL * view.far)) if parts else None

    def _disagreement(self, keyframes: Sequence[Keyframe], poses: Mapping[int, FloatArray]) -> float:
        """Returns the mean cost of some keyframes on the others' surface, all at `poses` by uid."""
        costs = []
        for k in keyframes[:: max(len(keyframes) // JURY, 1)]:
            view, others = self._surface(k), [o for o in keyframes if o is not k]
            found = view and self._registration(view, others, poses[k.uid], poses)
            if view and found:
                costs.append(found.cost(_moved_by(poses[k.uid], -poses[k.uid][:3, 3]), found.judged).cost)
        return float(np.mean(costs)) if costs else 1.0

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


def distinct(poses: Sequence[FloatArray]) -> list[FloatArray]:
    """Returns the poses (4, 4) without those that nearly equal one before."""
    kept: list[FloatArray] = []
    for T in poses:
        if not any(np.allclose(T, other, rtol=0, atol=1e-4) for other in kept):
            kept.append(T)
    return kept


def overlapping(points: FloatArray, keyframes: Sequence[Keyframe], poses: Mapping[int, FloatArray]) -> list[Keyframe]:
    """Returns the VIEWS keyframes at most, at `poses` (4, 4) by uid, whose surface shows most of points (P, 3) m.

    Half of them are the oldest that show enough: these have drifted least.
    """
    if not keyframes:
        return []
    T = np.stack([inverse(poses[k.uid]) for k in keyframes])
    K = np.stack([k.camera.K for k in keyframes])
    size = np.array([[k.camera.width, k.camera.height] for k in keyframes])
    seen = points @ T[:, :3, :3].swapaxes(1, 2) + T[:, None, :3, 3]
    z = np.maximum(seen[..., 2], 1e-6)
    uv = (seen[..., :2] / z[..., None] * K[:, None, [0, 1], [0, 1]] + K[:, None, :2, 2]).clip(-1, size[:, None])
    inside = (seen[..., 2] > 0) & (uv >= 0).all(axis=2) & (uv < size[:, None]).all(axis=2)
    share = np.zeros(len(keyframes))
    for i in np.flatnonzero(inside.mean(axis=1) >= OVERLAP).tolist():
        if (depth := keyframes[i].depth) is not None and not keyframes[i].estimated:
            cols, rows = uv[i, inside[i]].astype(int).T
            share[i] = (np.abs(depth.numpy()[rows, cols] - z[i, inside[i]]) < REACH).sum() / len(points)
    most = [i for i in np.argsort(-share).tolist() if share[i] >= OVERLAP]
    chosen = most[: VIEWS // 2] + sorted(most[VIEWS // 2 :])[: VIEWS // 2]
    return [keyframes[i] for i in chosen]


def _along(old: FloatArray, new: FloatArray, T: FloatArray) -> FloatArray:
    """Returns T (4, 4) after the motion from `old` to `new`; these themselves where it is one of them."""
    return new if np.array_equal(T, old) else np.asarray(new @ inverse(old) @ T)


def _moved_by(T: FloatArray, shift: FloatArray) -> FloatArray:
    """Returns T (4, 4) float64 shifted by (3,) m."""
    moved = np.array(T, np.float64)
    moved[:3, 3] += shift
    return moved

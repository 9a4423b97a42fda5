"""Makes the frames of any dataset as bad as a robot's: poses, depth and colour, each by a stated amount.

Seeds and amounts were fixed before anything was measured with them and are not tuned. Truth, masks and the number of
frames stay those of the dataset; `true_poses` tells where the camera really was.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.datasets import Dataset
from ig_ros.geometry import rotation_angle
from ig_ros.types import BoolArray, FloatArray, Frame

SEED = 2121
POSE_NOISE = (0.018, 0.6)  # m, deg: root mean square, of every frame by itself
DRIFT = (0.05, 2.0)  # m, deg: the farthest that the random walk gets from the truth
SHIFT = 6  # px to the right, depth against colour
VALID = 0.24  # share of the measured pixels left, as on a shelf bin
NOISE = 0.005  # m at 1 m, growing with the square of the distance
EXPOSURE = (0.15, 8.0)  # deviations of the logarithm of gain, and of offset (of 255), of every frame
BLUR = 1 / 40  # longest motion blur, of the image's width
WIDTH = 1 / 40  # of a hole, of the image's width
KEPT = 16  # frames held in memory


@dataclass(frozen=True, slots=True)
class Strength:
    """How much of each, in units of the constants above; 0 = none, and the frame stays as it is."""

    pose_noise: float = 0.0
    drift: float = 0.0
    shift: float = 0.0
    holes: float = 0.0
    noise: float = 0.0
    exposure: float = 0.0
    blur: float = 0.0
    latency: float = 0.0  # 1: depth is that of the frame before

    @staticmethod
    def only(name: str) -> Strength:
        """Returns one perturbation at its full strength."""
        return Strength(**{name: 1.0})


ALL = Strength(**{f.name: 1.0 for f in fields(Strength)})
PERTURBATIONS = {
    "clean": Strength(),
    "pose noise, 1.8 cm and 0.6 deg": Strength.only("pose_noise"),
    "drift, 5 cm and 2 deg": Strength.only("drift"),
    "depth shifted by 6 px": Strength.only("shift"),
    "holes, 24 % of depth left": Strength.only("holes"),
    "depth noise, 5 mm x z^2": Strength.only("noise"),
    "exposure": Strength.only("exposure"),
    "motion blur": Strength.only("blur"),
    "depth one frame late": Strength.only("latency"),
    "all at once": ALL,
}


class Perturbed:
    """A dataset whose frames are perturbed; the same seed gives the same frames."""

    def __init__(self, dataset: Dataset, strength: Strength, seed: int = SEED) -> None:
        self.dataset, self.strength, self.seed = dataset, strength, seed
        self.true_poses: dict[int, FloatArray] = {}  # number of every frame that was asked for -> (4, 4) m
        self._frame = lru_cache(KEPT)(self._perturb)

    def __getattr__(self, name: str) -> Any:
        """Returns what else the dataset has: name, truth, faults, sparse points."""
        if name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> Frame:
        return self._frame(range(len(self))[i])

    @cached_property
    def walk(self) -> tuple[FloatArray, FloatArray]:
        """Returns the drift of every frame: shifts (n, 3) m and rotation vectors (n, 3) rad; none for the first."""
        random = np.random.default_rng([self.seed, 1])
        paths = []
        for farthest in (DRIFT[0], np.radians(DRIFT[1])):
            steps = random.standard_normal((len(self), 3))
            steps[0] = 0
            path = np.cumsum(steps, axis=0)
            reached = np.linalg.norm(path, axis=1).max()
            paths.append(path * (self.strength.drift * farthest / max(float(reached), 1e-9)))
        return paths[0], paths[1]

    def _perturb(self, i: int) -> Frame:
        s, frame = self.strength, self.dataset[i]
        self.true_poses[frame.index] = frame.T_world_camera
        # Each by itself: the strengths of others do not change its numbers.
        random = [np.random.default_rng([self.seed, 2 + part, i]) for part in range(5)]
        depth = frame.depth
        if s.latency and i > 0 and depth is not None:
            depth = self.dataset[i - 1].depth
        if depth is not None:
            depth = noisy(depth, s.noise * NOISE, random[0])
            depth = with_holes(depth, frame, 1 - s.holes * (1 - VALID), random[1])
            depth = shifted(depth, round(s.shift * SHIFT))
        rgb = blurred(frame.rgb, s.blur * BLUR, random[2])
        rgb = exposed(rgb, s.exposure, random[3])
        return replace(frame, rgb=rgb, depth=depth, T_world_camera=self._pose(frame.T_world_camera, i, random[4]))

    def _pose(self, T_world_camera: FloatArray, i: int, random: np.random.Generator) -> FloatArray:
        s, (shifts, rotations) = self.strength, self.walk
        shift, rotation = random.standard_normal((2, 3)) * (s.pose_noise / np.sqrt(3))
        return moved(
            T_world_camera, shifts[i] + shift * POSE_NOISE[0], rotations[i] + rotation * np.radians(POSE_NOISE[1])
        )


def moved(T: FloatArray, shift: FloatArray, rotation: FloatArray) -> FloatArray:
    """Returns the pose T (4, 4) shifted (3,) m and turned about its own place by a rotation vector (3,) rad, world."""
    if not shift.any() and not rotation.any():
        return T
    result = np.array(T, np.float64)
    result[:3, :3] = cv2.Rodrigues(np.asarray(rotation, np.float64))[0] @ result[:3, :3]
    result[:3, 3] += shift
    return result


def noisy(depth: FloatArray, deviation: float, random: np.random.Generator) -> FloatArray:
    """Returns depth (H, W) m with noise of so many metres at 1 m, growing with z^2; holes (0) stay holes."""
    if not deviation:
        return depth
    noise = random.standard_normal(depth.shape, dtype=np.float32) * np.float32(deviation) * depth**2
    return np.where(depth > 0, np.maximum(depth + noise, 1e-3), 0).astype(np.float32)


def with_holes(depth: FloatArray, frame: Frame, share: float, random: np.random.Generator) -> FloatArray:
    """Returns depth (H, W) m of which exactly this share of the measured pixels is left (to one pixel).

    Blobs at random go first, and dark and grazing surfaces; every part has a third of the say, with some pixels apart.
    """
    valid = depth > 0
    if share >= 1 or not valid.any():
        return depth
    white = random.standard_normal((2, *depth.shape), dtype=np.float32)
    blobs = cv2.GaussianBlur(white[0], (0, 0), depth.shape[1] * WIDTH)
    dark = 1 - cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    parts = [part / max(float(part[valid].std()), 1e-6) for part in (blobs, dark, grazing(depth, valid))]
    worst = np.sum(parts, axis=0) + 0.5 * white[1]
    order = np.argsort(worst[valid], kind="stable")
    gone = np.flatnonzero(valid.ravel())[order[round(share * int(valid.sum())) :]]
    result = depth.copy()
    result.flat[gone] = 0
    return result


def grazing(depth: FloatArray, valid: BoolArray) -> FloatArray:
    """Returns how steeply depth (H, W) changes from pixel to pixel, as a share of itself: large on grazing surfaces."""
    smooth = cv2.medianBlur(np.asarray(depth, np.float32), 5)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    return np.where(valid, np.log(slope / np.maximum(depth, 1e-3) + 1e-4), 0).astype(np.float32)


def shifted(depth: FloatArray, pixels: int) -> FloatArray:
    """Returns depth (H, W) moved to the right; nothing is known (0) where it came from."""
    if not pixels:
        return depth
    result = np.zeros_like(depth)
    result[:, pixels:] = depth[:, :-pixels]
    return result


def blurred(rgb: npt.NDArray[np.uint8], longest: float, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Returns an image (H, W, 3) blurred along a random line, up to `longest` of its width long."""
    length, angle = random.uniform(0, 1) * longest * rgb.shape[1], random.uniform(0, np.pi)
    if length < 1:
        return rgb
    half = int(np.ceil(length / 2))
    along = np.linspace(-length / 2, length / 2, 8 * half + 1)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    np.add.at(kernel, tuple((np.round(along * f(angle)).astype(int) + half) for f in (np.sin, np.cos)), 1)
    return np.asarray(cv2.filter2D(rgb, -1, kernel / kernel.sum()), np.uint8)


def exposed(rgb: npt.NDArray[np.uint8], strength: float, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Returns an image with another gain and offset."""
    if not strength:
        return rgb
    gain, offset = np.exp(random.normal(0, strength * EXPOSURE[0])), random.normal(0, strength * EXPOSURE[1])
    return (rgb * gain + offset).round().clip(0, 255).astype(np.uint8)


def alignment(true: FloatArray, used: FloatArray, reach: float = 1.0) -> FloatArray:
    """Returns the rigid T_used_true (4, 4) that best lays true poses (n, 4, 4) on the used ones, without scale.

    Least squares over every camera's centre and the points `reach` m along its three axes [Kabsch].
    """
    points = np.concatenate([np.zeros((1, 3)), reach * np.eye(3)])
    a, b = ((T[:, :3, :3] @ points.T).transpose(0, 2, 1) + T[:, None, :3, 3] for T in (true, used))
    a, b = a.reshape(-1, 3), b.reshape(-1, 3)
    u, _, vt = np.linalg.svd((b - b.mean(0)).T @ (a - a.mean(0)))
    T = np.eye(4)
    T[:3, :3] = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    T[:3, 3] = b.mean(0) - T[:3, :3] @ a.mean(0)
    return T


def pose_errors(true: FloatArray, used: FloatArray) -> tuple[float, float]:
    """Returns the root mean square errors, m and deg, of used poses (n, 4, 4) after alignment with the true ones."""
    placed = alignment(true, used) @ true
    shift = np.linalg.norm(placed[:, :3, 3] - used[:, :3, 3], axis=1)
    angle = np.degrees([rotation_angle(a, b) for a, b in zip(placed, used, strict=True)])
    return float(np.sqrt((shift**2).mean())), float(np.sqrt((angle**2).mean()))

"""Large planes of a surface (tables, floors, walls, fronts), found by RANSAC over normals and kept whole."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ig_ros.segmentation.depth_surface import COS_NORMAL, DepthSurface, Mask, tolerance
from ig_ros.types import FloatArray, IntArray

HYPOTHESES = 80  # tangent planes tried for each plane
SAMPLE = 3000  # points that vote
MIN_AREA = 0.12  # m^2: smaller planes are faces of objects
MIN_SHARE = 0.015  # of the image: smaller planes are not looked for


@dataclass(frozen=True, slots=True)
class Plane:
    """n . x + d = 0 with n towards the camera, so n . x + d > 0 is in front of the plane."""

    normal: FloatArray  # (3,)
    offset: float  # m

    def height(self, points: FloatArray) -> FloatArray:
        """Returns the signed distance (...) in m of points (..., 3)."""
        return points @ self.normal + self.offset


def find_planes(surface: DepthSurface, generator: np.random.Generator) -> list[Plane]:
    """Returns planes by falling support.

    A hypothesis is one pixel's tangent plane; its inliers agree with it in place and normal. Every round takes away at
    least MIN_SHARE of the image, so that the search ends.
    """
    rows, cols = np.nonzero(surface.valid)
    if len(rows) > SAMPLE:
        chosen = generator.choice(len(rows), SAMPLE, replace=False)
        rows, cols = rows[chosen], cols[chosen]
    points = surface.points[rows, cols]
    normals = surface.normals[rows, cols]
    area = surface.area[rows, cols] * (surface.valid.sum() / max(len(rows), 1))
    least = MIN_SHARE * surface.valid.size / max(surface.valid.sum(), 1) * len(rows)
    left = np.ones(len(rows), bool)
    planes: list[Plane] = []
    while left.sum() > least:
        plane = best_plane(points[left], normals[left], generator)
        inliers = left & near(plane, points, normals)
        if inliers.sum() < least:
            break
        left &= ~inliers
        if area[inliers].sum() >= MIN_AREA:
            planes.append(plane)
    return planes


def near(plane: Plane, points: FloatArray, normals: FloatArray) -> Mask:
    """Returns (...) true where points (..., 3) with normals (..., 3) lie on the plane and along it."""
    close = np.abs(plane.height(points)) < tolerance(points[..., 2])
    return np.asarray(close & (normals @ plane.normal > COS_NORMAL))


def best_plane(points: FloatArray, normals: FloatArray, generator: np.random.Generator) -> Plane:
    """Returns the tangent plane of P sampled points with most inliers, fitted to them."""
    tried = generator.integers(0, len(points), HYPOTHESES)
    n = normals[tried]
    offsets = -(n * points[tried]).sum(1)
    inliers = np.abs(points @ n.T + offsets) < tolerance(points[:, 2])[:, None]
    inliers &= normals @ n.T > COS_NORMAL
    best = int(inliers.sum(0).argmax())
    plane = Plane(n[best], float(offsets[best]))
    for _ in range(3):
        chosen = points[near(plane, points, normals)]
        if len(chosen) < 3:
            break
        weight = 1.0 / tolerance(chosen[:, 2]) ** 2
        centre = (chosen * weight[:, None]).sum(0) / weight.sum()
        spread = (chosen - centre) * np.sqrt(weight)[:, None]
        normal = np.linalg.eigh(spread.T @ spread)[1][:, 0]
        normal = (normal * (np.sign(normal @ plane.normal) or 1.0)).astype(np.float32)
        plane = Plane(normal, float(-normal @ centre))
    return plane


def label_planes(surface: DepthSurface, planes: list[Plane]) -> tuple[IntArray, list[Plane]]:
    """Returns (H, W) int32 labels, 0 = off every plane, i + 1 = on the i-th of the planes, and these planes."""
    labels = np.zeros(surface.valid.shape, np.int32)
    if not planes:
        return labels, []
    z = surface.points[..., 2]
    known = z > 0
    heights = np.stack([np.abs(p.height(surface.points)) / tolerance(z) for p in planes])
    aligned = np.stack([surface.normals @ p.normal > COS_NORMAL for p in planes]) & surface.valid
    cost = np.where(aligned & (heights < 1.0), heights, np.inf)
    owner = cost.argmin(0)
    found = np.isfinite(cost.min(0))
    kept: list[Plane] = []
    for i, plane in enumerate(planes):
        core = found & (owner == i)
        for region in reachable(core, plane, surface, known):
            if surface.area[region].sum() < MIN_AREA or region.sum() < MIN_SHARE * labels.size:
                continue
            rim = cv2.dilate(region.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
            kept.append(plane)
            labels[region | (rim & known & (heights[i] < 1.0) & ~found)] = len(kept)
    return labels, kept


def reachable(core: Mask, plane: Plane, surface: DepthSurface, known: Mask) -> list[Mask]:
    """Returns the regions of a plane whose patches touch, or are separated only by what stands in front of it."""
    hidden = ~known | (plane.height(surface.points) > 0)
    _count, groups = cv2.connectedComponents((core | hidden).astype(np.uint8), connectivity=8)
    present = np.unique(groups[core])
    return [core & (groups == g) for g in present if g > 0]

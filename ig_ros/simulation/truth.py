"""Truth points: an even sample of every surface that some camera of the scene sees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ig_ros.datasets.base import SceneTruth
from ig_ros.geometry import dot
from ig_ros.simulation.render import BoolArray, Renderer
from ig_ros.simulation.scene import Scene
from ig_ros.types import Camera, FloatArray, IntArray

GOLDEN = 0.618034
CAMERAS = 64  # asked at most


def scene_truth(scene: Scene, renderer: Renderer, camera: Camera, images: Callable[[int], IntArray]) -> SceneTruth:
    """Points by area with mean distance `scene.spacing`, kept where a ray from some camera reaches them."""
    points, triangle, weight = _sample(renderer, scene.spacing)
    seen = _seen(points, renderer.outward[triangle], renderer, camera, scene.path)
    ids = renderer.triangle_ids[triangle[seen]]
    present = set(np.unique(ids).tolist())
    names = {i + 1: thing.name for i, thing in enumerate(scene.things) if i + 1 in present}
    texts = [(text, i + 1) for i, thing in enumerate(scene.things) for text in (thing.name, *thing.paraphrases)]
    unique = {text: i for text, i in reversed(texts) if i in present}
    queries = tuple((text, i) for text, i in unique.items() if not scene.things[i - 1].structure)
    colors = (255 * renderer.colors(triangle[seen], weight[seen], scene.spacing)).round().astype(np.uint8)
    return SceneTruth(points[seen], ids, names, queries[::-1], scene.absent, images, colors=colors)


def _sample(renderer: Renderer, spacing: float) -> tuple[FloatArray, IntArray, FloatArray]:
    """Points (P, 3) float32 spread over all triangles by area, the triangle of each (P,) and where on it (P, 2).

    The place is barycentric: the shares of the second and the third corner.
    """
    random = np.random.default_rng(0)
    a, b, c = renderer.corners.astype(np.float64).transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    total = np.cumsum(area)
    count = int(total[-1] / spacing**2)
    strata = (np.arange(count) + random.random(count)) * (total[-1] / count)  # stratified: even along the surface
    triangle = np.searchsorted(total, strata).clip(0, len(area) - 1)
    u, v = random.random((2, count))
    fold = u + v > 1
    u, v = np.where(fold, 1 - u, u)[:, None], np.where(fold, 1 - v, v)[:, None]
    points = a[triangle] + u * (b - a)[triangle] + v * (c - a)[triangle]
    return points.astype(np.float32), triangle, np.concatenate([u, v], axis=1)


def _seen(points: FloatArray, outward: FloatArray, renderer: Renderer, camera: Camera, path: FloatArray) -> BoolArray:
    """(P,) bool: inside some image with a free line of sight. Asks each camera only about what is still unseen.

    Cameras far apart come first, since little is left to ask after a few; along a dense path the rest add nothing.
    """
    seen = np.zeros(len(points), bool)
    left = np.arange(len(points))
    spread = np.linspace(0, len(path) - 1, min(len(path), CAMERAS)).round().astype(int)
    for T_world_camera in path[spread][np.argsort(np.arange(len(spread)) * GOLDEN % 1)]:
        eye = T_world_camera[:3, 3].astype(np.float32)
        asked = left[_inside(points[left], camera, T_world_camera)]
        asked = asked[dot(outward[asked], eye - points[asked]) > 0]
        seen[asked[~renderer.occluded(points[asked], eye)]] = True
        left = left[~seen[left]]
    return seen


def _inside(points: FloatArray, camera: Camera, T_world_camera: FloatArray) -> BoolArray:
    """(P,) bool: in front of the camera and between the four planes through its image borders."""
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    borders = [(fx, 0, cx), (-fx, 0, camera.width - cx), (0, fy, cy), (0, -fy, camera.height - cy)]
    planes = np.array(borders) @ T_world_camera[:3, :3].T
    distances = planes.astype(np.float32) @ points.T - (planes @ T_world_camera[:3, 3]).astype(np.float32)[:, None]
    inside: BoolArray = np.asarray((distances > 0).all(axis=0))
    return inside

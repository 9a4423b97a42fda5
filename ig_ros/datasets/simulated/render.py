"""Ray casting with Open3D: colour with shadows, exact depth and exact instance ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import open3d as o3d

from ig_ros.datasets.simulated.atlas import Atlas
from ig_ros.datasets.simulated.mesh import join, unit
from ig_ros.datasets.simulated.scene import Lamp, Scene
from ig_ros.types import Array, Camera, FloatArray, IntArray

AMBIENT = 0.34  # light from everywhere, weighted by how open the place is
OCCLUSION_RAYS = 24
OCCLUSION_REACH = 0.6  # m
LIFT = 1e-3  # m, secondary rays start this far off the surface
GAMMA = 2.2


@dataclass(frozen=True, slots=True)
class Rendering:
    """One ideal picture of the scene, before any sensor."""

    rgb: FloatArray  # (H, W, 3) float32 in [0, 1], display values
    depth: FloatArray  # (H, W) float32 m along z, 0 = nothing there
    ids: IntArray  # (H, W) int32 instance ids, 0 = nothing there
    slant: FloatArray  # (H, W) float32, cosine between the surface normal and the ray


class Renderer:
    """Holds one scene in Open3D's ray caster with everything a hit needs in flat tables."""

    def __init__(self, scene: Scene) -> None:
        parts = [(i + 1, part) for i, thing in enumerate(scene.things) for part in thing.parts]
        whole = join([part.mesh for _, part in parts])
        counts = [len(part.mesh.triangles) for _, part in parts]
        self._lamps = scene.lamps
        self._atlas = Atlas([part.texture for _, part in parts])
        self._texture = np.repeat(np.arange(len(parts)), counts)
        self.triangle_ids = np.repeat([i for i, _ in parts], counts).astype(np.int32)  # (T,) instance ids
        self.corners = whole.vertices[whole.triangles].astype(np.float32)  # (T, 3, 3) m
        self._caster = o3d.t.geometry.RaycastingScene()
        self._caster.add_triangles(
            o3d.core.Tensor(whole.vertices.astype(np.float32)), o3d.core.Tensor(whole.triangles.astype(np.uint32))
        )
        openness = self._openness(whole.vertices, whole.normals)
        table = np.concatenate([whole.normals, whole.uv, openness[:, None]], axis=1).astype(np.float32)
        self._attributes = table[whole.triangles]  # (T, 3, 6): normal, uv, openness at each corner
        self._density = self._texel_density(whole.uv[whole.triangles])

    def render(self, camera: Camera, T_world_camera: FloatArray) -> Rendering:
        """The ideal image, depth and ids for one pose."""
        directions = self._directions(camera, T_world_camera)
        hit = self._caster.cast_rays(o3d.core.Tensor(_rays(T_world_camera[:3, 3], directions)))
        depth = hit["t_hit"].numpy()
        seen = np.isfinite(depth)
        z, primitive = depth[seen], hit["primitive_ids"].numpy()[seen].astype(np.int64)
        weight = hit["primitive_uvs"].numpy()[seen]
        direction = directions[seen]
        normal, uv, openness = self._surface(primitive, weight, direction)
        slant = -(normal * unit(direction)).sum(axis=1)
        footprint = self._density[primitive] * z / camera.K[0, 0] / np.sqrt(slant.clip(0.05, 1))
        albedo = self._atlas.sample(self._texture[primitive], uv, footprint) ** np.float32(GAMMA)
        points = T_world_camera[:3, 3].astype(np.float32) + direction * z[:, None]
        light = AMBIENT * openness * (0.8 + 0.2 * normal[:, 2]) + self._direct(points, normal)
        color = np.zeros((*depth.shape, 3), np.float32)
        color[seen] = (albedo * light[:, None]).clip(0, 1) ** np.float32(1 / GAMMA)
        ids, slants = np.zeros(depth.shape, np.int32), np.zeros(depth.shape, np.float32)
        ids[seen], slants[seen] = self.triangle_ids[primitive], slant
        return Rendering(color, np.where(seen, depth, 0).astype(np.float32), ids, slants)

    def world_points(self, camera: Camera, T_world_camera: FloatArray, depth: FloatArray) -> FloatArray:
        """(H, W, 3) float32 m: the world point behind each pixel of a depth image (H, W)."""
        return T_world_camera[:3, 3].astype(np.float32) + self._directions(camera, T_world_camera) * depth[..., None]

    def occluded(self, starts: FloatArray, ends: FloatArray) -> Array:
        """(N,) bool: whether something lies between points (N, 3) and (N, 3) or (3,), m; the ends themselves not."""
        rays = _rays(starts, np.broadcast_to(ends, starts.shape) - starts)
        return self._caster.test_occlusions(o3d.core.Tensor(rays), tnear=1e-3, tfar=0.999).numpy()

    def clearance(self, points: FloatArray) -> FloatArray:
        """(N,) distance in m from points (N, 3) to the nearest surface."""
        return self._caster.compute_distance(o3d.core.Tensor(points.astype(np.float32))).numpy()

    @staticmethod
    def _directions(camera: Camera, T_world_camera: FloatArray) -> FloatArray:
        """(H, W, 3) float32 world rays through the pixel centres with unit z in the camera: their length is depth."""
        x = (np.arange(camera.width) + 0.5 - camera.K[0, 2]) / camera.K[0, 0]
        y = (np.arange(camera.height) + 0.5 - camera.K[1, 2]) / camera.K[1, 1]
        R = T_world_camera[:3, :3].astype(np.float32)
        across, down = x[:, None].astype(np.float32) * R[:, 0], y[:, None].astype(np.float32) * R[:, 1]
        return across[None] + down[:, None] + R[:, 2]

    def _surface(
        self, primitive: IntArray, weight: FloatArray, direction: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Normal (N, 3) towards the viewer, uv (N, 2) and openness (N,) interpolated at barycentric hits."""
        corner = self._attributes[primitive]
        u, v = weight[:, :1], weight[:, 1:]
        value = corner[:, 0] * (1 - u - v) + corner[:, 1] * u + corner[:, 2] * v
        normal = unit(value[:, :3])
        normal *= np.where((normal * direction).sum(axis=1, keepdims=True) > 0, np.float32(-1), np.float32(1))
        return normal, value[:, 3:5], value[:, 5]

    def _direct(self, points: FloatArray, normals: FloatArray) -> FloatArray:
        """(N,) Lambertian light of the lamps, by shadow rays where a surface faces the lamp."""
        total = np.zeros(len(points), np.float32)
        starts = points + LIFT * normals
        for lamp in self._lamps:
            for point in lamp.points.astype(np.float32):
                total += self._from_point(lamp, point, starts, normals)
        return total

    def _from_point(self, lamp: Lamp, point: FloatArray, starts: FloatArray, normals: FloatArray) -> FloatArray:
        way = point - starts
        square = (way * way).sum(axis=1)
        facing = (way * normals).sum(axis=1)
        light = np.zeros(len(starts), np.float32)
        toward = np.flatnonzero(facing > 0)
        lit = toward[~self.occluded(starts[toward], point)]
        light[lit] = lamp.strength / len(lamp.points) * facing[lit] / np.sqrt(square[lit]) / np.maximum(square[lit], 0.25)
        return light

    def _openness(self, points: FloatArray, normals: FloatArray) -> FloatArray:
        """(V,) share of the hemisphere over each vertex that is free nearby: the soft contact shadows."""
        random = np.random.default_rng(0)
        starts = (points + 3 * LIFT * normals).astype(np.float32)
        free = np.zeros(len(points), np.float32)
        for _ in range(OCCLUSION_RAYS):
            direction = unit(unit(random.standard_normal(points.shape)) + normals)  # cosine-weighted
            free += ~self.occluded(starts, (starts + OCCLUSION_REACH * direction).astype(np.float32))
        return free / OCCLUSION_RAYS

    def _texel_density(self, uv: FloatArray) -> FloatArray:
        """(T,) texels per metre on each triangle."""
        edge, edge_uv = np.diff(self.corners, axis=1), np.diff(uv, axis=1)
        area = np.linalg.norm(np.cross(edge[:, 0], edge[:, 1]), axis=1)
        area_uv = np.abs(edge_uv[:, 0, 0] * edge_uv[:, 1, 1] - edge_uv[:, 0, 1] * edge_uv[:, 1, 0])
        size = self._atlas.sizes[self._texture]
        return (np.sqrt(area_uv / np.maximum(area, 1e-12)) * size).astype(np.float32)


def _rays(starts: FloatArray, directions: FloatArray) -> FloatArray:
    """(..., 6) float32 rays for Open3D."""
    rays = np.empty((*directions.shape[:-1], 6), np.float32)
    rays[..., :3], rays[..., 3:] = starts, directions
    return rays

"""Ray casting with Open3D: colour with shadows, exact depth and exact instance ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import open3d as o3d

from ig_ros.geometry import dot
from ig_ros.simulation.atlas import Atlas
from ig_ros.simulation.mesh import join, unit
from ig_ros.simulation.scene import Lamp, Scene
from ig_ros.types import Array, Camera, FloatArray, IntArray

Number = TypeVar("Number", bound=np.generic)
BoolArray = npt.NDArray[np.bool_]

AMBIENT = 0.34  # light from everywhere, weighted by how open the place is
OCCLUSION_RAYS = 24
OCCLUSION_REACH = 0.6  # m
LIFT = 1e-3  # m, secondary rays start this far off the surface
CHUNK = 32768  # pixels shaded at a time


@dataclass(frozen=True, slots=True)
class Rendering:
    """One ideal picture of the scene, before any sensor."""

    rgb: FloatArray  # (H, W, 3) float32 in [0, 1], display values
    depth: FloatArray  # (H, W) float32 m along z, 0 = nothing there
    ids: IntArray  # (H, W) int32 instance ids, 0 = nothing there
    slant: FloatArray  # (H, W) float32, cosine between the surface normal and the ray


@dataclass(frozen=True, slots=True)
class _Surface:
    normal: FloatArray  # (N, 3) unit
    uv: FloatArray  # (N, 2)
    openness: FloatArray  # (N,) in [0, 1]
    slant: FloatArray  # (N,) cosine between normal and ray


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
            _tensor(whole.vertices.astype(np.float32)), _tensor(whole.triangles.astype(np.uint32))
        )
        self.outward = unit(whole.normals[whole.triangles].mean(axis=1)).astype(np.float32)  # (T, 3)
        openness = self._openness(whole.vertices, whole.normals)
        table = np.concatenate([whole.normals, whole.uv, openness[:, None]], axis=1).astype(np.float32)
        self._attributes = table[whole.triangles]  # (T, 3, 6): normal, uv, openness at each corner
        self._density = self._texel_density(whole.uv[whole.triangles])

    def render(self, camera: Camera, T_world_camera: FloatArray) -> Rendering:
        """The ideal image, depth and ids for one pose."""
        directions = self._directions(camera, T_world_camera)
        hit = self._caster.cast_rays(_tensor(_rays(T_world_camera[:3, 3], directions)))
        depth = hit["t_hit"].numpy()
        seen = np.isfinite(depth)
        z, primitive = depth[seen], hit["primitive_ids"].numpy()[seen].astype(np.int64)
        weight, direction = hit["primitive_uvs"].numpy()[seen], directions[seen]
        color, slant = np.empty((len(z), 3), np.float32), np.empty(len(z), np.float32)
        eye = T_world_camera[:3, 3].astype(np.float32)
        for start in range(0, len(z), CHUNK):  # temporaries that fit the cache: twice as fast
            part = slice(start, start + CHUNK)
            surface = self._surface(primitive[part], weight[part], direction[part])
            points = eye + direction[part] * z[part, None]
            pixel = z[part] / np.float32(camera.K[0, 0]) / np.sqrt(surface.slant.clip(0.05, 1))
            color[part] = self._shade(points, primitive[part], surface, pixel)
            slant[part] = surface.slant
        return Rendering(
            _image(color.clip(0, 1), seen),
            _image(z, seen),
            _image(self.triangle_ids[primitive], seen),
            _image(slant, seen),
        )

    def colors(self, triangle: IntArray, weight: FloatArray, pixel: float) -> FloatArray:
        """(N, 3) float32 in [0, 1]: the lit surface at barycentric places (N, 2) of triangles (N,), `pixel` m wide.

        Seen from outside, at right angles, by no sensor: as the vertices of a scanned mesh are coloured.
        """
        color = np.empty((len(triangle), 3), np.float32)
        for start in range(0, len(triangle), CHUNK):
            part = slice(start, start + CHUNK)
            a, b, c = self.corners[triangle[part]].transpose(1, 0, 2)
            u, v = weight[part, :1].astype(np.float32), weight[part, 1:].astype(np.float32)
            surface = self._surface(triangle[part], weight[part], -self.outward[triangle[part]])
            width = np.full(len(u), pixel, np.float32)
            color[part] = self._shade(a + u * (b - a) + v * (c - a), triangle[part], surface, width)
        return color.clip(0, 1)

    def world_points(self, camera: Camera, T_world_camera: FloatArray, depth: FloatArray) -> FloatArray:
        """(H, W, 3) float32 m: the world point behind each pixel of a depth image (H, W)."""
        eye = T_world_camera[:3, 3].astype(np.float32)
        points: FloatArray = eye + self._directions(camera, T_world_camera) * depth[..., None]
        return points

    def occluded(self, starts: FloatArray, ends: FloatArray) -> BoolArray:
        """(N,) bool: whether something lies between points (N, 3) and (N, 3) or (3,), m; the ends themselves not."""
        return self._blocked(starts, ends - starts)

    def clearance(self, points: FloatArray) -> FloatArray:
        """(N,) distance in m from points (N, 3) to the nearest surface."""
        distance: FloatArray = self._caster.compute_distance(_tensor(points.astype(np.float32))).numpy()
        return distance

    def _blocked(self, starts: FloatArray, ways: FloatArray) -> BoolArray:
        rays = _tensor(_rays(starts, ways))
        blocked: BoolArray = self._caster.test_occlusions(rays, tnear=1e-3, tfar=0.999).numpy()
        return blocked

    @staticmethod
    def _directions(camera: Camera, T_world_camera: FloatArray) -> FloatArray:
        """(H, W, 3) float32 world rays through the pixel centres with unit z in the camera: their length is depth."""
        x = (np.arange(camera.width) + 0.5 - camera.K[0, 2]) / camera.K[0, 0]
        y = (np.arange(camera.height) + 0.5 - camera.K[1, 2]) / camera.K[1, 1]
        R = T_world_camera[:3, :3].astype(np.float32)
        across, down = x[:, None].astype(np.float32) * R[:, 0], y[:, None].astype(np.float32) * R[:, 1]
        directions: FloatArray = across[None] + down[:, None] + R[:, 2]
        return directions

    def _surface(self, primitive: IntArray, weight: FloatArray, direction: FloatArray) -> _Surface:
        """What lies at barycentric hits; the normals look towards the viewer."""
        corner = self._attributes[primitive]
        u, v = weight[:, :1], weight[:, 1:]
        value = corner[:, 0] * (1 - u - v) + corner[:, 1] * u + corner[:, 2] * v
        normal = unit(value[:, :3])
        against = -dot(normal, direction)
        normal *= np.where(against < 0, np.float32(-1), np.float32(1))[:, None]
        return _Surface(normal, value[:, 3:5], value[:, 5], np.abs(against) / np.sqrt(dot(direction, direction)))

    def _shade(self, points: FloatArray, primitive: IntArray, surface: _Surface, pixel: FloatArray) -> FloatArray:
        """(N, 3) display colour of surface points (N, 3) on triangles (N,), each filling a pixel (N,) m wide."""
        albedo = self._atlas.sample(self._texture[primitive], surface.uv, pixel * self._density[primitive])
        ambient = AMBIENT * surface.openness * (0.8 + 0.2 * surface.normal[:, 2])
        light = ambient + self._direct(points, surface.normal)
        return albedo * np.sqrt(light)[:, None]  # display gamma 2: light counts by its root

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
        square = dot(way, way)
        facing = dot(way, normals)
        falloff = facing / (np.sqrt(square) * np.maximum(square, np.float32(0.25)))
        lit = (facing > 0) & ~self._blocked(starts, way)
        return np.where(lit, falloff * np.float32(lamp.strength / len(lamp.points)), np.float32(0))

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
        density: FloatArray = (np.sqrt(area_uv / np.maximum(area, 1e-12)) * size).astype(np.float32)
        return density


def _tensor(array: Array) -> Any:
    return o3d.core.Tensor.from_numpy(np.ascontiguousarray(array))


def _rays(starts: FloatArray, directions: FloatArray) -> FloatArray:
    """(..., 6) float32 rays for Open3D."""
    rays = np.empty((*directions.shape[:-1], 6), np.float32)
    rays[..., :3], rays[..., 3:] = starts, directions
    return rays


def _image(values: npt.NDArray[Number], seen: BoolArray) -> npt.NDArray[Number]:
    """Values (N, ...) of the seen pixels as an image (H, W, ...), 0 elsewhere."""
    image = np.zeros((*seen.shape, *values.shape[1:]), values.dtype)
    image[seen] = values
    return image

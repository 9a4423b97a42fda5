"""A saved map as a coloured triangle mesh: the views that it was trained on, rendered and fused."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ig_ros.errors import StorageError
from ig_ros.export.clouds import writing
from ig_ros.planning.view_rendering import render_view
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.types import MapSnapshot

VOXEL, BAND = 0.01, 0.04  # m: of the volume, and how far from a surface it is filled
FAR = 8.0  # m, beyond which rendered depth is not fused


def write_mesh(path: Path, snapshot: MapSnapshot, keyframes: Sequence[Keyframe], only: Collection[int] = ()) -> int:
    """Writes a GLB (metres, y up as glTF wants it) of the map, or of the objects `only`; returns its triangles.

    Depth and colour rendered from the keyframes' poses fill a truncated signed distance volume [CL96], from which the
    surface is cut. Raises StorageError where there is no surface, QueryError for an object that is not in the map.
    """
    import open3d  # loads in seconds: only who writes a mesh waits

    integration = open3d.pipelines.integration
    image_of: Any = open3d.geometry.Image  # its type information knows no arrays
    volume = integration.ScalableTSDFVolume(VOXEL, BAND, integration.TSDFVolumeColorType.RGB8)
    for keyframe in keyframes:
        camera = keyframe.camera
        view = render_view(snapshot, camera, keyframe.T_world_camera, only)
        image = open3d.geometry.RGBDImage.create_from_color_and_depth(
            image_of(view.color), image_of(view.depth),
            depth_scale=1.0, depth_trunc=FAR, convert_rgb_to_intensity=False,
        )  # fmt: skip
        (fx, _, cx), (_, fy, cy) = camera.K[0], camera.K[1]
        lens = open3d.camera.PinholeCameraIntrinsic(camera.width, camera.height, fx, fy, cx - 0.5, cy - 0.5)
        volume.integrate(image, lens, np.linalg.inv(keyframe.T_world_camera))
    mesh = volume.extract_triangle_mesh()
    if not len(mesh.triangles):
        raise StorageError("the keyframes show no surface of it: there is no mesh of nothing")
    mesh.transform(np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]))  # z up -> y up
    mesh.compute_vertex_normals()
    with writing(path) as scratch:
        named = scratch.with_suffix(".glb")  # Open3D goes by the ending
        if not open3d.io.write_triangle_mesh(named, mesh):
            raise OSError("choose another --out")
        named.replace(scratch)
    return len(mesh.triangles)

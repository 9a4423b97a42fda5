"""The Gaussians' centres as a labelled cloud: PLY and PCD."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from plyfile import PlyData, PlyElement

from ig_ros.atomic_write import appearing_file
from ig_ros.errors import StorageError
from ig_ros.types import IntArray, MapSnapshot

COLUMNS = [
    *((name, "<f4") for name in "xyz"),
    *((name, "u1") for name in ("red", "green", "blue")),
    *(("instance", "<i4"), ("confidence", "<f4"), ("opacity", "<f4")),
]


def labelled_points(snapshot: MapSnapshot, rows: IntArray | None = None) -> npt.NDArray[np.void]:
    """Structured array (N,) of COLUMNS, of all Gaussians or of `rows`; instance -1 = none, positions in metres."""
    chosen: Any = slice(None) if rows is None else rows
    table = np.zeros(len(snapshot.xyz[chosen]), COLUMNS)
    for axis, name in enumerate("xyz"):
        table[name] = snapshot.xyz[chosen, axis]
    for channel, name in enumerate(("red", "green", "blue")):
        table[name] = snapshot.rgb[chosen, channel]
    table["instance"] = snapshot.instances.point_ids[chosen]
    table["confidence"] = snapshot.instances.point_confidence[chosen]
    table["opacity"] = snapshot.opacity[chosen]
    return table


def names_of(snapshot: MapSnapshot) -> dict[int, str]:
    """The label of every object, by id."""
    return {thing.id: thing.label for thing in snapshot.instances.objects}


def write_ply(
    path: Path, points: npt.NDArray[np.void], names: Mapping[int, str], faces: PlyElement | None = None
) -> int:
    """Write a binary PLY, of a mesh with its faces; who is who stands in its comments, `object 3 mug`.

    Returns N. Raises StorageError.
    """
    comments = [f"object {number} {name}".rstrip() for number, name in sorted(names.items())]
    plain = [c.encode("ascii", "replace").decode() for c in comments]  # the format's header is ASCII
    try:
        elements = [PlyElement.describe(points, "vertex"), *([] if faces is None else [faces])]
        with appearing_file(path) as scratch:
            PlyData(elements, byte_order="<", comments=plain).write(str(scratch))
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    return len(points)


def write_pcd(path: Path, points: npt.NDArray[np.void]) -> int:
    """Write a binary PCD with x y z rgb and `label` (as pcl::PointXYZRGBL, signed: -1 = none). Returns N.

    Raises StorageError.
    """
    if not len(points):
        raise StorageError("the map has no points: there is no PCD of nothing")
    import open3d  # loads in seconds: only who writes a PCD waits

    cloud = open3d.t.geometry.PointCloud()
    xyz, rgb = (np.stack([points[n] for n in names], axis=1) for names in (("x", "y", "z"), ("red", "green", "blue")))
    tensor: Any = open3d.core.Tensor  # its type information knows no arrays
    cloud.point.positions, cloud.point.colors = tensor(xyz.astype(np.float32)), tensor(rgb.astype(np.uint8))
    cloud.point.label = tensor(np.ascontiguousarray(points["instance"], np.int32)[:, None])
    cloud.point.confidence = tensor(np.ascontiguousarray(points["confidence"], np.float32)[:, None])
    try:
        with appearing_file(path) as scratch:
            if not open3d.t.io.write_point_cloud(scratch, cloud):
                raise OSError("choose another --out")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    return len(points)

"""The Gaussians' centres as a labelled cloud: PLY and PCD."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from plyfile import PlyData, PlyElement

from ig_ros.atomic_write import atomic_file
from ig_ros.errors import StorageError
from ig_ros.types import Array, FloatArray, IntArray, MapSnapshot

XYZ, RGB = ("x", "y", "z"), ("red", "green", "blue")
POINT = [*((name, "<f4") for name in XYZ), *((name, "u1") for name in RGB)]
FLOAT_REACH = 8000.0  # m: beyond, float32 rounds by more than half a millimetre
COLUMNS = [*POINT, ("instance", "<i4"), ("confidence", "<f4"), ("opacity", "<f4")]


def point_table(columns: list[tuple[str, str]], xyz: FloatArray, rgb: Array) -> npt.NDArray[np.void]:
    """Returns a structured array (N,) with the columns of POINT filled in from xyz (N, 3) m and rgb (N, 3) u8.

    Coordinates beyond FLOAT_REACH are doubles.
    """
    far = np.abs(xyz).max(initial=0.0) > FLOAT_REACH
    table = np.zeros(len(xyz), [(name, "<f8" if far and name in XYZ else kind) for name, kind in columns])
    for names, values in ((XYZ, xyz), (RGB, rgb)):
        for column, name in enumerate(names):
            table[name] = values[:, column]
    return table


def labelled_points(snapshot: MapSnapshot, rows: IntArray | None = None) -> npt.NDArray[np.void]:
    """Returns a structured array (N,) of COLUMNS, of all Gaussians or of `rows`; instance -1 = none, metres."""
    chosen: Any = slice(None) if rows is None else rows
    table = point_table(COLUMNS, snapshot.xyz[chosen], snapshot.rgb[chosen])
    table["instance"] = snapshot.instances.point_ids[chosen]
    table["confidence"] = snapshot.instances.point_confidence[chosen]
    table["opacity"] = snapshot.opacity[chosen]
    return table


def names_of(snapshot: MapSnapshot) -> dict[int, str]:
    """Returns the label of every object, by id."""
    return {thing.id: thing.label for thing in snapshot.instances.objects}


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yields a scratch file that takes the place of `path` at the end. Raises StorageError instead of OSError."""
    try:
        with atomic_file(path) as scratch:
            yield scratch
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def write_ply(
    path: Path, points: npt.NDArray[np.void], names: Mapping[int, str], faces: PlyElement | None = None
) -> int:
    """Writes a binary PLY, of a mesh with its faces; its comments name the objects, `object 3 mug`.

    Returns N. Raises StorageError.
    """
    comments = [f"object {number} {name}".rstrip() for number, name in sorted(names.items())]
    plain = [c.encode("ascii", "replace").decode() for c in comments]  # the format's header is ASCII
    elements = [PlyElement.describe(points, "vertex"), *([] if faces is None else [faces])]
    with writing(path) as scratch:
        PlyData(elements, byte_order="<", comments=plain).write(str(scratch))
    return len(points)


def write_pcd(path: Path, points: npt.NDArray[np.void]) -> int:
    """Writes a binary PCD with x y z rgb and `label` (uint32 as pcl::PointXYZRGBL, 0 = none). Returns N.

    Raises StorageError.
    """
    if not len(points):
        raise StorageError("the map has no points: there is no PCD of nothing")
    import open3d  # loads in seconds: only who writes a PCD waits

    cloud = open3d.t.geometry.PointCloud()
    xyz, rgb = (np.stack([points[n] for n in names], axis=1) for names in (XYZ, RGB))
    tensor: Any = open3d.core.Tensor  # its type information knows no arrays
    cloud.point.positions, cloud.point.colors = tensor(xyz.astype(np.float32)), tensor(rgb.astype(np.uint8))
    cloud.point.label = tensor(np.maximum(points["instance"], 0).astype(np.uint32)[:, None])
    cloud.point.confidence = tensor(np.ascontiguousarray(points["confidence"], np.float32)[:, None])
    with writing(path) as scratch:
        if not open3d.t.io.write_point_cloud(scratch, cloud):
            raise OSError("choose another --out")
    return len(points)

"""A map's objects on a cloud or mesh that is not the map's own: read it, label it, write it back (paper A.3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from plyfile import PlyData, PlyElement, PlyParseError

from ig_ros.colors import id_colors
from ig_ros.errors import ConfigError, StorageError
from ig_ros.evaluation.label_transfer import (
    ColoredPoints,
    Transfer,
    smooth_onto,
    transfer_by_vote,
    trusted_points,
)
from ig_ros.export.clouds import POINT, RGB, point_table
from ig_ros.named_objects import FrozenMap
from ig_ros.types import BoolArray, FloatArray, MapSnapshot

NEIGHBOURS = 8  # that vote in the plain way
UNKNOWN = 128  # grey of points without an object, where colour shows the objects
COLUMNS = [*POINT, ("instance_id", "<i4"), ("confidence", "<f4")]


@dataclass(frozen=True, slots=True)
class GivenCloud:
    """P points of somebody else's, in the map's frame."""

    xyz: FloatArray  # (P, 3) float32 m; points that are not finite stay unlabelled
    rgb: npt.NDArray[np.uint8] | None = None  # (P, 3)
    faces: PlyElement | None = None  # of a mesh, over the points in their order


def read_cloud(path: Path) -> GivenCloud:
    """Reads a PLY cloud or mesh, or a PCD. Raises StorageError."""
    if path.suffix.lower() not in (".ply", ".pcd"):
        raise StorageError(f"cannot read {path}: --cloud takes a .ply (cloud or mesh) or a .pcd")
    if not path.is_file():
        raise StorageError(f"cannot read {path}: there is no such file")
    cloud = _read_ply(path) if path.suffix.lower() == ".ply" else _read_pcd(path)
    if not len(cloud.xyz):
        raise StorageError(f"{path} has no points: there is nothing to label")
    return cloud


def _read_ply(path: Path) -> GivenCloud:
    try:
        data = PlyData.read(str(path))
        vertex = data["vertex"]
        xyz = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float32)
    except (OSError, ValueError, KeyError, PlyParseError) as error:
        raise StorageError(f"cannot read {path}: expected a PLY file with vertices x, y, z ({error})") from error
    named = {item.name for item in vertex.properties}
    rgb = np.stack([vertex[name] for name in RGB], axis=1) if set(RGB) <= named else None
    if rgb is not None and np.issubdtype(rgb.dtype, np.floating):  # some programs write shares instead of bytes
        rgb = (255 * rgb).clip(0, 255)
    faces = next((element for element in data.elements if element.name == "face"), None)
    return GivenCloud(xyz, None if rgb is None else rgb.astype(np.uint8), faces)


def _read_pcd(path: Path) -> GivenCloud:
    import open3d  # loads in seconds: only who reads a PCD waits

    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):  # the message below says it
        cloud: Any = open3d.io.read_point_cloud(path, remove_nan_points=False, remove_infinite_points=False)
    rgb = (255 * np.asarray(cloud.colors)).round().astype(np.uint8) if cloud.has_colors() else None
    return GivenCloud(np.asarray(cloud.points).astype(np.float32), rgb)


def label_cloud(cloud: GivenCloud, frozen: FrozenMap, snapshot: MapSnapshot, accept: float | None) -> Transfer:
    """Returns the snapshot's object ids at the cloud's points, -1 = unknown.

    With `accept` a network learns them from the Gaussians that show in masks of the keyframes whose IoU with their
    object exceeds it [IG A.3]; None: the nearest points of the map vote. The snapshot must be of the frozen map. Raises
    ConfigError where there are no such masks.
    """
    ids = snapshot.instances.point_ids
    finite: BoolArray = np.asarray(np.isfinite(cloud.xyz).all(axis=1))
    xyz = cloud.xyz[finite]
    if accept is None:
        found = transfer_by_vote(snapshot.xyz, ids, xyz, neighbours=NEIGHBOURS)
    else:
        trusted = trusted_points(frozen.gaussians, ids, frozen.keyframes, accept)
        if not trusted.any():
            raise ConfigError(
                "no mask of this map's keyframes shows its objects, so nothing can be learnt: add --plain"
            )
        rgb = None if cloud.rgb is None else cloud.rgb[finite] / 255.0
        own = ColoredPoints(snapshot.xyz, snapshot.rgb / 255.0)
        found = smooth_onto(own, ids, trusted, ColoredPoints(xyz, rgb), torch.Generator().manual_seed(0))
    everywhere = Transfer.unknown(len(finite))
    everywhere.ids[finite], everywhere.confidence[finite] = found.ids, found.confidence
    return everywhere


def labelled_cloud(cloud: GivenCloud, found: Transfer, paint: bool = False) -> npt.NDArray[np.void]:
    """Returns a structured array (P,) of COLUMNS in the cloud's order; its colours, or with `paint` those of the ids.

    A cloud without colours is painted.
    """
    painted = np.where((found.ids >= 0)[:, None], id_colors(found.ids), np.uint8(UNKNOWN))
    table = point_table(COLUMNS, cloud.xyz, painted if paint or cloud.rgb is None else cloud.rgb)
    table["instance_id"], table["confidence"] = found.ids, found.confidence
    return table

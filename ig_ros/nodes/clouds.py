"""PointCloud2 <-> arrays, without a Python loop over points.

sensor_msgs_py is not used: its clouds say that they may hold NaN (is_dense), which ours never do.
"""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from ig_ros.errors import FrameError
from ig_ros.geometry import transform
from ig_ros.nodes.conversions import byte_array
from ig_ros.types import FloatArray, IntArray, MapSnapshot

Points = npt.NDArray[np.void]  # structured array (N,), a field per name

_TYPES = {  # PointField.datatype -> NumPy kind
    PointField.INT8: "i1", PointField.UINT8: "u1", PointField.INT16: "i2", PointField.UINT16: "u2",
    PointField.INT32: "i4", PointField.UINT32: "u4", PointField.FLOAT32: "f4", PointField.FLOAT64: "f8",
}  # fmt: skip
_CODES = {kind: code for code, kind in _TYPES.items()}

CLOUD_TYPE = np.dtype(  # of ig/instance_cloud; `rgb` is 0x00rrggbb in the bits of a float32, as RViz and PCL expect
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<f4"), ("instance_id", "<i4"), ("confidence", "<f4")]
)

SURFACE_TYPE = np.dtype([*CLOUD_TYPE.descr, ("normal_x", "<f4"), ("normal_y", "<f4"), ("normal_z", "<f4")])


def cloud_message(points: Points, head: Header) -> PointCloud2:
    """PointCloud2 of a packed structured array (N,), one field per name."""
    return _cloud(head, points.dtype, byte_array(points))


def points_from_cloud(message: PointCloud2) -> Points:
    """Structured array (N,) of a cloud's points, all scalar fields by name. FrameError for data that is too short."""
    order = ">" if message.is_bigendian else "<"
    scalars = [f for f in message.fields if f.count <= 1 and f.datatype in _TYPES]
    kind = np.dtype(
        {
            "names": [f.name for f in scalars],
            "formats": [order + _TYPES[f.datatype] for f in scalars],
            "offsets": [f.offset for f in scalars],
            "itemsize": message.point_step,
        }
    )
    row = message.width * message.point_step
    needed = (message.height - 1) * message.row_step + row if message.height and message.width else 0
    if len(message.data) < needed or (message.height > 1 and message.row_step < row):
        raise FrameError(
            "map_points_data",
            f"cloud of {message.width}x{message.height} points needs {needed} bytes, has {len(message.data)}",
        )
    raw = np.frombuffer(message.data, np.uint8)
    rows = [raw[r * message.row_step : r * message.row_step + row] for r in range(message.height)]
    return np.concatenate(rows).view(kind) if rows else np.zeros(0, kind)


def sparse_points(message: PointCloud2) -> tuple[FloatArray, npt.NDArray[np.uint8] | None]:
    """xyz (N, 3) float32 and, where there is a field rgb or rgba, colours (N, 3) uint8; without NaN points."""
    points = points_from_cloud(message)
    names = points.dtype.names or ()
    if not {"x", "y", "z"} <= set(names):
        raise FrameError("map_points_data", f"map_points has the fields {', '.join(names)}: x, y and z are needed")
    xyz = np.stack([points[name].astype(np.float32) for name in "xyz"], axis=1)
    valid = np.isfinite(xyz).all(axis=1)
    packed = next((points[name] for name in ("rgb", "rgba") if name in names), None)
    if packed is None or packed.dtype.itemsize != 4:
        return xyz[valid], None
    bits = packed[valid].astype(packed.dtype.newbyteorder("=")).view(np.uint32)
    return xyz[valid], np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255], axis=1).astype(np.uint8)


def packed_rgb(rgb: npt.NDArray[np.uint8]) -> FloatArray:
    """(N,) float32 whose bits are 0x00rrggbb."""
    wide = rgb.astype(np.uint32)
    return (wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]).view(np.float32)


def snapshot_points(snapshot: MapSnapshot, chosen: IntArray | None = None) -> Points:
    """CLOUD_TYPE array of a snapshot's Gaussians, or of the rows `chosen`."""
    points = np.zeros(len(snapshot.xyz) if chosen is None else len(chosen), CLOUD_TYPE)
    _fill(points, snapshot, chosen)
    return points


def rounding(xyz: FloatArray) -> float:
    """Returns the step (m) to which a cloud of float32 rounds the farthest of points (N, 3) m."""
    return float(np.spacing(np.abs(xyz).max(initial=0.0).astype(np.float32)))


def snapshot_cloud(snapshot: MapSnapshot | None, head: Header, chosen: IntArray | None = None) -> PointCloud2:
    """PointCloud2 of a snapshot's Gaussians, or of the rows `chosen`; empty for None.

    The columns are written where the message keeps them: no point is copied a second time.
    """
    count = 0 if snapshot is None else len(snapshot.xyz) if chosen is None else len(chosen)
    data = array.array("B", bytes(count * CLOUD_TYPE.itemsize))
    if snapshot is not None:
        _fill(np.frombuffer(data, CLOUD_TYPE), snapshot, chosen)
    return _cloud(head, CLOUD_TYPE, data)


def _cloud(head: Header, kind: np.dtype[Any], data: array.array[int]) -> PointCloud2:
    width = len(data) // kind.itemsize
    return PointCloud2(
        header=head, height=1, width=width, fields=_fields(kind), is_bigendian=False, is_dense=True,
        point_step=kind.itemsize, row_step=kind.itemsize * width, data=data,
    )  # fmt: skip


def _fill(points: Points, snapshot: MapSnapshot, chosen: IntArray | None) -> None:
    rows: Any = slice(None) if chosen is None else chosen
    for axis, name in enumerate("xyz"):
        points[name] = snapshot.xyz[rows, axis]
    points["rgb"] = packed_rgb(snapshot.rgb[rows])
    points["instance_id"] = snapshot.instances.point_ids[rows]
    points["confidence"] = snapshot.instances.point_confidence[rows]


def _fields(kind: np.dtype[Any]) -> list[PointField]:
    return [
        PointField(name=name, offset=place[1], datatype=_CODES[place[0].str[1:]], count=1)
        for name, place in (kind.fields or {}).items()
    ]


def surface_points(snapshot: MapSnapshot, rows: IntArray, normals: FloatArray, T_frame_world: FloatArray) -> Points:
    """SURFACE_TYPE array of the rows (n,) of a snapshot with their normals (n, 3), in the frame of T_frame_world."""
    points = np.zeros(len(rows), SURFACE_TYPE)
    plain = snapshot_points(snapshot, rows)
    for name in CLOUD_TYPE.names or ():
        points[name] = plain[name]
    xyz, turned = transform(T_frame_world, snapshot.xyz[rows]), normals @ T_frame_world[:3, :3].T
    for axis, name in enumerate("xyz"):
        points[name], points[f"normal_{name}"] = xyz[:, axis], turned[:, axis]
    return points


def thinned(count: int, limit: int) -> IntArray | None:
    """Rows of an even choice of at most `limit` out of `count`, None for all."""
    return None if count <= limit else np.linspace(0, count - 1, limit).astype(np.int64)

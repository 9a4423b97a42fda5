"""The anchors one camera sees, on the CPU: which they are, their rows side by side, what a step leaves in their books.

The truth these kernels are tested against is the plain torch of `ig_ros.scaffold`, which also serves other devices.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch

from ig_ros.raster.library import address, load, threads
from ig_ros.types import Camera, FloatArray


class _Frustum(ctypes.Structure):
    """Mirror of Frustum in native/view_rows.cpp."""

    _fields_ = [
        ("origin", ctypes.c_float * 3),
        ("rotation", ctypes.c_float * 9),
        *((name, ctypes.c_float) for name in ("fx", "fy", "cx", "cy", "near", "border")),
    ]


class _Table(ctypes.Structure):
    """Mirror of GatherTable in native/view_rows.cpp."""

    _fields_ = [("source", ctypes.c_void_p), ("to", ctypes.c_void_p), ("width", ctypes.c_int64)]


class _Account(ctypes.Structure):
    """Mirror of ViewAccount in native/view_rows.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("rows", "opacities", "screen", "visible")),
        *((name, ctypes.c_void_p) for name in ("opacity", "gradient_sum", "gradient_count")),
        *((name, ctypes.c_int64) for name in ("count", "children")),
        *((name, ctypes.c_float) for name in ("memory", "half_width", "half_height")),
        ("threads", ctypes.c_int32),
    ]


def rows_in_view(
    position: torch.Tensor, edge: torch.Tensor, camera: Camera, T_world_camera: FloatArray, near: float, border: float
) -> torch.Tensor:
    """(n,) int64 ascending rows of the anchors, position (N, 3) and edge (N,) m, that may reach into the image.

    border is the share of the image by which its frame is widened; anchors within twice their edge count as well.
    """
    K, w, h = camera.K, camera.width, camera.height
    frustum = _Frustum(fx=K[0, 0] / w, fy=K[1, 1] / h, cx=K[0, 2] / w, cy=K[1, 2] / h, near=near, border=border)
    frustum.origin[:] = T_world_camera[:3, 3].tolist()
    frustum.rotation[:] = T_world_camera[:3, :3].reshape(-1).tolist()
    position, edge = position.contiguous(), edge.contiguous()
    rows, count = torch.empty(len(edge), dtype=torch.int64), ctypes.c_int64()
    load().call(
        "ig_rows_in_view", address(position), address(edge), len(edge), ctypes.byref(frustum),
        threads(), address(rows), ctypes.byref(count),
    )  # fmt: skip
    return rows[: count.value]


def gather_rows(tables: Sequence[torch.Tensor], rows: torch.Tensor) -> list[torch.Tensor]:
    """table[rows] of several tables (N, ...) float32 in one call; rows (n,) int64."""
    sources = [table.contiguous() for table in tables]
    found = [source.new_empty(len(rows), *source.shape[1:]) for source in sources]
    structs = (_Table * len(sources))(
        *(_Table(address(a), address(b), a[0].numel() if len(a) else 0) for a, b in zip(sources, found, strict=True))
    )
    load().call("ig_gather_rows", structs, len(sources), address(rows), len(rows), threads())
    return found


def account_view(
    data: dict[str, torch.Tensor],
    rows: torch.Tensor,
    opacities: torch.Tensor,
    memory: float,
    screen: tuple[torch.Tensor, torch.Tensor] | None,
    size: tuple[int, int],
) -> None:
    """Update the books `data` of the anchors `rows` (n,) after their k children were drawn, in place.

    opacity (N,) is the running mean, with this memory, of the children's summed opacities (n * k,). With `screen`,
    gradients (n * k, 2) per pixel and visibility (n * k,) bool, the positional gradients of the visible children are
    summed in units of half the image's size (width, height) px and counted [SG].
    """
    gradient, visible = (t.contiguous() for t in screen) if screen is not None else (None, None)
    struct = _Account(
        *map(address, (rows, opacities, gradient, visible)),
        *map(address, (data["opacity"], data["gradient_sum"], data["gradient_count"])),
        *(len(rows), data["gradient_sum"].shape[1], memory, size[0] / 2, size[1] / 2, threads()),
    )
    load().call("ig_account_view", struct)

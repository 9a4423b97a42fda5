"""Which pixel of a view shows each point of a cloud, and what it says there, by the compiled kernels."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from ig_ros.geometry import inverse
from ig_ros.raster.library import load, threads
from ig_ros.types import BoolArray, Camera, FloatArray, IntArray

NEAREST = 0.05  # m before the camera


class _SurfaceView(ctypes.Structure):
    """Mirror of the struct in native/visibility.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("world_to_camera", "intrinsics", "depth")),
        *((name, ctypes.c_int32) for name in ("width", "height")),
        *((name, ctypes.c_float) for name in ("nearest", "relative", "quadratic", "least", "absolute")),
    ]


@dataclass(frozen=True, slots=True)
class Surface:
    """The surface that a view sees: it shows a point within min(relative z, max(quadratic z^2, least)) + absolute."""

    camera: Camera
    T_world_camera: FloatArray  # (4, 4) m
    depth: FloatArray  # (H, W) m, 0 = unknown
    relative: float
    absolute: float = 0.0  # m
    quadratic: float = np.inf  # 1/m
    least: float = 0.0  # m

    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """World to camera (3, 4), intrinsics (4,) and depth as the kernels read them. Raises ValueError."""
        if self.depth.shape != (self.camera.height, self.camera.width):
            size = f"{self.camera.width}x{self.camera.height}"
            raise ValueError(f"depth {self.depth.shape} does not fit a view of {size}")
        pose = np.ascontiguousarray(inverse(self.T_world_camera)[:3], np.float32)
        intrinsics = self.camera.K[[0, 1, 0, 1], [0, 1, 2, 2]].astype(np.float32)
        return pose, intrinsics, np.ascontiguousarray(self.depth, np.float32)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of N points, filled in view by view; written to in place."""

    xyz: FloatArray  # (N, 3) float32 m
    total: IntArray  # (N, 3) int32 sum of the normals of the pixels that show them
    steady: BoolArray  # (N,) no longer, once a view was looked at

    def add(
        self, surface: Surface, rows: IntArray, place: IntArray, normal: IntArray, before: int, mask: IntArray
    ) -> None:
        """Look from one view at the points `rows` (R,): mask (N,) int32 becomes place + before where place is not 0.

        place (H * W,) int32, normal (H * W, 3) int8 of its pixels.
        """
        self._look(surface, rows, place, normal, before, 1, mask)

    def take_away(self, surface: Surface, rows: IntArray, normal: IntArray) -> None:
        """Undo what `add` did to the normals."""
        self._look(surface, rows, None, normal, 0, -1, None)

    def _look(
        self, surface: Surface, rows: IntArray, place: IntArray | None, normal: IntArray, before: int, sign: int,
        mask: IntArray | None,
    ) -> None:  # fmt: skip
        places, numbers = np.ascontiguousarray(rows, np.int64), (ctypes.c_int32(before), ctypes.c_int32(sign))
        count = ctypes.c_int64(len(rows))
        _call("ig_look", surface, self.xyz, places, count, place, normal, *numbers, mask, self.total, self.steady)


def carry(mask: IntArray, earlier: IntArray, view: IntArray, shift: IntArray, row: IntArray, hidden: int) -> None:
    """Fill mask (K, N) int32 of N points in K views with what an earlier run saw, and `hidden` where it did not.

    earlier (K', N') int32; view (K,) and row (N,) the earlier view and point, -1 = new; shift (K,) is added to masks,
    which are above 0.
    """
    arrays: list[IntArray] = [np.ascontiguousarray(earlier, np.int32), np.ascontiguousarray(view, np.int64)]
    arrays += [np.ascontiguousarray(a, np.int32) for a in (shift, row)]
    before, views, shifts, rows = (ctypes.c_void_p(a.ctypes.data) for a in arrays)
    sizes = [ctypes.c_int64(n) for n in (earlier.shape[1], *mask.shape)]
    load().call(
        "ig_carry", before, sizes[0], views, shifts, sizes[1], rows, sizes[2], ctypes.c_int32(hidden),
        ctypes.c_void_p(mask.ctypes.data), ctypes.c_int32(threads()),
    )  # fmt: skip


def visible_pixels(points: FloatArray, surface: Surface) -> IntArray:
    """(N,) int32 place in the flattened image of the pixel that shows each point (N, 3) m, -1 = hidden."""
    cloud = np.ascontiguousarray(points, np.float32)
    if cloud.shape[1:] != (3,):
        raise ValueError(f"points have shape {cloud.shape}, wanted (N, 3)")
    pixel = np.empty(len(cloud), np.int32)
    _call("ig_visible_pixels", surface, cloud, ctypes.c_int64(len(cloud)), pixel)
    return pixel


def _call(name: str, surface: Surface, *arguments: Any) -> None:
    """Arrays go by address, the number of threads last."""
    arrays = surface.arrays()
    view = _SurfaceView(
        *(a.ctypes.data for a in arrays), surface.camera.width, surface.camera.height, NEAREST, surface.relative,
        surface.quadratic, surface.least, surface.absolute,
    )  # fmt: skip
    passed = [ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else a for a in arguments]
    load().call(name, view, *passed, ctypes.c_int32(threads()))

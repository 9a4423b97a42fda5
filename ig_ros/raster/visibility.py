"""Which pixel of a view shows each point of a cloud, and what it says there, by the compiled kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ig_ros.geometry import inverse
from ig_ros.raster.library import call_with_threads, load, threads
from ig_ros.types import BoolArray, Camera, FloatArray, IntArray

NEAREST = 0.05  # m before the camera
LOOSE = -2  # minus the mask on which a view shows a point, but not closely


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


class _Sighting(ctypes.Structure):
    """Mirror of the struct in native/visibility.cpp."""

    _fields_ = [
        ("view", _SurfaceView),
        *((name, ctypes.c_void_p) for name in ("rows", "place", "normal", "mask")),
        ("count", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("before", "sign")),
    ]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One view looking at some points."""

    surface: Surface
    rows: IntArray  # (R,) int64, the points, ascending
    normal: IntArray  # (H * W, 3) int8 of the view's pixels
    place: IntArray | None = None  # (H * W,) int32 likewise; None = take away what these normals once added
    before: int = 0  # added to places above 0
    mask: IntArray | None = None  # (N,) int32, gets place + before of the pixel that shows a point, or LOOSE minus it


class _Known(ctypes.Structure):
    """Mirror of the struct in native/visibility.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("points", "total", "closely", "steady")),
        ("size", ctypes.c_int64),
        ("close", ctypes.c_float),
    ]


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of N points, filled in by views; written to in place."""

    xyz: FloatArray  # (N, 3) float32 m
    total: IntArray  # (N, 3) int32 sum of the normals of the pixels that show them
    closely: IntArray  # (N,) int32 views that show them closely
    steady: BoolArray  # (N,) no longer, once a view was looked at

    def take(self, sightings: Sequence[Sighting], close: float) -> None:
        """Look from several views; one shows a point closely if the surface is off by this share of the tolerance."""
        arrays = [sighting.surface.arrays() for sighting in sightings]  # alive until the kernel has run
        rows = [np.ascontiguousarray(sighting.rows, np.int64) for sighting in sightings]
        structs = (_Sighting * len(sightings))(
            *(
                _Sighting(
                    _surface_view(s.surface, own),
                    *(None if a is None else a.ctypes.data for a in (places, s.place, s.normal, s.mask)),
                    *(len(places), s.before, -1 if s.place is None else 1),
                )
                for s, own, places in zip(sightings, arrays, rows, strict=True)
            )
        )
        own = (a.ctypes.data for a in (self.xyz, self.total, self.closely, self.steady))
        known = _Known(*own, len(self.xyz), close)
        load().call("ig_look", structs, ctypes.c_int64(len(sightings)), known, ctypes.c_int32(threads()))


def believe_loose(mask: IntArray, rows: IntArray) -> None:
    """Make plain masks of the LOOSE ones of points rows (R,) in mask (K, N) int32."""
    call_with_threads("ig_believe_loose", mask, *mask.shape, np.ascontiguousarray(rows, np.int64), len(rows))


def carry(mask: IntArray, earlier: IntArray, view: IntArray, shift: IntArray, row: IntArray, hidden: int) -> None:
    """Fill mask (K, N) int32 of N points in K views with what an earlier run saw, and `hidden` where it did not.

    earlier (K', N') int32; view (K,) and row (N,) the earlier view and point, -1 = new; shift (K,) is added to masks,
    which are above 0, or LOOSE minus them.
    """
    arrays: list[IntArray] = [np.ascontiguousarray(earlier, np.int32), np.ascontiguousarray(view, np.int64)]
    arrays += [np.ascontiguousarray(a, np.int32) for a in (shift, row)]
    before, views, shifts, rows = arrays
    call_with_threads(
        "ig_carry",
        before,
        earlier.shape[1],
        views,
        shifts,
        len(mask),
        rows,
        mask.shape[1],
        ctypes.c_int32(hidden),
        mask,
    )


def visible_pixels(points: FloatArray, surface: Surface) -> IntArray:
    """(N,) int32 place in the flattened image of the pixel that shows each point (N, 3) m, -1 = hidden."""
    cloud = np.ascontiguousarray(points, np.float32)
    if cloud.shape[1:] != (3,):
        raise ValueError(f"points have shape {cloud.shape}, wanted (N, 3)")
    pixel, arrays = np.empty(len(cloud), np.int32), surface.arrays()
    to, out = ctypes.c_void_p(cloud.ctypes.data), ctypes.c_void_p(pixel.ctypes.data)
    view = _surface_view(surface, arrays)
    load().call("ig_visible_pixels", view, to, ctypes.c_int64(len(cloud)), out, ctypes.c_int32(threads()))
    return pixel


def _surface_view(surface: Surface, arrays: tuple[FloatArray, FloatArray, FloatArray]) -> _SurfaceView:
    """The struct; it borrows the memory of the surface's arrays."""
    return _SurfaceView(
        *(a.ctypes.data for a in arrays), surface.camera.width, surface.camera.height, NEAREST, surface.relative,
        surface.quadratic, surface.least, surface.absolute,
    )  # fmt: skip

"""Visibility of points in views: the pixel that shows each point, its mask and its normal, by compiled kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ig_ros.geometry import inverse
from ig_ros.raster.library import load, threads
from ig_ros.raster.request import NEAR
from ig_ros.types import Camera, FloatArray, IntArray

LOOSE = -2  # minus the mask on which a view shows a point, but not closely


@dataclass(frozen=True, slots=True)
class DepthView:
    """A depth image and how near to it a point is visible: min(relative z, max(quadratic z^2, least)) + absolute."""

    camera: Camera
    T_world_camera: FloatArray  # (4, 4) m
    depth: FloatArray  # (H, W) m, 0 = unknown
    relative: float
    absolute: float = 0.0  # m
    quadratic: float = np.inf  # 1/m
    least: float = 0.0  # m

    def struct(self) -> ctypes.Structure:
        """The view as the kernels read it. Raises ValueError for a depth image of another size."""
        if self.depth.shape != (self.camera.height, self.camera.width):
            size = f"{self.camera.width}x{self.camera.height}"
            raise ValueError(f"depth {self.depth.shape} does not fit a view of {size}")
        return load().struct(
            "DepthView",
            world_to_camera=np.ascontiguousarray(inverse(self.T_world_camera)[:3], np.float32),
            intrinsics=self.camera.K[[0, 1, 0, 1], [0, 1, 2, 2]].astype(np.float32),
            depth=np.ascontiguousarray(self.depth, np.float32),
            width=self.camera.width,
            height=self.camera.height,
            nearest=NEAR,
            relative=self.relative,
            quadratic=self.quadratic,
            least=self.least,
            absolute=self.absolute,
        )


@dataclass(frozen=True, slots=True)
class ViewProjection:
    """One view into which points are projected, and what its pixels say."""

    view: DepthView
    normal: IntArray  # (H * W, 3) int8 of the view's pixels
    place: IntArray  # (H * W,) int32 likewise
    before: int  # added to places above 0
    mask: IntArray  # (N,) int32, gets place + before of the pixel that shows a point, or LOOSE minus it


@dataclass(frozen=True, slots=True)
class PointVisibility:
    """What views tell of N points, added up in place."""

    xyz: FloatArray  # (N, 3) float32 m
    total: IntArray  # (N, 3) int32 sum of the normals of the pixels that show them
    closely: IntArray  # (N,) int32 views that show them closely

    def add(self, views: Sequence[ViewProjection], close: float) -> None:
        """Projects into views; one shows a point closely if the surface is off by this share of its tolerance."""
        library = load()
        structs = [
            library.struct(
                "ViewProjection",
                view=v.view.struct(),
                place=v.place,
                normal=v.normal,
                mask=v.mask,
                before=v.before,
            )
            for v in views
        ]
        known = library.struct(
            "PointVisibility",
            points=self.xyz,
            total=self.total,
            closely=self.closely,
            size=len(self.xyz),
            close=close,
        )
        library.call("ig_look", structs, len(structs), known, threads())


def believe_loose(mask: IntArray, rows: IntArray) -> None:
    """Make plain masks of the LOOSE ones of points rows (R,) in mask (K, N) int32."""
    load().call("ig_believe_loose", mask, *mask.shape, np.ascontiguousarray(rows, np.int64), len(rows), threads())


def visible_pixels(points: FloatArray, view: DepthView) -> IntArray:
    """(N,) int32 place in the flattened image of the pixel that shows each point (N, 3) m, -1 = hidden."""
    cloud = np.ascontiguousarray(points, np.float32)
    if cloud.shape[1:] != (3,):
        raise ValueError(f"points have shape {cloud.shape}, wanted (N, 3)")
    pixel = np.empty(len(cloud), np.int32)
    load().call("ig_visible_pixels", view.struct(), cloud, len(cloud), pixel, threads())
    return pixel

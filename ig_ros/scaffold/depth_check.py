"""Depth that lies beside its colour: how far depth edges are from colour edges, and the offset that explains it.

The offset is what edges can tell of a depth camera beside a colour camera: zoom, roll, where the image's centre lies,
and the two sideways parts of the way between them. Small turns about the other two axes look like a shift of the
centre, so they are not told apart from it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from ig_ros.scaffold.keyframes import reduced
from ig_ros.types import Camera, FloatArray, Frame, IntArray

log = logging.getLogger(__name__)

IMAGES = 10  # of a camera, after which it is judged
WIDTH = 640  # px at most, at which edges are compared
LEAST = 500  # edge points in half of the images; fewer tell nothing
MOVED = 0.004  # of the image's width: a depth camera's shadows move edges by up to 0.003
GAIN = 0.12  # of the distance between edges, that the other half's offset must take away; shadows give up to 0.08

STEP = 0.05  # share of the nearer depth by which two neighbours differ across an edge
GAP = 16  # px without depth, at most, between the two sides of an edge: the shadow of a depth camera
FAR = 15.0  # px: edges further apart than this have nothing to do with each other
POINTS = 600  # of an image and direction
UNMOVED = np.zeros(7)
PIXEL = np.array([3e-3, 3e-3, 1.5e-3, 1.5e-3, 1.5e-3, 1.5e-3, 1.5e-3])  # what moves edges by about a pixel
USUAL = np.array([0.1, 0.03, 0.02, 0.02, 0.05, 0.05, 0.01])  # deviations, weak: hold what edges say nothing about
SHIFTS, ZOOMS = np.arange(-12, 13, 3) * 1.7e-3, np.arange(-0.12, 0.07, 0.03)  # what is tried first, 3 px apart


@dataclass(frozen=True, slots=True)
class Offset:
    """How the colour camera differs from the one that depth was taken for: `values` (7,).

    Zoom (natural logarithm), roll (rad), shift of the centre right and down (in focal lengths), the depth camera's
    place in the colour camera, right and down (m), and by how much depth images draw things too small (focal lengths):
    not of the camera, but else a zoom would explain it.
    """

    values: FloatArray

    def moved(self, rays: FloatArray, depth: FloatArray) -> FloatArray:
        """Returns where points are seen, as rays (N, 2) at z = 1 of the depth camera's K; `rays` are those before."""
        cos, sin = np.cos(self.values[1]), np.sin(self.values[1])
        turned = rays @ np.array([[cos, sin], [-sin, cos]])
        return np.asarray(np.exp(self.values[0]) * (turned + self.values[4:6] / depth[:, None]) + self.values[2:4])


@dataclass(frozen=True, slots=True)
class ImageEdges:
    """The edges of one image: points on the near side of depth steps, and how far each pixel is from a colour edge."""

    rays: FloatArray  # (N, 2) at z = 1
    depth: FloatArray  # (N,) m
    outward: IntArray  # (N, 2) where the near side ends: one of (1, 0), (-1, 0), (0, 1), (0, -1)
    fields: npt.NDArray[np.float32]  # (2, H, W) px, to edges across which colour changes in that direction, <= FAR


def find_edges(rgb: npt.NDArray[np.uint8], depth: FloatArray, camera: Camera) -> ImageEdges:
    """Returns the edges of an image (H, W, 3) and its depth (H, W) m, 0 = none."""
    found = []
    for across, image in enumerate((depth, depth.T)):
        line, place, z, side = depth_steps(image)
        chosen = np.linspace(0, len(z) - 1, min(len(z), POINTS)).astype(int)
        uv, outward = np.stack([place, line + 0.5], 1), np.stack([side, 0 * side], 1)
        order = [0, 1] if across == 0 else [1, 0]
        found.append((uv[chosen][:, order], z[chosen], outward[chosen][:, order]))
    uv, z, outward = (np.concatenate(part) for part in zip(*found, strict=True))
    return ImageEdges((uv - camera.K[:2, 2]) / camera.K[[0, 1], [0, 1]], z, outward, edge_distance(rgb))


def depth_steps(depth: FloatArray) -> tuple[IntArray, FloatArray, FloatArray, IntArray]:
    """Returns where, along rows, a near surface ends before a far one: rows (N,), columns (N,) px and depth (N,) m.

    A column is the border of the near surface's last pixel; the last part (N,) is 1 where that is on the left of the
    far one, else -1. Pixels without depth between the two do not matter.
    """
    known = depth > 0
    width = depth.shape[1]
    following = np.where(known, np.arange(width), width)
    following = np.minimum.accumulate(following[:, ::-1], axis=1)[:, ::-1]
    row, left = np.nonzero(known[:, :-1])
    right = following[row, left + 1]
    near = (right < width) & (right - left <= GAP)
    row, left, right = row[near], left[near], right[near]
    here, there = depth[row, left], depth[row, right]
    low = np.minimum(here, there)
    step = np.abs(there - here) > STEP * low
    first = (here < there)[step]
    return row[step], np.where(first, left[step] + 1, right[step]).astype(float), low[step], np.where(first, 1, -1)


def edge_distance(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Returns the distance (2, H, W) px from each pixel to the nearest edge across columns, and across rows."""
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (5, 5), 1.0)
    right, below = (cv2.Sobel(grey, cv2.CV_16S, *axes) for axes in ((1, 0), (0, 1)))
    across, down = np.abs(right), np.abs(below)
    strong = 2.5 * float((across + down).mean())
    edge = cv2.Canny(right, below, strong / 2, strong) > 0
    kinds = (edge & (2 * across > down), edge & (2 * down > across))
    fields = [cv2.distanceTransform((~kind).astype(np.uint8), cv2.DIST_L2, 5) for kind in kinds]
    near: npt.NDArray[np.float32] = np.minimum(np.stack(fields), np.float32(FAR))
    return near


class EdgeMatch:
    """Edges of several images of one camera, as one problem."""

    def __init__(self, edges: Sequence[ImageEdges], camera: Camera) -> None:
        """`edges` must not be empty."""
        self._rays, self._depth = (np.concatenate([getattr(e, name) for e in edges]) for name in ("rays", "depth"))
        self._outward = np.concatenate([e.outward for e in edges])
        self._layer = np.concatenate([2 * i + np.abs(e.outward[:, 1]) for i, e in enumerate(edges)])
        self._fields = np.concatenate([e.fields for e in edges])
        self._focal, self._centre = camera.K[[0, 1], [0, 1]], camera.K[:2, 2] - 0.5

    def __len__(self) -> int:
        return len(self._depth)

    def motion(self, values: FloatArray, other: FloatArray) -> float:
        """Returns by how many px, on the mean, the depth edges of one offset lie beside those of another."""
        a, b = (Offset(v).moved(self._rays, self._depth) for v in (values, other))
        return float(np.linalg.norm((a - b) * self._focal, axis=1).mean())

    def distances(self, values: FloatArray, every: int = 1) -> FloatArray:
        """Returns the distance (N,) px of every n-th depth edge from the nearest colour edge, under an offset."""
        seen = Offset(values).moved(self._rays[::every], self._depth[::every]) + values[6] * self._outward[::every]
        height, width = self._fields.shape[1:]
        place = np.clip(seen * self._focal + self._centre, 0, [width - 1.001, height - 1.001])
        (col, row), layer = place.astype(int).T, self._layer[::every]
        right, low = (place - np.floor(place)).T
        f = self._fields
        upper = f[layer, row, col] * (1 - right) + f[layer, row, col + 1] * right
        lower = f[layer, row + 1, col] * (1 - right) + f[layer, row + 1, col + 1] * right
        return np.asarray(upper * (1 - low) + lower * low)

    def distance(self, values: FloatArray = UNMOVED) -> float:
        """Returns their mean."""
        return float(self.distances(values).mean())

    def search(self) -> FloatArray:
        """Returns the offset (7,) of the best shift and zoom of a coarse grid."""
        tried = [np.array([zoom, 0, dx, dy, 0, 0, 0]) for zoom in ZOOMS for dx in SHIFTS for dy in SHIFTS]
        return min(tried, key=lambda values: float(self.distances(values, 5).mean()))

    def fit(self) -> FloatArray:
        """Returns the offset (7,) that brings depth edges onto colour edges, from the best of a coarse grid."""
        weight, steps = 0.05 * np.sqrt(len(self)), 0.5 * np.eye(7)

        def residuals(q: FloatArray) -> FloatArray:
            return np.concatenate([self.distances(q * PIXEL) / 2, weight * q * PIXEL / USUAL])

        def slopes(q: FloatArray) -> FloatArray:
            return np.stack([residuals(q + step) - residuals(q - step) for step in steps], axis=1)

        return np.asarray(least_squares(residuals, self.search() / PIXEL, slopes, loss="cauchy", max_nfev=40).x * PIXEL)


class DepthCheck:
    """Looks at the first keyframes of every camera, once, whether depth lies on its colour."""

    def __init__(self) -> None:
        self.warning = ""  # what is wrong and what to do, "" while nothing is
        self._edges: dict[str, list[ImageEdges]] = {}  # by camera
        self._judged: set[str] = set()

    def look(self, frame: Frame) -> None:
        """Takes a keyframe's image and depth into account; after IMAGES of its camera a verdict is made."""
        if frame.depth is None or frame.source in self._judged:
            return
        small = reduced(frame, WIDTH)
        assert small.depth is not None
        found = self._edges.setdefault(frame.source, [])
        found.append(find_edges(small.rgb, small.depth, small.camera))
        if len(found) < IMAGES:
            return
        self._judged.add(frame.source)
        del self._edges[frame.source]
        offset = steady_offset(found, small.camera)
        if offset is None:
            return
        match = EdgeMatch(found, small.camera)
        zoom, dx, dy = np.exp(offset[0]), *(offset[2:4] * small.camera.K[[0, 1], [0, 1]])
        camera = f" of camera '{frame.source}'" if frame.source else ""
        self.warning = (
            f"depth{camera} lies beside its colour: at {small.camera.width} px its edges are "
            f"{match.distance():.1f} px from colour edges, {match.distance(offset):.1f} px if it is moved by "
            f"{match.motion(offset, UNMOVED):.1f} px (scale {zoom:.3f}, shift {dx:+.1f} {dy:+.1f} px, cameras "
            f"{100 * np.hypot(*offset[4:6]):.1f} cm apart): publish registered depth, or depth with its own "
            "camera_info and tf; in recorded data check the calibration"
        )
        log.warning("%s", self.warning)


def steady_offset(edges: Sequence[ImageEdges], camera: Camera) -> FloatArray | None:
    """Returns the offset (7,) by which depth lies beside its colour, None where it does not, or where nothing is sure.

    It must be found alike in both halves of the images, be more than the shadow of a depth camera, and bring the edges
    of the images together that it was not found in.
    """
    if any(not len(e.depth) for e in edges):
        edges = [e for e in edges if len(e.depth)]
    if len(edges) < IMAGES // 2:
        return None
    halves = [EdgeMatch(edges[i::2], camera) for i in (0, 1)]
    if min(map(len, halves)) < LEAST:
        return None
    found = [half.fit() for half in halves]
    whole = EdgeMatch(edges, camera)
    offset = whole.fit()
    moved = whole.motion(offset, UNMOVED)
    gain = min(1 - half.distance(other) / half.distance() for half, other in zip(halves, found[::-1], strict=True))
    if whole.motion(*found) > 0.5 * moved or moved < MOVED * camera.width or gain < GAIN:
        return None
    return offset

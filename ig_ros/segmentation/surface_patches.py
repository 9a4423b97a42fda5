"""Patches of the surface off the planes, and which of them are one object.

The surface is cut generously, at depth gaps, concave folds and necks; what belongs together is decided afterwards, by
what whole borders and patches say, so that no single pixel joins or parts anything:

1. A border that is mostly convex joins two patches (as LCCP [Stein et al. 2014]).
2. A patch that hides nothing and rises in a concave fold is a bottom: it belongs to what it rises to.
3. A patch that bends inwards is the inside of the thing in front whose surface lies about as far from its centre.
4. Two parts whose surfaces continue each other behind something in front are one object.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ig_ros.segmentation.depth_surface import COS_NORMAL, DepthSurface, Mask, creases, grow_within, tolerance
from ig_ros.segmentation.label_images import LEAST, compact
from ig_ros.types import Array, FloatArray, IntArray

CORES = (4, 3, 2, 1)  # px from the next cut: patches grow from where the surface is widest and meet in its necks
OFFSETS = ((0, 4), (4, 0), (3, 3), (3, -3))  # px, and back: where the surface is compared across a border
NOISE = 0.002  # 1/m: a fitted depth z is wrong by less than NOISE z^2
FOLDED = 0.65  # share of a border between two objects that is not convex
FEW = 8  # px of border: fewer say nothing
BOTTOM = 0.3, 0.1  # share of a bottom's border that rises, and most that hides something or ends on a plane
INWARDS = 5.0  # degrees by which an inside bends over its width
CONCENTRIC = 2.0  # most that distances of inside and outside from their centre differ, as a ratio
CONTINUED = 0.4  # share of either part's surface that lies where the other's would pass
ANGLE = np.sin(np.radians(2.0))  # to which normals are known
SAMPLE = 40  # points of a patch that are compared


def cut_patches(surface: DepthSurface, off_plane: Mask) -> IntArray:
    """Returns (H, W) int32, 0 = none, 1.. = patches of the pixels off every plane."""
    known = off_plane & (surface.points[..., 2] > 0)
    width = cv2.distanceTransform((known & ~surface.gap & ~creases(surface)).astype(np.uint8), cv2.DIST_L2, 5)
    patches: IntArray = np.zeros(known.shape, np.int32)
    for least in CORES:
        _, cores, stats, _ = cv2.connectedComponentsWithStats((width >= least).astype(np.uint8), connectivity=4)
        fresh = stats[:, cv2.CC_STAT_AREA] >= LEAST
        fresh[cores[patches > 0]] = fresh[0] = False
        number = np.where(fresh, np.cumsum(fresh) + patches.max(), 0).astype(np.int32)
        patches = grown(np.where(patches > 0, patches, number[cores]), width >= least)
    return grow_within(patches, known, surface.points[..., 2])


def grown(labels: IntArray, allowed: Mask) -> IntArray:
    """Returns the labels spread step by step over all that is allowed and connected to them."""
    while True:
        spread = cv2.dilate(labels.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
        fresh = (labels == 0) & allowed & (spread > 0)
        if not fresh.any():
            return labels
        labels = np.where(fresh, spread, labels)


def cut_pockets(planes: IntArray, least: int) -> IntArray:
    """Returns (H, W) int32 regions of planes: 0 = a plane's largest or none, 1.. = others of `least` px, -1 = smaller.

    Such a pocket is perhaps the bottom of a bowl.
    """
    pockets = np.zeros(planes.shape, np.int32)
    for plane in range(1, int(planes.max()) + 1):
        _, regions, stats, _ = cv2.connectedComponentsWithStats((planes == plane).astype(np.uint8), connectivity=4)
        keep = stats[:, cv2.CC_STAT_AREA] >= least
        largest = [0, 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())]
        keep[largest] = False
        number = np.where(keep, np.cumsum(keep) + max(0, int(pockets.max())), -1)
        number[largest] = 0
        pockets += number[regions].astype(np.int32)
    return pockets


@dataclass(slots=True)
class Borders:
    """Counts of pixel pairs across the borders of P patches, which add up where patches are joined; 0 = the rest."""

    owner: IntArray  # (P,) patch to which each belongs by now
    counts: FloatArray  # (5, P, P): pairs; of them not convex; where the second hides the first; bend 1/m; pairs of it
    unseen: FloatArray  # (P,) pairs whose other end has no depth

    def join(self, kept: int, gone: int) -> None:
        """Makes two patches one."""
        for axis in (1, 2):
            counts = np.moveaxis(self.counts, axis, 1)
            counts[:, kept] += counts[:, gone]
            counts[:, gone] = 0
        self.counts[:3, kept, kept] = 0
        self.unseen[kept] += self.unseen[gone]
        self.owner[self.owner == gone] = kept

    def drop(self, patch: int) -> None:
        """Forgets a patch, as if nothing were seen where it is."""
        self.counts[:, patch] = self.counts[:, :, patch] = 0
        self.owner[self.owner == patch] = 0

    def alive(self) -> IntArray:
        """Returns the patches that are left."""
        return np.unique(self.owner[self.owner > 0])


def count_borders(patches: IntArray, surface: DepthSurface, size: int) -> Borders:
    """Returns what is seen across every border, of patches (H, W) with numbers below `size`."""
    pixels, others = neighbours(patches, surface)
    flat = patches.ravel()
    points, normals = surface.points.reshape(-1, 3), surface.normals.reshape(-1, 3)
    no_depth = points[others, 2] == 0
    unseen = np.bincount(flat[pixels[no_depth]], minlength=size).astype(float)
    both = surface.valid.ravel()[others]
    pixels, others = pixels[both], others[both]
    first, second = flat[pixels].astype(np.int64), flat[others].astype(np.int64)
    between = points[others] - points[pixels]
    length = np.maximum(np.linalg.norm(between, axis=1), 1e-6)
    above = (normals[pixels] * between).sum(1)  # by how much the second lies above the first's tangent plane
    below = -(normals[others] * between).sum(1)  # and the first above the second's
    bend = length * np.sqrt(1 - COS_NORMAL**2)
    rise = bend + NOISE * points[pixels, 2] ** 2
    folded = (np.maximum(above, below) > rise) | (above + below > bend)
    apart = first != second

    def count(weight: Array, a: IntArray = first, b: IntArray = second) -> FloatArray:
        pair = a * size + b
        return np.bincount(pair, weight, size * size).reshape(size, size).astype(np.float64)

    hides = count(apart & (above > rise) & (below <= 0))
    hides += count((second == 0) & (below > rise) & (above <= 0), second, first)
    bends = [count(np.where(folded, 0, w)) for w in ((above + below) / length**2, np.ones_like(length))]
    return Borders(np.arange(size), np.stack([count(apart), count(apart & folded), hides, *bends]), unseen)


def neighbours(patches: IntArray, surface: DepthSurface) -> tuple[Array, Array]:
    """Returns flat indices (N,) of pixels of patches and of those across: all pairs of two patches, some within one."""
    rows, cols = np.nonzero((patches > 0) & surface.valid)
    height, width = patches.shape
    pairs = []
    for down, right in (*OFFSETS, *((-d, -r) for d, r in OFFSETS)):
        r, c = rows + down, cols + right
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
        pairs.append(np.stack([(rows * width + cols)[inside], (r * width + c)[inside]]))
    pixels, others = np.concatenate(pairs, axis=1)
    flat = patches.ravel()
    chosen = (flat[pixels] != flat[others]) | (pixels % 3 == 0)
    return pixels[chosen], others[chosen]


def find_objects(surface: DepthSurface, planes: IntArray, least: int) -> IntArray:
    """Returns (H, W) int32, 0 = none, 1.. = objects of at least `least` px that stand on or before the planes."""
    patches = cut_patches(surface, planes == 0)
    solid, pockets = int(patches.max()) + 1, cut_pockets(planes, least)
    labels = np.where(pockets > 0, pockets + solid - 1, patches)
    nothing = int(labels.max()) + 1
    labels[(labels == 0) & ((planes == 0) | (pockets < 0))] = nothing
    borders = count_borders(labels, surface, nothing + 1)
    borders.drop(nothing)
    join_convex(borders, solid)
    size = np.bincount(borders.owner[labels].ravel(), minlength=len(borders.owner))
    for patch in borders.alive():
        if size[patch] < least:
            borders.drop(patch)
    join_bottoms(borders, solid)
    for pocket in borders.alive():
        if pocket >= solid:
            borders.drop(pocket)
    join_insides(borders, labels, surface)
    join_parts(borders, labels, surface)
    return compact(borders.owner[labels].astype(np.int32))


def join_convex(borders: Borders, solid: int) -> None:
    """Joins patches below `solid` while some border between them is mostly convex, the most convex first."""
    while solid > 1:
        pairs, folded = borders.counts[:2, :solid, :solid]
        share = np.where(pairs >= FEW, folded / np.maximum(pairs, 1), 1.0)
        share[0] = share[:, 0] = 1.0
        best = share.argmin(1)
        both = np.flatnonzero((best[best] == np.arange(solid)) & (share.min(1) < FOLDED) & (best > np.arange(solid)))
        if len(both) == 0:
            return
        for patch in both:
            borders.join(int(patch), int(best[patch]))


def join_bottoms(borders: Borders, solid: int) -> None:
    """Joins bottoms to the patch below `solid` to which they rise."""
    rising, most = BOTTOM
    for patch in borders.alive():
        pairs, _, hides = borders.counts[:3]
        rise = (pairs[patch] - hides[patch] - hides[:, patch])[:solid]
        rise[0] = 0
        whole, wall = pairs[patch].sum(), int(rise.argmax())
        ends = max(pairs[patch, 0], hides[:, patch].sum())
        if rise[wall] > rising * whole and ends < most * whole:
            borders.join(wall, patch)


def join_insides(borders: Borders, labels: IntArray, surface: DepthSurface) -> None:
    """Joins insides to the outside that hides most of them."""
    area = np.bincount(borders.owner[labels].ravel(), surface.area.ravel(), len(borders.owner))
    bend, pairs = (np.diagonal(c) for c in borders.counts[3:])
    inwards = np.degrees(bend / np.maximum(pairs, 1) * np.sqrt(area))
    for patch in np.argsort(-inwards)[: int((inwards > INWARDS).sum())]:
        hides = borders.counts[2, patch].copy()
        hides[0] = 0
        outside = int(hides.argmax())
        if patch and hides[outside] >= FEW:
            near, far = (sampled(borders.owner[labels] == k, surface) for k in (patch, outside))
            if concentric(surface, near, far):
                borders.join(outside, patch)


def sampled(mask: Mask, surface: DepthSurface) -> Array:
    """Returns flat indices of at most SAMPLE pixels of the mask, evenly spread."""
    pixels = np.flatnonzero(mask & surface.valid)
    few: Array = pixels[np.linspace(0, len(pixels) - 1, min(SAMPLE, len(pixels))).astype(int)]
    return few


def concentric(surface: DepthSurface, inside: Array, outside: Array) -> bool:
    """Tells whether the outside lies about as far from the point where the normals of the inside meet."""
    points, normals = surface.points.reshape(-1, 3).astype(float), surface.normals.reshape(-1, 3).astype(float)
    across = np.eye(3) - normals[inside, :, None] * normals[inside, None]  # (N, 3, 3): off the line of each normal
    middle = points[inside].mean(0)
    ridge = 0.01 * np.eye(3)  # holds the middle where nothing else does: along the axis of a mug
    nearest = (across @ points[inside, :, None]).mean(0)[:, 0]
    centre = np.linalg.solve(across.mean(0) + ridge, nearest + ridge @ middle)
    near, far = (np.median(np.linalg.norm(points[i] - centre, axis=1)) for i in (inside, outside))
    return bool(1 / CONCENTRIC < far / max(near, 1e-6) < CONCENTRIC)


def join_parts(borders: Borders, labels: IntArray, surface: DepthSurface) -> None:
    """Joins the parts of an object on both sides of what stands in front of it."""
    owner = borders.owner[labels]
    partly = [k for k in borders.alive() if borders.counts[2, k, 1:].sum() + borders.unseen[k] >= FEW]
    pixels = [sampled(owner == k, surface) for k in partly]
    known = [i for i, chosen in enumerate(pixels) if len(chosen) > FEW]
    share = continued(surface, [pixels[i] for i in known])
    for i, j in np.argwhere(np.triu(np.minimum(share, share.T), 1) > CONTINUED):
        first, second = known[i], known[j]
        kept, gone = borders.owner[[partly[first], partly[second]]]
        if kept != gone and hidden_between(surface, pixels[first], pixels[second]):
            borders.join(int(kept), int(gone))


def continued(surface: DepthSurface, parts: list[Array]) -> FloatArray:
    """Returns (K, K) the share of the second part's points that lie where the first part's surface would pass.

    That is where the planes through the first part's points with normals like the point's own are on average.
    """
    if len(parts) < 2:
        return np.zeros((len(parts), len(parts)))
    sizes = np.array([len(part) for part in parts])
    starts, pixels = np.cumsum(sizes) - sizes, np.concatenate(parts)
    points, normals = surface.points.reshape(-1, 3)[pixels], surface.normals.reshape(-1, 3)[pixels]
    alike = normals @ normals.T > COS_NORMAL
    off = ((normals * points).sum(1)[:, None] - normals @ points.T) * alike
    count = np.add.reduceat(alike.astype(np.float32), starts)
    off = np.abs(np.add.reduceat(off, starts)) / np.maximum(count, 1)
    middle = np.add.reduceat(points, starts) / sizes[:, None]
    apart = np.linalg.norm(middle[:, None] - points, axis=-1)
    close = (count > 0) & (off < tolerance(points[:, 2]) + ANGLE * apart)
    return np.asarray(np.add.reduceat(close.astype(np.float32), starts, axis=1) / sizes)


def hidden_between(surface: DepthSurface, first: Array, second: Array) -> bool:
    """Tells whether something is in front of the straight way between two parts, or nothing measured there."""
    points = surface.points.reshape(-1, 3)
    apart = ((points[first, None] - points[None, second]) ** 2).sum(-1)
    i, j = np.unravel_index(int(apart.argmin()), apart.shape)
    ends = np.array([[*divmod(k, surface.valid.shape[1]), 1 / points[k, 2]] for k in (first[i], second[j])])
    rows, cols, inverse = (ends[0] + np.linspace(0, 1, 22)[1:-1, None] * (ends[1] - ends[0])).T
    seen = surface.points[rows.round().astype(int), cols.round().astype(int), 2]
    return bool(((seen == 0) | (seen < 1 / inverse + tolerance(1 / inverse))).mean() >= 0.9)

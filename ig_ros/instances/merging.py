"""Merging sub-objects that touch while the views agree, and the parts of one plane that do not touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ig_ros.config import InstanceConfig
from ig_ros.instances.groups import Remembered, rows_of
from ig_ros.instances.mask_histograms import FULL_WEIGHT, MaskHistograms
from ig_ros.instances.region_graph import Boundaries
from ig_ros.raster import MergeRule, merge_groups
from ig_ros.types import FloatArray, IntArray

GOES_ON = 0.58  # share of smooth contacts at which the surface is undecided: the middle between creases and noise
SHARPNESS = 12.0  # of that decision
SAME = 0.25  # of feature_gap: trained features closer than this are all but one ...
SAME_CLARITY = 0.7  # ... and say so less loud than views that all agree: before training all are one
ALIKE, UNLIKE = 2.0, 6.0  # times larger: parts of one thing, and what a segmenter takes for a part of its support
SMOOTH_TRUST = 0.15  # of boundary_trust's unit, for a surface that goes on: things may lie flush, so it says little


def merge_sub_objects(
    labels: IntArray, edges: Boundaries, feature: FloatArray, histograms: MaskHistograms, config: InstanceConfig
) -> IntArray:
    """(S,) group of every sub-object: best edge first while its score exceeds merge_threshold.

    labels (N,) sub-object of each point, edges the touching pairs, feature (S, F) mean half-space features,
    histograms of the sub-objects.
    """
    mass = np.bincount(labels, minlength=len(feature)) + 1e-9  # a number may be nobody's
    return merge_groups(
        _rule(config), mass, feature, histograms.masks, histograms.count, histograms.dominant, histograms.weight,
        edges.pairs, edges.smooth, edges.length,
    )  # fmt: skip


def _rule(config: InstanceConfig) -> MergeRule:
    return MergeRule(
        threshold=config.merge_threshold,
        feature_gap=config.feature_gap,
        feature_trust=config.feature_trust,
        feature_share=config.feature_share,
        boundary_trust=config.boundary_trust,
        goes_on=GOES_ON,
        sharpness=SHARPNESS,
        same=SAME,
        same_clarity=SAME_CLARITY,
        alike=ALIKE,
        unlike=UNLIKE,
        smooth_trust=SMOOTH_TRUST,
        least=config.min_points,
        dominance=config.dominance,
        full=FULL_WEIGHT,
    )


SURE = 0.6  # share of the views seeing both that must give them one mask: the plane speaks for them already
VIEWS = 3.0  # weight of views seeing both from which on they have a say
FLAT = 0.8  # share of a group's points near its plane
BEHIND = 0.02  # share of the scene's points that may stand behind a plane of its shell
LARGE = 0.4  # m, width of a piece of the shell in both directions
MAX_TURN = 5.0  # deg between the planes of two pieces
FEWEST = 50  # points that make a plane
TRIMS = 3
MEMBERS = 4_000  # points of a group that are asked for its plane
SAMPLE = 20_000  # points of the scene asked whether they stand behind


@dataclass(frozen=True, slots=True)
class Plane:
    """normal (3,) into the scene, distance m: normal @ x = distance."""

    normal: FloatArray
    distance: float


class Pieces:
    """Joins pieces; remembers the planes of the groups of the last run."""

    def __init__(self) -> None:
        self._flats: Remembered[Plane | None] = Remembered()
        self._tolerance = 0.0

    def join(
        self, xyz: FloatArray, group: IntArray, spacing: float, histograms: MaskHistograms, kept: IntArray
    ) -> IntArray:
        """(G,) group that each group becomes a part of: itself, or a lower one.

        xyz (P, 3) m, group (P,) from 0, -1 = none; spacing m of the points' anchors; histograms of the G groups; kept
        (P,) the row in the last run of a point that is where it was, else -1.
        """
        count, tolerance = len(histograms.count), 2.0 * spacing
        if tolerance != self._tolerance:
            self._flats, self._tolerance = Remembered(), tolerance
        flats = self._flats.each(group, kept, count, lambda rows: flat_plane(xyz[rows], tolerance))
        scene = xyz[:: max(1, len(xyz) // SAMPLE)]
        shell = {g: facing_in(flat, scene, tolerance) for g, flat in enumerate(flats) if flat is not None}
        planes = {g: plane for g, plane in shell.items() if plane is not None}
        flat = np.array(list(planes), np.int64)
        label = np.arange(count)
        apart = np.zeros((count, count), bool)  # views say that these two are not one
        rows = rows_of(group, count)
        pairs = []
        for s in flat.tolist():
            others = flat[flat > s]
            same, both = histograms.agreement(np.full(len(others), s), others)
            apart[s, others] = apart[others, s] = (both >= VIEWS) & (same < SURE * both)
            pairs += [(s, t) for t in others.tolist() if _coplanar(planes[s], planes[t], xyz, rows[t], tolerance)]
        for s, t in sorted(pairs, key=lambda pair: -min(len(rows[pair[0]]), len(rows[pair[1]]))):
            one, other = label == label[s], label == label[t]
            if not apart[np.ix_(one, other)].any():  # a scrap that nobody tells from either must not tie rug and floor
                label[one | other] = min(label[s], label[t])
        return label


def flat_plane(points: FloatArray, tolerance: float) -> Plane | None:
    """The plane of a large flat group (n, 3), turned to either side; None for everything else."""
    # Of points in a box with diagonal d no plane has a second variance above d^2 / 8.
    if len(points) < FEWEST or 1.5 * (np.ptp(points, axis=0).astype(np.float64) ** 2).sum() < LARGE**2:
        return None
    points = points[:: max(1, len(points) // MEMBERS)]
    near = points
    for _ in range(TRIMS):  # trimmed least squares: things that stand on the surface do not tilt it
        center = near.mean(0)
        offset = near - center
        spread, axes = np.linalg.eigh(offset.T @ offset / max(len(near) - 1, 1))
        normal = axes[:, 0]
        near = points[np.abs((points - center) @ normal) < 2 * tolerance]
        if len(near) < FLAT * len(points):
            return None
    flat = (np.abs((points - center) @ normal) < tolerance).mean() >= FLAT
    if not flat or np.sqrt(12 * spread[1]) < LARGE:  # a uniform strip of width w has variance w^2 / 12
        return None
    return Plane(normal, float(normal @ center))


def facing_in(flat: Plane, scene: FloatArray, tolerance: float) -> Plane | None:
    """The plane with its normal to the side of the scene (P, 3), None if some of it stands behind."""
    height = scene @ flat.normal - flat.distance
    if np.median(height) < 0:
        flat, height = Plane(-flat.normal, -flat.distance), -height
    return None if (height < -2 * tolerance).mean() > BEHIND else flat


def _coplanar(a: Plane, b: Plane, xyz: FloatArray, rows_of_b: IntArray, tolerance: float) -> bool:
    if a.normal @ b.normal < np.cos(np.radians(MAX_TURN)):
        return False
    return bool(np.median(np.abs(xyz[rows_of_b] @ a.normal - a.distance)) < 2 * tolerance)

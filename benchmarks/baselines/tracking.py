"""Masks tied frame to frame into tracks, tracks voted onto the map's Gaussians, as in Gaussian Grouping (ECCV 2024).

There a video tracker associates the masks before training and the identities are rendered back; here the labels of the
latest frames are carried into the next picture through the surface both see, which is the best a tracker could do.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix

from benchmarks.baselines.base import Material, Prediction
from benchmarks.baselines.votes import most_voted
from ig_ros.geometry import back_project, transform
from ig_ros.instances import LabelledView
from ig_ros.instances.instantiation import drop_small
from ig_ros.instances.visibility import visible_points
from ig_ros.types import FloatArray, IntArray

NONE = 0  # no track


@dataclass(frozen=True, slots=True)
class TrackingAssociation:
    """2D association of masks in order of time, identities fused in 3D by votes."""

    name: str = "tracking association"
    min_iou: float = 0.3  # a mask goes on with the track it overlaps best, one to one
    memory: int = 10  # frames whose labels are carried on
    stride: int = 2  # every n-th pixel in each direction carries a label
    min_frames: int = 2  # shorter tracks are noise
    min_points: int = 10
    needs_depth: bool = False

    def __call__(self, material: Material, random: np.random.Generator) -> Prediction:  # noqa: ARG002 - the interface's
        """Deterministic: nothing is drawn."""
        xyz = material.children.xyz
        tolerance = material.config.instances.depth_tolerance
        images = self.tracks(material.views, tolerance)
        if not images or not len(xyz):
            return Prediction(xyz, np.full(len(xyz), -1))
        ids = voted(xyz, material.views, images, tolerance, self.min_frames)
        own = ids >= 0
        ids[own] = drop_small(ids[own], self.min_points)
        return Prediction(xyz, ids)

    def tracks(self, views: tuple[LabelledView, ...], tolerance: float) -> list[IntArray]:
        """Track images (H, W) of all views in order of time, NONE = no track."""
        recent: deque[tuple[FloatArray, IntArray]] = deque(maxlen=self.memory)  # surface points and their tracks
        images, following = [], NONE + 1
        for view in views:
            carried = self.carried(recent, view, tolerance)
            masks, compact = np.unique(view.labels, return_inverse=True)
            own = compact.reshape(view.labels.shape)
            track = self.associated(masks, own, carried, following)
            following = max(following, int(track.max(initial=NONE)) + 1)
            image = track[own]
            images.append(image)
            recent.append(self.surface(view, image))
        return images

    def surface(self, view: LabelledView, image: IntArray) -> tuple[FloatArray, IntArray]:
        """World points (Q, 3) m that a view sees on tracks, and their tracks (Q,)."""
        rows, cols = np.nonzero((view.depth > 0) & (image != NONE))
        chosen = (rows % self.stride == 0) & (cols % self.stride == 0)
        rows, cols = rows[chosen], cols[chosen]
        points = transform(view.T_world_camera, back_project(view.depth, view.camera, rows, cols))
        return points, image[rows, cols]

    def carried(
        self, recent: deque[tuple[FloatArray, IntArray]], view: LabelledView, tolerance: float
    ) -> tuple[IntArray, IntArray]:
        """Pixels (Q,), as places in the flattened image, and tracks of the points of recent frames the view sees."""
        points = np.concatenate([np.zeros((0, 3)), *(p for p, _ in recent)])
        tracks = np.concatenate([np.zeros(0, np.int64), *(t for _, t in recent)])
        index, pixel = visible_points(points, view, tolerance)
        return pixel, tracks[index]

    def associated(
        self, masks: IntArray, own: IntArray, carried: tuple[IntArray, IntArray], following: int
    ) -> IntArray:
        """(M,) track of each mask (M,); own (H, W) is the place in `masks`; new tracks count up from `following`."""
        pixel, tracks = carried
        known, place = np.unique(tracks, return_inverse=True)
        shared = np.zeros((len(masks), len(known)))
        np.add.at(shared, (own.ravel()[pixel], place), 1.0)
        real = masks > 0
        # Where nothing was segmented nothing speaks against a track.
        union = shared.sum(1)[:, None] + shared[real].sum(0)[None] - shared
        iou = np.where(real[:, None], shared / np.maximum(union, 1), 0.0)
        track = np.full(len(masks), NONE, np.int64)
        for m, t in zip(*linear_sum_assignment(-iou), strict=True):
            if iou[m, t] > self.min_iou:
                track[m] = known[t]
        fresh = np.flatnonzero(real & (track == NONE))
        track[fresh] = np.arange(following, following + len(fresh))
        return track


def voted(
    xyz: FloatArray, views: tuple[LabelledView, ...], images: list[IntArray], tolerance: float, min_frames: int
) -> IntArray:
    """(G,) track most views give to each point (G, 3) m, -1 = none; tracks in under min_frames images do not count."""
    frames = np.bincount(np.concatenate([np.unique(image) for image in images]))
    lasting = frames >= min(min_frames, len(images))
    lasting[NONE] = False
    points, tracks = [], []
    for view, image in zip(views, images, strict=True):
        index, pixel = visible_points(xyz, view, tolerance)
        track = image.ravel()[pixel]
        points.append(index[lasting[track]])
        tracks.append(track[lasting[track]])
    row, column = np.concatenate(points), np.concatenate(tracks)
    votes = csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(len(xyz), len(frames)))
    return most_voted(votes)

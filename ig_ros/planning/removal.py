"""Taking an object out of the map, as a robot does that has just carried it away."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial import cKDTree

from ig_ros.errors import QueryError
from ig_ros.planning.view_rendering import render_view, select
from ig_ros.scaffold import Keyframe, Scaffold
from ig_ros.scaffold.change_detection import erase_from_keyframe
from ig_ros.types import FloatArray, MapSnapshot


def erase_object(snapshot: MapSnapshot, number: int, scaffold: Scaffold, keyframes: list[Keyframe]) -> int:
    """Remove object `number` of the snapshot from the model and from the keyframes' memory of it.

    Where a keyframe shows the object it gets what the map has behind it, without depth and masks: training on the old
    picture would grow the object again. Returns how many anchors went. Raises QueryError.
    """
    if all(o.id != number for o in snapshot.instances.objects):
        raise QueryError(f"object {number} is not in the map")
    for keyframe in keyframes:
        forget(keyframe, snapshot, number)
    anchors = scaffold.anchors
    own = anchor_mask(anchors.data["position"].cpu().numpy(), snapshot, number)
    anchors.keep(torch.from_numpy(~own).to(anchors.data["position"].device))
    return int(own.sum())


def anchor_mask(positions: FloatArray, snapshot: MapSnapshot, number: int) -> npt.NDArray[np.bool_]:
    """(N,) bool: the anchors (N, 3) m whose nearest point of the snapshot belongs to the object."""
    if not len(positions):
        return np.zeros(0, bool)
    nearest = cKDTree(snapshot.xyz).query(positions)[1]
    return np.asarray(snapshot.instances.point_ids[nearest] == number)


def forget(keyframe: Keyframe, snapshot: MapSnapshot, number: int) -> None:
    """Put what lies behind the object into the pixels of a keyframe that show it."""
    whole = render_view(snapshot, keyframe.camera, keyframe.T_world_camera)
    silhouette = whole.instances == number
    if not silhouette.any():
        return
    behind = render_view(snapshot, keyframe.camera, keyframe.T_world_camera, without=(number,))
    erase_from_keyframe(keyframe, silhouette, behind.color)


def without(snapshot: MapSnapshot, number: int) -> MapSnapshot:
    """The snapshot without an object and its points."""
    instances = snapshot.instances
    rows = instances.point_ids != number
    kept = [i for i, o in enumerate(instances.objects) if o.id != number]
    embeddings = instances.embeddings[kept] if len(instances.embeddings) else instances.embeddings
    fewer = dataclasses.replace(
        instances, point_ids=instances.point_ids[rows], point_confidence=instances.point_confidence[rows],
        objects=tuple(instances.objects[i] for i in kept), embeddings=embeddings,
    )  # fmt: skip
    gaussians = None if snapshot.gaussians is None else select(snapshot.gaussians, rows)
    return dataclasses.replace(
        snapshot, version=snapshot.version + 1, xyz=snapshot.xyz[rows], rgb=snapshot.rgb[rows],
        opacity=snapshot.opacity[rows], instances=fewer, gaussians=gaussians,
    )  # fmt: skip

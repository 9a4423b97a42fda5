"""Removal of an object from the map, as after the robot has carried it off."""

from __future__ import annotations

import dataclasses

import torch
from scipy.spatial import cKDTree

from ig_ros.planning.picking import object_by_id
from ig_ros.planning.view_rendering import render_view, select
from ig_ros.scaffold import Keyframe, Scaffold
from ig_ros.scaffold.change_detection import erase_from_keyframe
from ig_ros.types import MapSnapshot


def erase_object(snapshot: MapSnapshot, number: int, scaffold: Scaffold, keyframes: list[Keyframe]) -> int:
    """Removes object `number` of the snapshot from the model and from the keyframes; returns how many anchors went.

    Those go whose nearest point of the snapshot is the object's. Where a keyframe shows the object, its pixels get what
    the map has behind it, without depth and masks, because training on the old picture would grow the object again.
    Raises QueryError when the map does not have the object.
    """
    object_by_id(snapshot, number)
    for keyframe in keyframes:
        paint_out(keyframe, snapshot, number)
    nearest = cKDTree(snapshot.xyz).query(scaffold.anchors.position)[1]
    own = snapshot.instances.point_ids[nearest] == number
    scaffold.anchors.keep(torch.from_numpy(~own).to(scaffold.device))
    return int(own.sum())


def paint_out(keyframe: Keyframe, snapshot: MapSnapshot, number: int) -> None:
    """Replaces the pixels of a keyframe that show the object by what lies behind it."""
    silhouette = render_view(snapshot, keyframe.camera, keyframe.T_world_camera).instances == number
    if not silhouette.any():
        return
    behind = render_view(snapshot, keyframe.camera, keyframe.T_world_camera, without=(number,))
    erase_from_keyframe(keyframe, silhouette, behind.color)


def without(snapshot: MapSnapshot, number: int) -> MapSnapshot:
    """Returns the snapshot without an object and its points."""
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

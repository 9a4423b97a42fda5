"""The map's objects as messages: Object, ObjectArray, boxes and labels for RViz, masks of other nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from ig_ros.colors import id_colors
from ig_ros.geometry import box_edges, inverse
from ig_ros.msg import Mask, Object, ObjectArray, SegmentedImage
from ig_ros.nodes.clouds import cloud_message, surface_points
from ig_ros.nodes.conversions import image_message, pose_message, time_message
from ig_ros.planning import object_surface
from ig_ros.types import FloatArray, Instances, MapSnapshot, Masks, ObjectInstance

LINE_WIDTH = 0.008  # m
TEXT_HEIGHT = 0.06  # m


def object_message(
    found: ObjectInstance, head: Header, score: float = 0.0, T_frame_world: FloatArray | None = None,
    merged: Sequence[int] = (),
) -> Object:  # fmt: skip
    """One object without cloud; its box is in the frame of `head`, reached by `T_frame_world` (4, 4), None = map.

    merged: ids of objects that have turned out to be part of it.
    """
    T = found.T_world_box if T_frame_world is None else T_frame_world @ found.T_world_box
    size = Vector3(x=float(found.size[0]), y=float(found.size[1]), z=float(found.size[2]))
    return Object(
        header=head, id=found.id, label=found.label, score=float(score), confidence=float(found.confidence),
        views=found.views, pose=pose_message(T), size=size, born=time_message(found.born),
        last_seen=time_message(found.last_seen), split_from=found.split_from, merged=sorted(merged),
    )  # fmt: skip


def add_surface(message: Object, snapshot: MapSnapshot, T_frame_world: FloatArray | None = None) -> None:
    """Fill in what grasping needs, in the frame of the header: points with normals, support, free side."""
    surface = object_surface(snapshot, message.id)
    T = np.eye(4) if T_frame_world is None else T_frame_world
    message.cloud = cloud_message(surface_points(snapshot, surface.rows, surface.normals, T), message.header)
    message.support_id, message.clearance = surface.support, surface.clearance
    if surface.plane is not None:
        message.support_plane = surface.plane @ inverse(T)
    x, y, z = T[:3, :3] @ surface.free_side
    message.free_side = Vector3(x=float(x), y=float(y), z=float(z))


def array_message(instances: Instances, head: Header) -> ObjectArray:
    """All objects, ordered by id, and what became of the others."""
    parts: dict[int, list[int]] = {}
    for number, heir in instances.merged_into.items():
        parts.setdefault(heir, []).append(number)
    ordered = sorted(instances.objects, key=lambda o: o.id)
    objects = [object_message(o, head, merged=parts.get(o.id, ())) for o in ordered]
    return ObjectArray(header=head, objects=objects, vanished=list(instances.vanished))


def markers_message(objects: Iterable[ObjectInstance], head: Header) -> MarkerArray:
    """Boxes and labels. The first marker deletes all older ones, so that nothing of a vanished object stays."""
    markers = [Marker(header=head, action=Marker.DELETEALL)]
    for item in objects:
        markers += [_box(item, head), _text(item, head)]
    return MarkerArray(markers=markers)


def _box(item: ObjectInstance, head: Header) -> Marker:
    """Wire frame, because a solid box would hide the points inside."""
    ends = box_edges(np.eye(4), item.size).reshape(-1, 3)
    return Marker(
        header=head, ns="boxes", id=item.id, type=Marker.LINE_LIST, action=Marker.ADD,
        pose=pose_message(item.T_world_box), scale=Vector3(x=LINE_WIDTH), color=_color(item.id),
        points=[Point(x=float(x), y=float(y), z=float(z)) for x, y, z in ends],
    )  # fmt: skip


def _text(item: ObjectInstance, head: Header) -> Marker:
    T = np.eye(4)
    T[:3, 3] = item.T_world_box[:3, 3]
    T[2, 3] += 0.5 * float(item.size[2]) + TEXT_HEIGHT
    return Marker(
        header=head, ns="labels", id=item.id, type=Marker.TEXT_VIEW_FACING, action=Marker.ADD, pose=pose_message(T),
        scale=Vector3(z=TEXT_HEIGHT), color=_color(item.id), text=f"{item.label or 'object'} {item.id}",
    )  # fmt: skip


def _color(identity: int) -> ColorRGBA:
    r, g, b = (float(v) / 255 for v in id_colors(np.array(identity)))
    return ColorRGBA(r=r, g=g, b=b, a=1.0)


def segmented_message(masks: Masks, head: Header, encoder: str = "") -> SegmentedImage:
    """SegmentedImage of masks whose ids fit 16 bits."""
    ids = sorted({*masks.names, *masks.scores, *masks.embeddings})
    entries = []
    for identity in ids:
        entry = Mask(
            id=int(identity), label=masks.names.get(identity, ""), score=float(masks.scores.get(identity, 1.0))
        )
        if identity in masks.embeddings:
            entry.embedding = np.asarray(masks.embeddings[identity], np.float32)
        entries.append(entry)
    labels = image_message(masks.labels.astype(np.uint16), "16UC1", head)
    return SegmentedImage(header=head, labels=labels, masks=entries, encoder=encoder)

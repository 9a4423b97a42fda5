"""What is shown to people: camera frusta, highlighted answers, objects in colours, the newest camera's view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, PoseStamped, Vector3
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from ig_ros.colors import id_colors
from ig_ros.msg import Object
from ig_ros.nodes.clouds import CLOUD_TYPE, packed_rgb
from ig_ros.nodes.conversions import image_message
from ig_ros.planning import render_view
from ig_ros.types import Camera, FloatArray, MapSnapshot

FRUSTUM_DEPTH = 0.12  # m, of a drawn frustum
FRUSTA = 60  # drawn at most, evenly chosen along the path; the newest always
HIGHLIGHT = ColorRGBA(r=1.0, g=0.9, b=0.1, a=0.35)
NEWEST = ColorRGBA(r=1.0, g=0.35, b=0.1, a=1.0)
EARLIER = ColorRGBA(r=0.6, g=0.6, b=0.6, a=0.6)
BARE = 110  # grey of points that belong to no object


def frusta_message(path: Sequence[PoseStamped], camera: Camera, head: Header) -> MarkerArray:
    """Namespace `frusta`: viewing pyramids along the camera path, the newest in another colour."""
    corners = _corners(camera)
    chosen = sorted({round(i) for i in np.linspace(0, len(path) - 1, min(FRUSTA, len(path)))})
    markers = [Marker(header=head, action=Marker.DELETEALL)]
    for place in chosen:
        markers.append(
            Marker(
                header=head, ns="frusta", id=place, type=Marker.LINE_LIST, action=Marker.ADD, pose=path[place].pose,
                scale=Vector3(x=0.004), color=NEWEST if place == chosen[-1] else EARLIER, points=corners,
            )
        )  # fmt: skip
    return MarkerArray(markers=markers)


def _corners(camera: Camera) -> list[Any]:
    """Ends of the eight lines of a viewing pyramid in the optical frame."""
    u, v = np.array([0, camera.width, camera.width, 0]), np.array([0, 0, camera.height, camera.height])
    x = (u - camera.K[0, 2]) / camera.K[0, 0] * FRUSTUM_DEPTH
    y = (v - camera.K[1, 2]) / camera.K[1, 1] * FRUSTUM_DEPTH
    rim = [Point(x=float(a), y=float(b), z=FRUSTUM_DEPTH) for a, b in zip(x, y, strict=True)]
    return [p for i in range(4) for p in (Point(), rim[i], rim[i], rim[(i + 1) % 4])]


def highlight_message(objects: Iterable[Object], head: Header) -> MarkerArray:
    """Namespace `query`: a translucent box around each answer, rank and score above it; none clears the last ones."""
    markers = [Marker(header=head, action=Marker.DELETEALL)]
    for rank, found in enumerate(objects):
        common = {"header": found.header, "ns": "query", "action": Marker.ADD, "pose": found.pose}
        markers.append(Marker(**common, id=2 * rank, type=Marker.CUBE, scale=found.size, color=HIGHLIGHT))
        text = f"{rank + 1}. {found.label or 'object'} {found.id} ({found.score:.2f})"
        white = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        markers.append(
            Marker(
                **common, id=2 * rank + 1, type=Marker.TEXT_VIEW_FACING, scale=Vector3(z=0.07), color=white, text=text
            )
        )
    return MarkerArray(markers=markers)


def in_object_colors(cloud: PointCloud2) -> PointCloud2:
    """A snapshot's cloud, changed in place: each point in the colour of its object's id, grey where it has none."""
    points = np.frombuffer(cloud.data, CLOUD_TYPE)
    ids = points["instance_id"]
    points["rgb"] = packed_rgb(np.where((ids > 0)[:, None], id_colors(np.maximum(ids, 0)), np.uint8(BARE)))
    return cloud


def rendered_images(
    snapshot: MapSnapshot, camera: Camera, T_world_camera: FloatArray, head: Header
) -> tuple[Image, Image]:
    """The map from a camera: colour, and objects in the colours of their ids (black = none), both rgb8.

    `head` has the camera's optical frame.
    """
    view = render_view(snapshot, camera, T_world_camera)
    objects = np.where((view.instances > 0)[..., None], id_colors(view.instances), np.uint8(0))
    return image_message(view.color, "rgb8", head), image_message(objects, "rgb8", head)


def blank_images(like: Image) -> tuple[Image, Image]:
    """Two black pictures of a size, rgb8."""
    black = image_message(np.zeros((like.height, like.width, 3), np.uint8), "rgb8", like.header)
    return black, black

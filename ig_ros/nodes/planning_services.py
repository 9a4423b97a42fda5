"""ig/object_at, ig/render_view, and clicks in RViz: what planners and people ask of the map beyond words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from ig_ros.errors import FrameError, IgError, QueryError
from ig_ros.geometry import transform
from ig_ros.message_decoding import camera_from_info, matrix_from_pose, nanoseconds
from ig_ros.nodes.conversions import depth_message, header, image_message
from ig_ros.nodes.message_checks import MessageLimits
from ig_ros.nodes.object_messages import add_surface, object_message
from ig_ros.nodes.query_service import FrameFinder
from ig_ros.nodes.subscriptions import Inputs
from ig_ros.nodes.topics import CLICKED, KINDS, advertise
from ig_ros.nodes.visualization import highlight_message
from ig_ros.planning import object_at_pixel, object_at_point, render_view
from ig_ros.srv import ObjectAt, RenderView
from ig_ros.types import Camera, FloatArray, MapSnapshot, ObjectInstance

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper


class PixelLocator:
    """Finds the undistorted camera, its pose and the pixel there for what an ObjectAt request names."""

    def __init__(self, mapper: LiveMapper, inputs: Inputs, cameras: tuple[str, ...]) -> None:
        """`cameras` are the names in the parameter of that name."""
        self._mapper, self._inputs, self._cameras = mapper, inputs, cameras

    def locate(self, request: ObjectAt.Request) -> tuple[Camera, FloatArray, float, float]:
        """Camera, pose (4, 4) in the map, column and row with pixel centres at +0.5. Raises QueryError."""
        name = self._camera(request.camera)
        stamp = nanoseconds(request.stamp) or None
        T = self._inputs.pose_at(name, stamp)
        if T is None:  # a map from disk, or an image of before the node's start
            T = self._mapper.view(stamp, name).T_world_camera
        u, v = request.u + 0.5, request.v + 0.5
        if not request.width:
            return self._mapper.view(None, name).camera, T, u, v
        try:
            lens = self._inputs.rectifier(name)
        except FrameError:  # nothing is known of the lens: take the pixel for one of the undistorted image
            camera = self._mapper.view(None, name).camera
            scale = camera.width / request.width
            return camera, T, u * scale, v * scale
        scale = lens.camera.width / request.width
        return lens.camera, T, *lens.point(u * scale, v * scale)

    def _camera(self, name: str) -> str:
        if name in self._cameras:
            return name
        if not name and len(self._cameras) == 1:
            return self._cameras[0]
        known = ", ".join(f"'{camera}'" for camera in self._cameras)
        asked = f"unknown camera '{name[:60]}'" if name else "whose pixel?"
        raise QueryError(f"{asked}: set camera to one of {known}")


class PlanningServices:
    """One method per service; all answer from the newest snapshot."""

    def __init__(
        self, node: Node, mapper: LiveMapper, frames: FrameFinder, limits: MessageLimits, pixels: PixelLocator,
        show: Callable[[MarkerArray], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """Listens to `clicked_point`; the object there goes to `ig/clicked_object` and, as markers, to `show`."""
        self._log = node.get_logger()
        self._mapper, self._frames, self._limits, self._pixels, self._show = mapper, frames, limits, pixels, show
        self._clicked = advertise(node, CLICKED)
        node.create_subscription(KINDS["clicked_point"], "clicked_point", self._on_click, 10)

    def object_at(self, request: ObjectAt.Request, response: ObjectAt.Response) -> None:
        """Fills in the object at a point or behind a pixel. Raises QueryError where there is none."""
        snapshot = self._snapshot()
        if request.by_pixel:
            found, _ = object_at_pixel(snapshot, *self._pixels.locate(request))
        else:
            found = self._at(snapshot, request.point)
        T = self._frames.answered()
        response.object = object_message(found, header(snapshot.stamp, self._frames.map_frame), 1.0, T)
        if request.with_cloud:
            add_surface(response.object, snapshot, T)
        response.success, response.message = True, f"{found.label or 'object'} {found.id}"

    def render_view(self, request: RenderView.Request, response: RenderView.Response) -> None:
        """Fills in colour, depth and instances from a pose. Raises QueryError for a view that cannot be drawn."""
        self._limits.view(request.camera_info.width, request.camera_info.height)
        self._limits.ids(request.only)
        self._limits.ids(request.without)
        T, stamp = self._frames.in_map(matrix_from_pose(request.pose), request.pose.header)
        camera = camera_from_info(request.camera_info) if request.camera_info.width else self._mapper.view().camera
        snapshot = self._snapshot()
        view = render_view(snapshot, camera, T, request.only, request.without)
        head = header(stamp or snapshot.stamp, request.pose.header.frame_id or self._frames.map_frame)
        response.color = image_message(view.color, "rgb8", head)
        response.depth = depth_message(view.depth, head)
        response.instances = image_message(view.instances, "16UC1", head)
        count = len(np.unique(view.instances)) - (view.instances == 0).any()
        response.success, response.message = True, f"{count} objects in view"

    def _on_click(self, message: PointStamped) -> None:
        try:
            snapshot = self._snapshot()
            found = self._at(snapshot, message)
        except IgError as error:
            self._log.warning(f"clicked point: {error}")
            return
        head = header(snapshot.stamp, self._frames.map_frame)
        clicked = object_message(found, head, 1.0, self._frames.answered())
        self._clicked.publish(clicked)
        self._show(highlight_message((clicked,), clicked.header))
        self._log.info(f"clicked point: {found.label or 'object'} {found.id}")

    def _snapshot(self) -> MapSnapshot:
        snapshot = self._mapper.snapshot()
        if snapshot is None:
            raise QueryError("no instantiation yet: wait for the first images to be mapped")
        return snapshot

    def _at(self, snapshot: MapSnapshot, message: PointStamped) -> ObjectInstance:
        point: FloatArray = np.array([[message.point.x, message.point.y, message.point.z]])
        T, _ = self._frames.in_map(np.eye(4), message.header)
        return object_at_point(snapshot, transform(T, point)[0])

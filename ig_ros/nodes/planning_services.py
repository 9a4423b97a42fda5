"""ig/object_at, ig/render_view, and clicks in RViz: what planners and people ask of the map beyond words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from ig_ros.errors import IgError, QueryError
from ig_ros.geometry import transform
from ig_ros.nodes.conversions import (
    camera_from_info,
    depth_message,
    header,
    image_message,
    matrix_from_pose,
)
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.message_checks import Guard
from ig_ros.nodes.object_messages import add_surface, object_message
from ig_ros.nodes.pixel_rays import Pixels
from ig_ros.nodes.query_service import FrameFinder
from ig_ros.nodes.topics import KINDS, advertise
from ig_ros.nodes.visualization import highlight_message
from ig_ros.planning import object_at_pixel, object_at_point, render_view
from ig_ros.srv import ObjectAt, RenderView
from ig_ros.types import FloatArray, MapSnapshot, ObjectInstance

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper


class PlanningServices:
    """One method per service; all answer from the newest snapshot."""

    def __init__(
        self,
        node: Node,
        mapper: LiveMapper,
        frames: FrameFinder,
        problems: Problems,
        guard: Guard,
        pixels: Pixels,
        show: Callable[[MarkerArray], None] = lambda _: None,
    ) -> None:
        """Listens to `clicked_point`; the object there goes to `ig/clicked_object` and, as markers, to `show`."""
        self._log = node.get_logger()
        self._mapper, self._frames, self._problems, self._limits = mapper, frames, problems, guard
        self._pixels = pixels
        self._clicked = advertise(node, "ig/clicked_object")
        self._highlight = show
        node.create_subscription(KINDS["clicked_point"], "clicked_point", self._on_click, 10)

    def object_at(self, request: ObjectAt.Request, response: ObjectAt.Response) -> ObjectAt.Response:
        """The object at a point or behind a pixel."""

        def answer() -> str:
            snapshot = self._snapshot()
            found = self._at_pixel(snapshot, request) if request.by_pixel else self._at(snapshot, request.point)
            response.object = object_message(found, header(snapshot.stamp, self._frames.map_frame), 1.0)
            if request.with_cloud:
                add_surface(response.object, snapshot)
            return f"{found.label or 'object'} {found.id}"

        return self._guard(response, "object_at", answer)

    def render_view(self, request: RenderView.Request, response: RenderView.Response) -> RenderView.Response:
        """Colour, depth and instances from a pose."""

        def answer() -> str:
            self._limits.view(request.camera_info.width, request.camera_info.height)
            self._limits.ids(request.only)
            self._limits.ids(request.without)
            T = self._frames.in_map(matrix_from_pose(request.pose.pose), request.pose.header.frame_id)
            camera = camera_from_info(request.camera_info) if request.camera_info.width else self._mapper.view()[0]
            snapshot = self._snapshot()
            view = render_view(snapshot, camera, T, request.only, request.without)
            head = header(snapshot.stamp, request.pose.header.frame_id or self._frames.map_frame)
            response.color = image_message(view.color, "rgb8", head)
            response.depth = depth_message(view.depth, head)
            response.instances = image_message(view.instances, "16UC1", head)
            return f"{len(np.unique(view.instances)) - (view.instances == 0).any()} objects in view"

        return self._guard(response, "render_view", answer)

    def _on_click(self, message: PointStamped) -> None:
        try:
            snapshot = self._snapshot()
            found = self._at(snapshot, message)
        except IgError as error:
            self._log.warning(f"clicked point: {error}")
            return
        clicked = object_message(found, header(snapshot.stamp, self._frames.map_frame), 1.0)
        self._clicked.publish(clicked)
        self._highlight(highlight_message((clicked,), clicked.header))
        self._log.info(f"clicked point: {found.label or 'object'} {found.id}")

    def _snapshot(self) -> MapSnapshot:
        snapshot = self._mapper.snapshot()
        if snapshot is None:
            raise QueryError("no instantiation yet: wait for the first images to be mapped")
        return snapshot

    def _at(self, snapshot: MapSnapshot, message: PointStamped) -> ObjectInstance:
        point: FloatArray = np.array([[message.point.x, message.point.y, message.point.z]])
        T = self._frames.in_map(np.eye(4), message.header.frame_id)
        return object_at_point(snapshot, transform(T, point)[0])

    def _at_pixel(self, snapshot: MapSnapshot, request: ObjectAt.Request) -> ObjectInstance:
        found, _ = object_at_pixel(snapshot, *self._pixels.locate(request))
        return found

    def _guard(self, response: Any, what: str, answer: Any) -> Any:
        """Whatever goes wrong is a message to the caller."""
        try:
            response.message = answer()
            response.success = True
        except IgError as error:
            response.success, response.message = False, str(error)
            self._problems.add(f"{what}_refused", str(error))
        except Exception as error:  # the border: a question must not end the node
            response.success, response.message = False, f"internal error: {type(error).__name__}: {error}"
            self._problems.add("internal", response.message)
        return response

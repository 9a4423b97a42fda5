"""ig/query_object: which objects of the map does a text describe, or stand in a box, or have an id?"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from ig_ros.errors import FrameError, IgError, QueryError
from ig_ros.geometry import inverse
from ig_ros.language import Scope, Viewpoint
from ig_ros.nodes.conversions import header, matrix_from_pose
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.message_checks import Guard
from ig_ros.nodes.object_messages import add_surface, object_message
from ig_ros.nodes.pose_sources import TfLookup
from ig_ros.nodes.visualization import highlight_message
from ig_ros.srv import QueryObject
from ig_ros.thread_settings import compute_alone
from ig_ros.types import FloatArray

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper

BOUND = 0.4  # s: no service makes its caller wait longer than this
NAME, REASON = 60, 300  # characters of a caller's frame_id, and of tf's words about it, that an answer repeats
_ALL = 2**31 - 1


class FrameFinder:
    """T_frame_map for the frames in which answers are wanted."""

    def __init__(self, map_frame: str, tf: TfLookup | None) -> None:
        """`tf` is None where tf2_ros is not installed: then only the map frame is known."""
        self.map_frame = map_frame
        self._tf = tf

    def find(self, frame_id: str) -> FloatArray | None:
        """None for the map frame itself; raises QueryError for a frame that nobody knows."""
        if frame_id in ("", self.map_frame):
            return None
        name = frame_id[:NAME]
        if self._tf is None:
            raise QueryError(
                f"unknown frame_id '{name}': without tf2_ros only the map frame '{self.map_frame}' is known"
            )
        try:
            return inverse(self._tf.matrix(self.map_frame, frame_id, None))
        except FrameError as error:
            raise QueryError(f"unknown frame_id '{name}': {str(error)[:REASON]}") from error

    def in_map(self, T_frame_pose: FloatArray, frame_id: str) -> FloatArray:
        """A pose (4, 4) given in some frame, in the map frame. Raises QueryError for a frame that nobody knows."""
        T_frame_map = self.find(frame_id)
        return T_frame_pose if T_frame_map is None else inverse(T_frame_map) @ T_frame_pose


class QueryService:
    """Answers from the newest snapshot, while training goes on."""

    def __init__(
        self,
        mapper: LiveMapper,
        frames: FrameFinder,
        problems: Problems,
        guard: Guard,
        show: Callable[[MarkerArray], None] = lambda _: None,
    ) -> None:
        """`show` gets every answer as markers (namespace `query`), an empty one to clear those before."""
        self._mapper, self._frames, self._problems, self._guard = mapper, frames, problems, guard
        self._highlight = show
        self._pool = ThreadPoolExecutor(2, "query", compute_alone)

    def stop(self) -> None:
        """Take no more queries."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def handle(self, request: QueryObject.Request, response: QueryObject.Response) -> QueryObject.Response:
        """The service callback; whatever goes wrong is a message to the caller."""
        try:
            self._pool.submit(self._answer, request, response).result(BOUND)
        except TimeoutError:
            # The worker may still write to `response`: answer with another one.
            return QueryObject.Response(
                success=False, message="not ready: the language model is still loading, ask again in a few seconds"
            )
        except IgError as error:
            response.success, response.message = False, str(error)
            self._problems.add("query_refused", str(error))
        except Exception as error:  # the border: a query must not end the node
            response.success, response.message = False, f"internal error: {type(error).__name__}: {error}"
            self._problems.add("internal", response.message)
        return response

    def _answer(self, request: QueryObject.Request, response: QueryObject.Response) -> None:
        self._guard.text("query text", request.text)
        scope = self._scope(request)
        if not request.text.strip() and not scope.narrow:
            raise QueryError("empty query text: say what to look for, or give an id or a box")
        T_frame_map = self._frames.find(request.frame_id)
        snapshot = self._mapper.snapshot()
        result = self._mapper.query(request.text, request.max_results or _ALL, request.min_score, scope)
        response.success, response.message = bool(result.hits), result.message
        response.threshold = float(result.threshold)
        if snapshot is None or not result.hits:
            self._highlight(highlight_message((), header(0, self._frames.map_frame)))
            return
        head = header(snapshot.stamp, request.frame_id or self._frames.map_frame)
        for hit in result.hits:
            found = object_message(hit.object, head, hit.score, T_frame_map)
            if request.with_cloud and (snapshot.instances.point_ids == found.id).any():  # else it is far away, on disk
                add_surface(found, snapshot, T_frame_map)
            response.objects.append(found)
        self._highlight(highlight_message(response.objects, head))
        response.message = response.message or f"{len(result.hits)} found"

    def _scope(self, request: QueryObject.Request) -> Scope:
        box, view = request.within, request.viewpoint
        size = np.array([request.within_size.x, request.within_size.y, request.within_size.z])
        T_box = None
        if size.any():
            T_box = self._frames.in_map(matrix_from_pose(box.pose), box.header.frame_id)
        viewpoint = None
        if view.header.frame_id:
            viewpoint = self._observer(matrix_from_pose(view.pose), view.header.frame_id)
        elif request.frame_id not in ("", self._frames.map_frame):
            viewpoint = self._observer(np.eye(4), request.frame_id)
        return Scope(viewpoint, T_box, size if T_box is not None else None, request.id)

    def _observer(self, T_frame_view: FloatArray, frame_id: str) -> Viewpoint:
        T_view = self._frames.in_map(T_frame_view, frame_id)
        optical = "optical" in frame_id  # REP 103: such frames look along z
        return Viewpoint.of_camera(T_view) if optical else Viewpoint.of_body(T_view)


def make_frame_finder(node: Node, map_frame: str) -> FrameFinder:
    """With tf where tf2_ros is installed, else for the map frame alone."""
    try:
        tf = TfLookup(node)
    except IgError as error:
        node.get_logger().debug(str(error))
        tf = None
    return FrameFinder(map_frame, tf)

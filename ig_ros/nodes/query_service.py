"""ig/query_object: which objects of the map does a text describe, or stand in a box, or have an id?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from ig_ros.errors import FrameError, QueryError
from ig_ros.geometry import inverse
from ig_ros.language import Scope, Viewpoint
from ig_ros.message_decoding import matrix_from_pose, nanoseconds
from ig_ros.nodes.conversions import header
from ig_ros.nodes.message_checks import MessageLimits
from ig_ros.nodes.object_messages import add_surface, object_message
from ig_ros.nodes.pose_sources import TfLookup
from ig_ros.nodes.visualization import highlight_message
from ig_ros.scaffold.pose_refinement import MapCorrection
from ig_ros.srv import QueryObject
from ig_ros.thread_settings import single_threaded
from ig_ros.types import FloatArray, QueryStatus

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper

NAME, REASON = 60, 300  # characters of a caller's frame_id, and of tf's words about it, that an answer repeats


class FrameFinder:
    """Where the frames stand in which questions are asked and answers wanted."""

    def __init__(self, map_frame: str, tf: TfLookup, correction: Callable[[], MapCorrection] = MapCorrection) -> None:
        """Without tf2_ros only the map frame is known; `correction` is that of answers by now."""
        self.map_frame = map_frame
        self._tf, self._correction = tf, correction

    def find(self, frame_id: str, stamp: int = 0) -> tuple[FloatArray, int] | None:
        """Returns T_map_frame (4, 4) at a stamp (ns), 0 = the newest, and its stamp, 0 where the frame stands still.

        None for the map frame while the map lies where the robot believes it; raises QueryError for a frame that nobody
        knows.
        """
        correction = self._correction()
        if frame_id in ("", self.map_frame):
            return (correction.T_map_slam, 0) if correction.moves else None
        try:
            T, found = self._tf.stamped(self.map_frame, frame_id, stamp or None)
            return correction.T_map_slam @ T, found
        except FrameError as error:
            raise QueryError(f"unknown frame_id '{frame_id[:NAME]}': {str(error)[:REASON]}") from error

    def answered(self) -> FloatArray | None:
        """Returns T_frame_map (4, 4) of answers in the map frame, None while nothing moves."""
        where = self.find(self.map_frame)
        return inverse(where[0]) if where else None

    def in_map(self, T_frame_pose: FloatArray, head: Header) -> tuple[FloatArray, int]:
        """Returns a pose (4, 4) of a header's frame and stamp in the map, and the stamp (ns) that `find` gives."""
        T_map_frame, stamp = self.find(head.frame_id, nanoseconds(head.stamp)) or (np.eye(4), 0)
        return T_map_frame @ T_frame_pose, stamp


class QueryService:
    """Answers from the newest snapshot, while training goes on."""

    def __init__(
        self, mapper: LiveMapper, frames: FrameFinder, limits: MessageLimits,
        show: Callable[[MarkerArray], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """`show` gets every answer as markers (namespace `query`), an empty one to clear those before."""
        self._mapper, self._frames, self._limits, self._show = mapper, frames, limits, show

    def query(self, request: QueryObject.Request, response: QueryObject.Response) -> None:
        """Fills in the objects that fit the request. Raises QueryError for an unusable one."""
        self._limits.text("query text", request.text)
        scope = self._scope(request)
        if not request.text.strip() and not scope.narrow:
            raise QueryError("empty query text: say what to look for, or give an id or a box")
        where = self._frames.find(request.frame_id)
        T_frame_map, stamp = (inverse(where[0]), where[1]) if where else (None, 0)
        snapshot = self._mapper.snapshot()
        with single_threaded():
            result = self._mapper.query(request.text, request.max_results or sys.maxsize, request.min_score, scope)
        response.success, response.message = result.status is QueryStatus.FOUND, result.message
        response.threshold = float(result.threshold)
        if snapshot is None or not result.hits:
            self._show(highlight_message((), header(0, self._frames.map_frame)))
            return
        head = header(stamp or snapshot.stamp, request.frame_id or self._frames.map_frame)
        for hit in result.hits:
            found = object_message(hit.object, head, hit.score, T_frame_map)
            if request.with_cloud and (snapshot.instances.point_ids == found.id).any():  # else it is paged out to disk
                add_surface(found, snapshot, T_frame_map)
            response.objects.append(found)
        self._show(highlight_message(response.objects, head))
        response.message = response.message or f"{len(result.hits)} found"

    def _scope(self, request: QueryObject.Request) -> Scope:
        box, view = request.within, request.viewpoint
        size = np.array([request.within_size.x, request.within_size.y, request.within_size.z])
        T_box = None
        if size.any():
            T_box, _ = self._frames.in_map(matrix_from_pose(box), box.header)
        viewpoint = None
        if view.header.frame_id:
            viewpoint = self._observer(matrix_from_pose(view), view.header)
        elif request.frame_id not in ("", self._frames.map_frame):
            viewpoint = self._observer(np.eye(4), Header(frame_id=request.frame_id))
        return Scope(viewpoint, T_box, size if T_box is not None else None, request.id)

    def _observer(self, T_frame_view: FloatArray, head: Header) -> Viewpoint:
        T_view, _ = self._frames.in_map(T_frame_view, head)
        optical = "optical" in head.frame_id  # REP 103: such frames look along z
        return Viewpoint.of_camera(T_view) if optical else Viewpoint.of_body(T_view)

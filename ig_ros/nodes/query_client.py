"""A client of a running mapping node: queries, commands, and the latest objects and diagnostics.

`python -m ig_ros.nodes.query_client TEXT` asks from a shell: the wheels of PyPI have no `ros2 service call`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from ig_ros.errors import QueryError
from ig_ros.msg import ObjectArray
from ig_ros.nodes.process import started_ros
from ig_ros.nodes.topics import LATCHED
from ig_ros.srv import LoadMap, ObjectAt, QueryObject, RemoveObject, RenderView, SaveMap

ASK_AGAIN = 3.0  # s; DDS loses answers of a server that has not yet found this client, and a lossy radio more
READS = (QueryObject, ObjectAt, GetState)  # services that may be asked twice: they change nothing and cost little


class MapClient(Node):  # type: ignore[misc]  # rclpy has no types for mypy here
    """Calls the node's services one at a time, with a time limit. All methods raise QueryError when it is exceeded.

    What only reads, and quickly, is asked again while no answer comes.
    """

    def __init__(self, timeout: float = 10.0, **node_arguments: Any) -> None:
        """`timeout` in seconds holds for finding a service and for its answer, each."""
        super().__init__("query_client", **node_arguments)
        self.timeout = timeout
        self.objects: ObjectArray | None = None  # newest received
        self.cloud: PointCloud2 | None = None  # newest received
        self.diagnostics: dict[str, str] = {}  # newest received, by key; "level" and "message" are the status's own
        self._callers: dict[str, Any] = {}
        self.slowest: dict[str, float] = {}  # longest answer so far in seconds, by service
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self)
        self.create_subscription(ObjectArray, "ig/objects", self._on_objects, LATCHED)
        self.create_subscription(PointCloud2, "ig/instance_cloud", self._on_cloud, LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def query(
        self, text: str, max_results: int = 0, min_score: float = 0.0, frame_id: str = "", with_cloud: bool = False,
        **scope: Any,
    ) -> QueryObject.Response:  # fmt: skip
        """Ask for objects by a text; `scope` are the request's other fields (id, within, within_size, viewpoint)."""
        request = QueryObject.Request(
            text=text, max_results=max_results, min_score=min_score, frame_id=frame_id, with_cloud=with_cloud, **scope
        )
        return self._call(QueryObject, "ig/query_object", request)

    def instantiate(self) -> Trigger.Response:
        """Group the map into objects now."""
        return self._call(Trigger, "ig/instantiate", Trigger.Request())

    def reset(self) -> Trigger.Response:
        """Forget the map."""
        return self._call(Trigger, "ig/reset", Trigger.Request())

    def object_at(self, **request: Any) -> ObjectAt.Response:
        """Ask for the object at a point or pixel, by the request's fields."""
        return self._call(ObjectAt, "ig/object_at", ObjectAt.Request(**request))

    def render_view(self, **request: Any) -> RenderView.Response:
        """Have the map drawn, by the request's fields."""
        return self._call(RenderView, "ig/render_view", RenderView.Request(**request))

    def remove_object(self, number: int) -> RemoveObject.Response:
        """Take an object out of the map."""
        return self._call(RemoveObject, "ig/remove_object", RemoveObject.Request(id=number))

    def save(self, name: str) -> SaveMap.Response:
        """Save the map under a name."""
        return self._call(SaveMap, "ig/save_map", SaveMap.Request(name=name))

    def load(self, name: str) -> LoadMap.Response:
        """Load a saved map by its name."""
        return self._call(LoadMap, "ig/load_map", LoadMap.Request(name=name))

    def listen(self, seconds: float) -> None:
        """Receive for a while."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, 0.1))

    def _call(self, kind: Any, name: str, request: Any) -> Any:
        client = self._callers.get(name) or self._callers.setdefault(name, self.create_client(kind, name))
        if not client.wait_for_service(timeout_sec=self.timeout):
            raise QueryError(
                f"service {client.srv_name} is not there after {self.timeout:g} s: is the mapping node running?"
            )
        begin = time.perf_counter()
        deadline, again = time.monotonic() + self.timeout, ASK_AGAIN if kind in READS else self.timeout
        asked: list[Any] = []
        while not any(future.done() for future in asked) and (left := deadline - time.monotonic()) > 0:
            asked.append(client.call_async(request))
            self._wait_for(asked, min(again, left))
        done = [future for future in asked if future.done()]
        for future in asked:
            client.remove_pending_request(future)
        if not done:
            raise QueryError(f"service {client.srv_name} has not answered within {self.timeout:g} s")
        self.slowest[name] = max(self.slowest.get(name, 0.0), time.perf_counter() - begin)
        return done[0].result()

    def _wait_for(self, asked: list[Any], seconds: float) -> None:
        """Until one of several futures is done, or that long."""
        end = time.monotonic() + seconds
        while not any(future.done() for future in asked) and (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _on_objects(self, message: ObjectArray) -> None:
        self.objects = message

    def _on_cloud(self, message: PointCloud2) -> None:
        self.cloud = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith(": mapping"):
                self.diagnostics = {pair.key: pair.value for pair in status.values}
                self.diagnostics |= {"level": str(status.level[0]), "message": status.message}


@contextmanager
def connected(timeout: float) -> Iterator[MapClient]:
    """A client with ROS started around it, for programs that are not nodes themselves."""
    with started_ros([]):
        yield MapClient(timeout)


def describe(response: QueryObject.Response) -> str:
    """The answer as lines of text: one per object, or why there is none."""
    lines = [
        f"{o.id:4d}  {o.label or '(unnamed)':24s} score {o.score:.2f}  confidence {o.confidence:.2f}  "
        f"at ({o.pose.position.x:.2f}, {o.pose.position.y:.2f}, {o.pose.position.z:.2f}) m  "
        f"size {o.size.x:.2f} x {o.size.y:.2f} x {o.size.z:.2f} m"
        for o in response.objects
    ]
    return "\n".join(lines or [response.message])


def main(args: list[str] | None = None) -> int:
    """Console entry point: 0 when something was found, 2 when not, 1 when the node does not answer."""
    arguments = list(sys.argv[1:] if args is None else args)
    parser = argparse.ArgumentParser(prog="query_client", description="ask a running mapping node for an object")
    parser.add_argument("text", help='what to look for, for example "something to drink from"')
    parser.add_argument("--max-results", type=int, default=0, help="0 = all that qualify")
    parser.add_argument("--min-score", type=float, default=0.0, help="0 = the node's own threshold")
    parser.add_argument("--frame", default="", help="frame in which to answer, empty = the map frame")
    given = parser.parse_args(remove_ros_args(["query_client", *arguments])[1:])
    try:
        with started_ros(arguments):
            response = MapClient().query(given.text, given.max_results, given.min_score, given.frame)
    except QueryError as error:
        sys.stderr.write(f"query_client: {error}\n")
        return 1
    sys.stdout.write(describe(response) + "\n")
    return 0 if response.success else 2


if __name__ == "__main__":
    sys.exit(main())

"""Service requests are answered on threads of their own, so that the one thread that takes messages never waits.

rclpy's executor with several threads goes through all of a node's entities twice per message; beside a camera at 30 Hz
that takes most of the interpreter's time from the training. One thread for messages and this desk for questions do not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future

THREADS = 4  # requests that are worked on at once
WAITING = 256  # requests that may wait for a thread; ROS's own queue of ten would lose some when a hundred come at once
QOS = QoSProfile(depth=WAITING)

Handler = Callable[[Any, Any], Any]  # (request, response) -> response


class Desk:
    """Offers services whose handlers may take their time. Beyond WAITING requests the answer is that it is busy."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._group = ReentrantCallbackGroup()  # an exclusive one would take the next request after the answer
        self._pool = ThreadPoolExecutor(THREADS, "answer")
        self._closed = False
        self._open = threading.Semaphore(WAITING + THREADS)  # places in line and at work

    def stop(self) -> None:
        """Answer nothing more: the services are about to go."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def serve(self, kind: Any, name: str, handler: Handler) -> None:
        """Offer a service. What the handler raises ends the node."""

        async def callback(request: Any, response: Any) -> Any:
            done: Future = Future()
            if not self._open.acquire(blocking=False):
                response.success = False
                response.message = f"busy: {WAITING} requests wait already, ask again in a moment"
                return response
            if not self._closed:
                self._pool.submit(self._answer, handler, request, response, done)
            return await done  # never, once the desk is closed

        self._node.create_service(kind, name, callback, qos_profile=QOS, callback_group=self._group)

    def _answer(self, handler: Handler, request: Any, response: Any, done: Future) -> None:
        try:
            result = handler(request, response)
        except Exception as error:
            done.set_exception(error)
        else:
            if self._closed:
                return
            done.set_result(result)
        finally:
            self._open.release()
        executor = self._node.executor
        if executor is not None:
            executor.wake()

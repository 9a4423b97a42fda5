"""Threads beside the callbacks: service answers, background jobs, and how late callbacks are."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future

from ig_ros.errors import FrameError
from ig_ros.nodes.diagnostics import Problems

WINDOW = 6000  # newest callbacks that are judged: a minute of a camera with depth and masks at 30 Hz


class Delays:
    """Delays of the newest callbacks; thread safe."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=WINDOW)
        self._lock = threading.Lock()

    def timed(self, callback: Callable[[Any], None]) -> Callable[[Any, Mapping[str, Any]], None]:
        """The callback, with its delay noted."""

        def run(message: Any, info: Mapping[str, Any]) -> None:
            callback(message)
            self.add((time.time_ns() - int(info["received_timestamp"])) * 1e-9)

        return run

    def add(self, seconds: float) -> None:
        """Note a delay; a clock that was set meanwhile says nothing."""
        if seconds >= 0:
            with self._lock:
                self._seconds.append(seconds)

    def p99_ms(self) -> float:
        """99th percentile in milliseconds, 0 before the first callback."""
        with self._lock:
            seconds = list(self._seconds)
        return 1000 * float(np.percentile(seconds, 99)) if seconds else 0.0


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


class Worker:
    """Jobs in, results by side effect; whatever a job raises is counted and reported."""

    def __init__(self, name: str, capacity: int, problems: Problems, full: tuple[str, str] | None = None) -> None:
        """`full` is the cause and the message with which a dropped job is counted, None = it is no problem."""
        self._jobs: deque[Callable[[], None]] = deque()
        self._capacity, self._problems, self._full = capacity, problems, full
        self._filled = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Callable[[], None]) -> None:
        """Never blocks: the oldest waiting job makes room."""
        with self._filled:
            dropped = len(self._jobs) >= self._capacity
            if dropped:
                self._jobs.popleft()
            self._jobs.append(job)
            self._filled.notify()
        if dropped and self._full is not None:
            self._problems.add(*self._full)

    def clear(self) -> None:
        """Forget what waits."""
        with self._filled:
            self._jobs.clear()

    def stop(self, timeout: float = 0.5) -> None:
        """Forget what waits and end after the present job; waits for that at most `timeout` seconds."""
        with self._filled:
            self._stopping = True
            self._jobs.clear()
            self._filled.notify()
        self._thread.join(timeout)

    def _work(self) -> None:
        while True:
            with self._filled:
                while not self._jobs and not self._stopping:
                    self._filled.wait()
                if self._stopping:
                    return
                job = self._jobs.popleft()
            try:
                job()
            except FrameError as error:
                self._problems.add_error(error)
            except Exception as error:  # the border: one bad message must not end the stream
                self._problems.add("internal", f"message dropped by an internal error: {type(error).__name__}: {error}")

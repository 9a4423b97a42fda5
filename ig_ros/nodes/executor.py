"""Threads beside the executor's: service answers, background jobs, and the measured delay of callbacks.

The node spins in rclpy's SingleThreadedExecutor and answers services on a pool of its own. On a 30 Hz stream beside
the training (two busy cores, one run each) a MultiThreadedExecutor above that pool was slower: queries 147 ms instead
of 60 ms at the 99th percentile, callbacks 53 ms instead of 41 ms. rclpy.experimental.EventsExecutor hung in each of
four ways tried to answer a service asynchronously.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future

from ig_ros.errors import FrameError, IgError
from ig_ros.nodes.diagnostics import Problems

WINDOW = 6000  # newest callbacks that are judged: a minute of a camera with depth and masks at 30 Hz
THREADS = 4  # requests that are worked on at once
WAITING = 256  # requests that may wait for a thread; ROS's own queue of ten would lose some when a hundred come at once
QOS = QoSProfile(depth=WAITING)
JOBS = 8  # that wait for a worker which decodes or converts messages; the oldest is dropped


@dataclass(frozen=True, slots=True)
class Command:
    """Work that goes on elsewhere: its request is answered when it is done, and holds no thread until then."""

    future: futures.Future[Any]
    describe: Callable[[Any], str]  # result -> the answer's message; called on the thread that did the work


Handler = Callable[[Any, Any], Command | None]  # (request, response): fills the response in, or starts a command


def steady_clock() -> Clock:
    """Returns a clock for timers that also run while a simulation's /clock stands still."""
    return Clock(clock_type=ClockType.STEADY_TIME)


class CallbackDelays:
    """Delays of the newest callbacks from reception to end; thread safe."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=WINDOW)
        self._lock = threading.Lock()

    def add(self, received: int) -> None:
        """Records that the callback of a message received then (ns) ends now, unless the clock was set back."""
        seconds = (time.time_ns() - received) * 1e-9
        if seconds >= 0:
            with self._lock:
                self._seconds.append(seconds)

    def p99_ms(self) -> float:
        """Returns the 99th percentile in milliseconds, 0 before the first callback."""
        with self._lock:
            seconds = list(self._seconds)
        return 1000 * float(np.percentile(seconds, 99)) if seconds else 0.0


class ServicePool:
    """Serves requests on threads of its own, so that slow answers hold up neither messages nor other requests."""

    def __init__(self, node: Node, problems: Problems) -> None:
        """Refused requests and internal errors are counted in `problems`."""
        self._node, self._problems = node, problems
        self._group = ReentrantCallbackGroup()  # an exclusive one would take the next request after the answer
        self._pool = futures.ThreadPoolExecutor(THREADS, "answer")
        self._closed = False
        self._places = threading.Semaphore(WAITING + THREADS)  # for requests that wait or are worked on

    def stop(self) -> None:
        """Answers nothing more: the services are about to be destroyed."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def serve(self, kind: Any, name: str, handler: Handler) -> None:
        """Offers a service. What the handler raises becomes the response's message; success is then false."""

        async def callback(request: Any, response: Any) -> Any:
            if not self._places.acquire(blocking=False):
                response.success = False
                response.message = f"busy: {WAITING} requests wait already, ask again in a moment"
                return response
            done: Future = Future()
            if not self._closed:
                self._pool.submit(self._answer, name, handler, request, response, done)
            return await done  # which never comes once the pool is closed

        self._node.create_service(kind, f"ig/{name}", callback, qos_profile=QOS, callback_group=self._group)

    def _answer(self, name: str, handler: Handler, request: Any, response: Any, done: Future) -> None:
        try:
            command = handler(request, response)
        except Exception as error:
            self._refuse(response, f"{name}_refused", error)
        else:
            if command is not None:
                command.future.add_done_callback(lambda _: self._complete(name, command, response, done))
                return
        self._send(response, done)

    def _complete(self, name: str, command: Command, response: Any, done: Future) -> None:
        if self._closed:
            return
        try:
            response.success, response.message = True, command.describe(command.future.result())
            self._node.get_logger().info(f"{name}: {response.message}")
        except Exception as error:
            self._refuse(response, f"{name}_failed", error)
        self._send(response, done)

    def _refuse(self, response: Any, cause: str, error: Exception) -> None:
        response.success, response.message = False, str(error)
        if not isinstance(error, IgError):  # the border: a request must not end the node
            cause, response.message = "internal", f"internal error: {type(error).__name__}: {error}"
        self._problems.add(cause, response.message)

    def _send(self, response: Any, done: Future) -> None:
        self._places.release()
        executor = self._node.executor
        if not self._closed and executor is not None:
            done.set_result(response)
            executor.wake()


class Worker:
    """Does jobs on one thread, in order; what a job raises is counted and reported."""

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
        """Adds a job; never blocks: the oldest waiting job is dropped for it."""
        with self._filled:
            dropped = len(self._jobs) >= self._capacity
            if dropped:
                self._jobs.popleft()
            self._jobs.append(job)
            self._filled.notify()
        if dropped and self._full is not None:
            self._problems.add(*self._full)

    def clear(self) -> None:
        """Drops what waits."""
        with self._filled:
            self._jobs.clear()

    def stop(self, timeout: float = 0.5) -> None:
        """Drops what waits and ends after the present job; waits for that at most `timeout` seconds."""
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

"""Requests are answered aside: while one is worked on, the executor's thread takes messages and answers others."""

from __future__ import annotations

import threading
import time

import pytest
from nodes.running import until
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Empty
from std_srvs.srv import Trigger

from ig_ros.errors import QueryError
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.executor import THREADS, WAITING, ServicePool


@pytest.fixture
def robot(context: object) -> object:
    """A node with a slow service, a fast one and a subscription, spun by one thread."""

    class Robot:
        release, slow, heard, error = threading.Event(), 0, 0, Exception()

        def __init__(self) -> None:
            self.node = Node("robot", context=context)
            self.asking = Node("asking", context=context)
            self.problems = Problems(lambda _: None)
            self.services = ServicePool(self.node, self.problems)
            for name, handler in (("slow", self.wait), ("fast", self.answer), ("refused", self.refuse)):
                self.services.serve(Trigger, name, handler)
            self.node.create_subscription(Empty, "topic", self.hear, 10)
            self.clients = {
                name: self.asking.create_client(Trigger, f"ig/{name}") for name in ("slow", "fast", "refused")
            }
            self.executor = SingleThreadedExecutor(context=context)
            for node in (self.node, self.asking):
                self.executor.add_node(node)
            self.thread = threading.Thread(target=self.executor.spin, daemon=True)
            self.thread.start()

        def wait(self, _: object, response: Trigger.Response) -> None:
            self.slow += 1
            self.release.wait(20.0)
            self.answer(_, response)

        def answer(self, _: object, response: Trigger.Response) -> None:
            response.success = True

        def refuse(self, _: object, response: Trigger.Response) -> None:
            response.success = True
            raise self.error

        def hear(self, _: object) -> None:
            self.heard += 1

        def call(self, name: str) -> object:
            assert self.clients[name].wait_for_service(10.0)
            return self.clients[name].call_async(Trigger.Request())

    made = Robot()
    yield made
    made.release.set()
    made.services.stop()
    made.executor.shutdown(2.0)
    made.thread.join(5.0)
    made.node.destroy_node()
    made.asking.destroy_node()


def test_a_slow_answer_holds_up_neither_messages_nor_other_requests(robot) -> None:  # type: ignore[no-untyped-def]
    slow = robot.call("slow")
    assert until(lambda: robot.slow == 1)
    publisher = robot.asking.create_publisher(Empty, "topic", 10)
    assert until(lambda: robot.heard > 2, between=lambda: publisher.publish(Empty()))
    fast = robot.call("fast")
    assert until(fast.done)
    assert fast.result().success
    assert not slow.done()
    robot.release.set()
    assert until(slow.done)
    assert slow.result().success


def test_a_closed_pool_leaves_open_requests_unanswered_and_the_executor_alive(robot) -> None:  # type: ignore[no-untyped-def]
    waiting = [robot.call("slow") for _ in range(THREADS + 2)]
    assert until(lambda: robot.slow == THREADS), "the others wait in line"
    robot.services.stop()
    robot.release.set()
    publisher = robot.asking.create_publisher(Empty, "topic", 10)
    robot.call("fast")
    assert until(lambda: robot.heard > 2, between=lambda: publisher.publish(Empty()))
    assert not any(future.done() for future in waiting)
    assert robot.thread.is_alive()


def test_a_request_beyond_those_that_may_wait_is_told_so(robot) -> None:  # type: ignore[no-untyped-def]
    asked = []
    for _ in range(THREADS + WAITING + 1):
        asked.append(robot.call("slow"))
        time.sleep(0.005)  # the queues on the way are short
    assert until(lambda: any(future.done() for future in asked))
    assert [future.done() for future in asked] == [False] * (THREADS + WAITING) + [True]
    assert robot.slow == THREADS
    assert not asked[-1].result().success
    assert "busy" in asked[-1].result().message
    robot.release.set()
    assert until(lambda: robot.slow == THREADS + WAITING)
    again = robot.call("fast")
    assert until(again.done)
    assert again.result().success


@pytest.mark.parametrize(
    ("error", "cause", "words"),
    [(QueryError("name a thing"), "refused_refused", "name a thing"), (KeyError("x"), "internal", "internal error")],
)
def test_what_a_handler_raises_is_answered_and_counted(robot, error, cause, words) -> None:  # type: ignore[no-untyped-def]
    robot.error = error
    asked = robot.call("refused")
    assert until(asked.done)
    assert not asked.result().success
    assert words in asked.result().message
    assert robot.problems.counts() == {cause: 1}

"""The client against a server whose answers get lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from ig_ros.errors import QueryError
from ig_ros.nodes import query_client
from ig_ros.nodes.query_client import MapClient
from ig_ros.srv import QueryObject


class Forgetful(Node):
    """Answers every call but the first of each service."""

    def __init__(self, context: object) -> None:
        super().__init__("forgetful", context=context)
        self.calls: list[type] = []
        for kind, name in ((QueryObject, "ig/query_object"), (Trigger, "ig/instantiate")):
            self.create_service(kind, name, self._answer(kind), callback_group=ReentrantCallbackGroup())

    def _answer(self, kind: type) -> object:
        async def answer(request: object, response: object) -> object:
            self.calls.append(kind)
            if self.calls.count(kind) == 1:
                await Future()
            response.success = True
            return response

        return answer


@pytest.fixture
def server(context: object) -> Iterator[Forgetful]:
    node = Forgetful(context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield node
    executor.shutdown(2.0)
    thread.join(5.0)
    node.destroy_node()


def test_a_query_whose_answer_is_lost_is_asked_again(server: Forgetful, context: object, monkeypatch) -> None:
    monkeypatch.setattr(query_client, "ASK_AGAIN", 0.3)
    client = MapClient(5.0, context=context)
    assert client.query("mug").success
    assert server.calls == [QueryObject] * 2
    client.destroy_node()


def test_what_changes_something_is_asked_once(server: Forgetful, context: object, monkeypatch) -> None:
    monkeypatch.setattr(query_client, "ASK_AGAIN", 0.3)
    client = MapClient(1.5, context=context)
    with pytest.raises(QueryError, match="has not answered within"):
        client.instantiate()
    assert server.calls == [Trigger]
    client.destroy_node()

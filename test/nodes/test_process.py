"""Ctrl-C ends the real node in time and in order, whatever its threads are doing."""

from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import pytest
from nodes.processes import Start, stop
from nodes.real import RealNode
from nodes.running import until

from ig_ros.nodes.mapping_node import RCLError, spin
from ig_ros.srv import QueryObject


def test_in_the_middle_of_an_instantiation_it_ends_in_time(start: Start, context: object) -> None:
    node = RealNode(start, context, instances__refine_steps=100000)
    node.map_the_cards()
    answer = node.client.instantiate()
    assert "goes on" in answer.message, "it must still run when the signal comes"
    status, seconds = stop(node.process)
    node.close()
    assert status == 0, node.log()
    assert seconds < 2.0
    assert "terminate" not in node.log()
    assert "Traceback" not in node.log()


def test_with_questions_in_flight_it_ends_in_time(start: Start, context: object) -> None:
    node = RealNode(start, context, language__encoder="sentence")
    node.map_the_cards()
    node.client.instantiate()
    service = node.client.create_client(QueryObject, "ig/query_object")
    assert service.wait_for_service(10.0)
    asked, ended = [], threading.Event()

    def ask() -> None:
        while not ended.wait(0.002):
            asked.append(service.call_async(QueryObject.Request(text=f"something to drink from {len(asked)}")))

    asking = threading.Thread(target=ask)
    asking.start()
    assert until(lambda: any(future.done() for future in asked), 30.0, lambda: node.client.listen(0.1)), node.log()
    status, seconds = stop(node.process)
    ended.set()
    asking.join()
    node.close()
    assert status == 0, node.log()
    assert seconds < 2.0
    assert "terminate" not in node.log()


def test_started_in_the_background_of_a_shell_it_ends_as_well(start: Start, context: object) -> None:
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)  # what a shell does to `command &`, and children inherit
    try:
        node = RealNode(start, context)
    finally:
        signal.signal(signal.SIGINT, heard)
    node.map_the_cards()
    status, seconds = stop(node.process)
    node.close()
    assert status == 0, node.log()
    assert seconds < 2.0
    assert "Traceback" not in node.log()


@pytest.mark.parametrize("alive", [True, False], ids=("alive", "gone"))
def test_a_wait_that_fails_ends_the_node_in_order_only_where_its_context_has_gone(alive: bool) -> None:
    def fail() -> None:
        raise RCLError("failed to initialize wait set")

    executor = SimpleNamespace(spin=fail, context=SimpleNamespace(ok=lambda: alive))
    if alive:
        with pytest.raises(RCLError):
            spin(executor)
    else:
        spin(executor)

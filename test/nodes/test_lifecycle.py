"""The managed node: what it does in each state, over the services that a lifecycle manager uses."""

from __future__ import annotations

import signal

import pytest
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from nodes.processes import Start, stop
from nodes.running import running, until
from nodes.scene import small_frame
from rosgraph_msgs.msg import Clock

from ig_ros.errors import ConfigError, QueryError
from ig_ros.nodes.conversions import time_message
from ig_ros.nodes.player import Player, PlayOptions
from ig_ros.nodes.query_client import MapClient


class Manager(MapClient):
    """A client that also leads a node through its states."""

    node = "mapping_node"

    def change(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self._call(ChangeState, f"{self.node}/change_state", request).success)

    def state(self) -> int:
        return int(self._call(GetState, f"{self.node}/get_state", GetState.Request()).current_state.id)


@pytest.mark.field("ros", "replay.launch.py", "the bag plays when the node is ready")
def test_a_node_that_starts_tells_its_state_when_it_is_active(start: Start, context: object) -> None:
    process = start("test/nodes/doubles.py", "--ros-args", "-p", "diagnostics_period:=0.1")
    manager = Manager(60.0, context=context)
    assert manager.state() == State.PRIMARY_STATE_ACTIVE, "launch/replay.launch.py waits for the first answer"
    assert stop(process, number=signal.SIGTERM)[0] == 0
    manager.destroy_node()


def test_a_manager_leads_it_through_its_states(context: object) -> None:
    with running(context, autostart=False, diagnostics_period=0.1) as made:
        manager, player = Manager(context=context), Player(PlayOptions(wait=0.5), context=context)
        send = lambda: (player.publish(small_frame(), player.get_clock().now().nanoseconds), manager.listen(0.1))  # noqa: E731
        assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
        assert not player.wait_for_subscribers(), "unconfigured it listens to nothing"
        assert made.mapper is None

        assert manager.change(Transition.TRANSITION_CONFIGURE)
        assert manager.state() == State.PRIMARY_STATE_INACTIVE
        assert until(lambda: manager.diagnostics.get("message") == "inactive", between=send)
        assert made.mapper.frames == [], "inactive it takes no image"

        assert manager.change(Transition.TRANSITION_ACTIVATE)
        assert until(lambda: len(made.mapper.frames) >= 2, between=send), made.node.problems.counts()
        assert manager.instantiate().success
        assert until(lambda: manager.objects is not None, between=lambda: manager.listen(0.1))

        assert manager.change(Transition.TRANSITION_DEACTIVATE)
        manager.listen(0.3)
        count = len(made.mapper.frames)
        for _ in range(5):
            send()
        assert len(made.mapper.frames) == count
        assert manager.query("mug").success, "inactive it still answers"

        assert manager.change(Transition.TRANSITION_CLEANUP)
        assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
        manager.timeout = 1.0
        with pytest.raises(QueryError):
            manager.query("mug")
        manager.timeout = 10.0

        assert manager.change(Transition.TRANSITION_CONFIGURE)
        assert manager.change(Transition.TRANSITION_ACTIVATE)
        assert made.mapper.frames == [], "the map is a new one"
        assert until(lambda: made.mapper.frames, between=send)
        assert manager.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
        assert manager.state() == State.PRIMARY_STATE_FINALIZED
        manager.destroy_node()
        player.destroy_node()


def test_what_cannot_be_configured_stays_unconfigured_and_says_why(context: object) -> None:
    with running(context, autostart=False, cameras=["front", "front"]) as made:
        with pytest.raises(ConfigError, match="a name of its own"):
            made.node.autostart()
        manager = Manager(context=context)
        assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
        manager.destroy_node()


def test_with_simulated_time_the_clock_is_that_of_the_simulation(context: object) -> None:
    with running(context, use_sim_time=True, diagnostics_period=0.1) as made:
        player, client = Player(PlayOptions(), context=context), MapClient(context=context)
        clock = player.create_publisher(Clock, "/clock", 10)
        assert player.wait_for_subscribers()
        seconds = 1000

        def tick() -> None:
            nonlocal seconds
            seconds += 1
            clock.publish(Clock(clock=time_message(seconds * 10**9)))
            client.listen(0.1)
            player.publish(small_frame(), seconds * 10**9)

        assert until(lambda: len(made.mapper.frames) >= 3, between=tick), made.node.problems.counts()
        assert 1000 < made.node.get_clock().now().nanoseconds / 1e9 < 1100
        player.destroy_node()
        client.destroy_node()


def test_without_autostart_the_process_waits_and_ends_in_time(start: Start, context: object) -> None:
    node = start("test/nodes/doubles.py", "--ros-args", "-p", "autostart:=false", "-r", "__node:=waiting_node")
    manager = Manager(context=context)
    manager.node = "waiting_node"  # the nodes of the tests before may not have left the network yet
    assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
    assert manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.change(Transition.TRANSITION_ACTIVATE)
    status, seconds = stop(node)
    assert status == 0, node.log_path.read_text()
    assert seconds < 2.0
    manager.destroy_node()

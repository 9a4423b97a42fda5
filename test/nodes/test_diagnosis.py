"""What the level of /diagnostics says: all is well, something new, or that the mapper has stopped or hangs."""

from __future__ import annotations

import dataclasses

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from nodes.running import running, until

from ig_ros.live import LiveStats
from ig_ros.nodes.diagnostics import HANGING, Diagnosis, mapping_error, mapping_state, mapping_values
from ig_ros.nodes.query_client import MapClient

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
GOOD = LiveStats(frames_in=3)


def told(diagnosis: Diagnosis, stats: LiveStats = GOOD, problems: dict[str, int] | None = None) -> tuple[bytes, str]:
    state, error = mapping_state(stats, True), mapping_error(stats)
    status = diagnosis.message(0, mapping_values(stats), problems or {}, state, error).status[0]
    return status.level, status.message


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({}, OK, "mapping"),
        ({"frames_in": 0}, OK, "waiting for frames"),
        ({"silence": HANGING}, OK, "mapping"),
        ({"silence": HANGING + 1}, ERROR, "has not finished a step for 61 s: restart the node"),
        ({"error": "train thread stopped: RuntimeError: fire"}, ERROR, "train thread stopped: RuntimeError: fire"),
        ({"error": "it burns", "silence": 1e4}, ERROR, "it burns"),
    ],
)
def test_the_level_follows_from_the_mapper(change: dict[str, object], level: bytes, words: str) -> None:
    found, message = told(Diagnosis("node"), dataclasses.replace(GOOD, **change))
    assert found == level
    assert words in message


def test_problems_warn_while_they_are_new_and_errors_outweigh_them() -> None:
    diagnosis = Diagnosis("node")
    assert told(diagnosis, problems={"no_pose": 2, "image_blank": 1}) == (WARN, "3 new problems, mostly no_pose")
    assert told(diagnosis, problems={"no_pose": 2, "image_blank": 1})[0] == OK
    broken = dataclasses.replace(GOOD, error="it burns")
    assert told(diagnosis, broken, {"no_pose": 9}) == (ERROR, "it burns")


def test_a_node_whose_mapper_has_stopped_says_so_in_diagnostics_and_warnings(context: object) -> None:
    with running(context, diagnostics_period=0.1) as made:
        client = MapClient(context=context)
        level = lambda: client.diagnostics.get("level")  # noqa: E731
        listen = lambda: client.listen(0.1)  # noqa: E731
        assert until(lambda: level() == "0", between=listen)
        assert "mapper_stopped" not in made.node.problems.counts()
        well = made.mapper.stats

        def stopped() -> object:
            stats = well()
            stats.error = "train thread stopped: RuntimeError: fire"
            return stats

        made.mapper.stats = stopped
        assert until(lambda: level() == "2", between=listen)
        assert client.diagnostics["message"] == "train thread stopped: RuntimeError: fire"
        assert until(lambda: "mapper_stopped" in made.node.problems.counts())

        def hanging() -> object:
            stats = well()
            stats.silence = HANGING + 5
            return stats

        made.mapper.stats = hanging
        assert until(lambda: "restart the node" in client.diagnostics["message"], between=listen)
        assert level() == "2"
        client.destroy_node()

"""The table of topics is the node: nothing else is published or heard, and the pages name all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nodes.running import running
from rclpy.qos import DurabilityPolicy

from ig_ros.nodes.topics import COMPRESSED, IN, OUT

ROOT = Path(__file__).resolve().parents[2]
OWN = ("/rosout", "/parameter_events", "/mapping_node/transition_event", "/clock")  # of every ROS node
POSES = {"pose", "pose_with_covariance", "odometry", "transform"}


@pytest.mark.parametrize("source", sorted(POSES))
def test_the_node_has_the_topics_of_the_table(ctx: object, source: str) -> None:
    with running(ctx, pose_source=source) as made:
        publishers = {p.topic_name: p for p in made.node.publishers if p.topic_name not in OWN}
        heard = {s.topic_name: s.msg_type for s in made.node.subscriptions if s.topic_name not in OWN}
        assert publishers.keys() == {f"/{t.name.lstrip('/')}" for t in OUT}
        for topic in OUT:
            publisher = publishers[f"/{topic.name.lstrip('/')}"]
            assert publisher.msg_type is topic.kind
            latched = publisher.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL
            assert latched is topic.latched, topic.name
        others = (POSES - {source}) | set(COMPRESSED.values())  # these are heard where the raw ones are silent
        assert heard == {f"/{t.name}": t.kind for t in IN if t.name not in others}


def test_the_interfaces_page_names_every_topic() -> None:
    text = (ROOT / "docs" / "interfaces.md").read_text()
    named = {
        name for line in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE) for name in re.findall(r"`([\w/]+)`", line)
    }
    assert {topic.name for topic in (*IN, *OUT)} <= named

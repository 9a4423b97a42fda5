"""The SROS 2 policy allows the nodes all that they do, and a planner nothing that changes the map."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
import rclpy
from nodes.processes import ROOT
from nodes.running import running, until
from rclpy.node import Node

from ig_ros.config import SegmentationConfig
from ig_ros.nodes.query_client import MapClient
from ig_ros.nodes.segmenter_node import SegmenterNode
from ig_ros.segmentation import make_segmenter

POLICY = ROOT / "config/security/policy.xml"
ASPECTS = {
    ("topics", "publish"): Node.get_publisher_names_and_types_by_node,
    ("topics", "subscribe"): Node.get_subscriber_names_and_types_by_node,
    ("services", "reply"): Node.get_service_names_and_types_by_node,
    ("services", "request"): Node.get_client_names_and_types_by_node,
}
NODES = ["mapping_node", "query_client", "segmenter_node"]
DOMAIN = 1 + os.getpid() % 19  # other tests' are from 20: what they killed stays in their graph for its lease of 20 s
CHANGES = {"/ig/remove_object", "/ig/reset", "/ig/save_map", "/ig/load_map", "/mapping_node/change_state"}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """An rclpy context in a domain where no other test has had nodes: the graph is asked by name."""
    os.environ["ROS_LOG_DIR"] = str(tmp_path_factory.mktemp("ros"))
    made = rclpy.Context()
    rclpy.init(context=made, domain_id=DOMAIN)
    yield made
    rclpy.try_shutdown(context=made)


@pytest.fixture(scope="module")
def graph(context: object) -> Iterator[Node]:
    """A client that sees itself, a mapping node and a segmenter node."""
    segmenter = make_segmenter(SegmentationConfig(segmenter="geometric"))
    with running(context):
        server, client = SegmenterNode(segmenter, context=context), MapClient(context=context)
        server.start()
        assert not client.query("mug").success  # a service is requested only by who has done so
        assert until(lambda: sorted(client.get_node_names()) == NODES), client.get_node_names()
        yield client
        server.close()
        server.destroy_node()
        client.destroy_node()


def allowed(node: str, tag: str, aspect: str) -> set[str]:
    """Absolute names that the policy allows a node."""
    groups = (g for p in ET.parse(POLICY).iter("profile") if p.get("node") == node for g in p.iter(tag))
    names = ((entry.text or "").strip() for group in groups if group.get(aspect) == "ALLOW" for entry in group)
    return {f"/{node}{name[1:]}" if name.startswith("~") else f"/{name}" for name in names}


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize(("tag", "aspect"), list(ASPECTS))
def test_nothing_that_a_node_has_is_missing(graph: Node, node: str, tag: str, aspect: str) -> None:
    def names() -> set[str]:
        return {name for name, _ in ASPECTS[tag, aspect](graph, node, "/")}

    assert aspect == "request" or until(lambda: bool(names()))  # a node is known before all that it has
    has = names()
    assert has <= allowed(node, tag, aspect), has - allowed(node, tag, aspect)


def test_a_planner_cannot_change_the_map() -> None:
    assert allowed("mapping_node", "services", "reply") >= CHANGES
    assert not CHANGES & allowed("query_client", "services", "request")
    assert allowed("query_client", "topics", "publish") == {"/rosout", "/parameter_events"}

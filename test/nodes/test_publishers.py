"""Nothing is made or sent that nobody listens to or that has been sent already; whoever comes late gets it then."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cards import map_of_cards

from ig_ros.config import NodeConfig
from ig_ros.mapper import Mapper
from ig_ros.nodes import publishers
from ig_ros.nodes.clouds import points_from_cloud
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.publishers import Outputs
from ig_ros.types import MapSnapshot

BY_TOPIC = ("ig/instance_cloud", "ig/objects", "ig/markers", "ig/instance_colors", "ig/cameras", "ig/rendered_image",
            "ig/rendered_instances")  # fmt: skip


class Publisher:
    """Remembers what was sent; has as many subscribers as one says."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.subscribers = 0

    def publish(self, message: object) -> None:
        self.sent.append(message)

    def get_subscription_count(self) -> int:
        return self.subscribers


class FakeNode:
    """What Outputs asks of a node."""

    def __init__(self) -> None:
        self.publishers: dict[str, Publisher] = {}

    def create_publisher(self, _kind: type, topic: str, _qos: object) -> Publisher:
        return self.publishers.setdefault(topic, Publisher())

    def create_timer(self, *_: object, **__: object) -> None:
        pass

    def get_fully_qualified_name(self) -> str:
        return "/fake"


class Fixed:
    """A mapper with a finished map."""

    def __init__(self, mapper: Mapper) -> None:
        self.now: MapSnapshot | None = mapper.latest
        self._keyframe = mapper.view()

    def snapshot(self) -> MapSnapshot | None:
        return self.now

    def view(self) -> tuple[Any, Any]:
        return self._keyframe.camera, self._keyframe.T_world_camera


@pytest.fixture(scope="module")
def mapped() -> Mapper:
    return map_of_cards(4, 20)


@pytest.fixture
def parts(mapped: Mapper, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Outputs, FakeNode, Fixed, list[int]]]:
    rendered: list[int] = []
    render = publishers.rendered_images
    monkeypatch.setattr(publishers, "rendered_images", lambda *given: rendered.append(1) or render(*given))
    node, mapper = FakeNode(), Fixed(mapped)
    made = Outputs(node, NodeConfig(), mapper, None, Problems(print))  # type: ignore[arg-type]
    yield made, node, mapper, rendered
    made.stop()


def test_without_a_subscriber_nothing_is_made(parts: tuple[Outputs, FakeNode, Fixed, list[int]]) -> None:
    made, node, _, rendered = parts
    made._publish_map()
    assert not any(node.publishers[topic].sent for topic in BY_TOPIC)
    assert not rendered


@pytest.mark.parametrize("topic", BY_TOPIC)
def test_what_is_new_is_sent_once_to_those_who_listen_and_to_whoever_comes_late(
    parts: tuple[Outputs, FakeNode, Fixed, list[int]], topic: str
) -> None:
    made, node, mapper, rendered = parts
    publisher = node.publishers[topic]
    made._publish_map()
    publisher.subscribers = 1  # late
    for _ in range(3):
        made._publish_map()
    assert len(publisher.sent) == 1
    assert not any(node.publishers[other].sent for other in BY_TOPIC if other != topic)
    assert len(rendered) == ("rendered" in topic)
    mapper.now = dataclasses.replace(mapper.now, version=mapper.now.version + 1)
    made._publish_map()
    made._publish_map()
    assert len(publisher.sent) == 2


def test_the_second_picture_is_sent_when_the_first_one_has_been(
    parts: tuple[Outputs, FakeNode, Fixed, list[int]],
) -> None:
    made, node, _, rendered = parts
    color, ids = node.publishers["ig/rendered_image"], node.publishers["ig/rendered_instances"]
    color.subscribers = 1
    made._publish_map()
    ids.subscribers = 1
    made._publish_map()
    assert (len(color.sent), len(ids.sent)) == (1, 1)
    assert len(rendered) == 2
    assert bytes(color.sent[0].data) != bytes(ids.sent[0].data)


def test_both_pictures_of_a_moment_are_drawn_once(parts: tuple[Outputs, FakeNode, Fixed, list[int]]) -> None:
    made, node, _, rendered = parts
    for topic in ("ig/rendered_image", "ig/rendered_instances"):
        node.publishers[topic].subscribers = 1
    made._publish_map()
    assert len(rendered) == 1


def test_the_colours_of_the_objects_are_not_those_of_the_cloud(
    parts: tuple[Outputs, FakeNode, Fixed, list[int]],
) -> None:
    made, node, _, _ = parts
    clouds = [node.publishers[topic] for topic in ("ig/instance_cloud", "ig/instance_colors")]
    for publisher in clouds:
        publisher.subscribers = 1
    made._publish_map()
    plain, colored = (points_from_cloud(publisher.sent[0]) for publisher in clouds)
    for field in ("x", "y", "z", "instance_id", "confidence"):
        np.testing.assert_array_equal(plain[field], colored[field])
    assert (plain["rgb"] != colored["rgb"]).any()

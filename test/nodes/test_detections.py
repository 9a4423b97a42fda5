"""Boxes of a detector over DDS: before their image, after it, with a wrong side, and as vision_msgs has them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest
from nodes.running import Running, running, until
from nodes.sender import SECOND, Sender

import ig_ros.msg
from ig_ros.nodes.conversions import header
from ig_ros.nodes.topics import vision_boxes

if not hasattr(ig_ros.msg, "DetectionArray"):
    pytest.skip("messages of before DetectionArray: run make", allow_module_level=True)
from ig_ros.msg import Detection, DetectionArray


def boxes(stamp: int, right: float = 30.0) -> DetectionArray:
    found = Detection(label="mug", score=0.75, left=10.0, top=5.0, right=right, bottom=25.0)
    return DetectionArray(header=header(stamp, "camera"), detections=[found])


@pytest.fixture
def robot(context: object) -> Iterator[tuple[Running, Sender]]:
    with running(context, pose_source="pose") as node:
        sender = Sender(context)
        yield node, sender
        sender.close()


def test_boxes_reach_their_frame_before_or_after_it(robot) -> None:
    node, sender = robot
    sink = sender.player.create_publisher(DetectionArray, "detections", 10)
    assert until(lambda: sink.get_subscription_count(), 10.0)
    assert sender.send_until(lambda: node.mapper.frames)
    sink.publish(boxes(sender.begin + 50 * SECOND))
    assert until(lambda: node.mapper.frames[-1].detections, 10.0, lambda: sender.send(50.0))
    early = node.mapper.frames[-1].detections
    assert (early.names, early.scores.tolist(), early.boxes.tolist()) == (("mug",), [0.75], [[10, 5, 30, 25]])
    sink.publish(boxes(node.mapper.frames[0].stamp))
    assert until(lambda: node.mapper.boxes, 10.0)
    stamp, late, width = node.mapper.boxes[0]
    assert (stamp, late.names, width) == (node.mapper.frames[0].stamp, ("mug",), node.mapper.frames[0].camera.width)


@pytest.mark.field(
    "wrong", "a detector's box whose right side is left of its left one", "the image without boxes, one line"
)
def test_a_box_inside_out_is_told_and_the_image_used(robot) -> None:
    node, sender = robot
    sink = sender.player.create_publisher(DetectionArray, "detections", 10)
    assert until(lambda: sink.get_subscription_count(), 10.0)
    assert sender.send_until(lambda: node.mapper.frames)
    sink.publish(boxes(sender.begin + 50 * SECOND, right=2.0))
    assert until(lambda: any("left, top, right, bottom" in w for w in node.warnings), 10.0, lambda: sender.send(50.0))
    assert node.mapper.frames[-1].detections is None


def test_vision_msgs_is_heard_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert vision_boxes() is None
    package, messages = ModuleType("vision_msgs"), ModuleType("vision_msgs.msg")
    messages.Detection2DArray = SimpleNamespace
    monkeypatch.setitem(sys.modules, "vision_msgs", package)
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", messages)
    assert vision_boxes() is SimpleNamespace

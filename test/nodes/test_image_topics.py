"""Raw and compressed images of one camera, and images that are rectified already."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from nodes.running import running
from nodes.scene import small_frame
from nodes.sender import Sender
from sensor_msgs.msg import CompressedImage

from ig_ros.config import NodeConfig, build
from ig_ros.nodes import topics
from ig_ros.nodes.conversions import byte_array


@pytest.mark.field("device", "raw and compressed images of one camera", "only one heard, the other when that is silent")
@pytest.mark.parametrize("raw_ends", [True, False])
def test_compressed_images_are_heard_only_where_raw_ones_are_silent(
    context: object, monkeypatch: pytest.MonkeyPatch, raw_ends: bool
) -> None:
    monkeypatch.setattr(topics, "SILENT", 1.5)  # s
    with running(context) as made:
        sender = Sender(context)
        compressed = sender.player.create_publisher(CompressedImage, "image/compressed", 10)
        asked: list[int] = []

        def edit(messages: dict[str, Any]) -> None:
            asked.append(compressed.get_subscription_count())
            _, data = cv2.imencode(".png", small_frame().rgb[..., ::-1])
            compressed.publish(CompressedImage(header=messages["image"].header, format="png", data=byte_array(data)))

        assert sender.send_until(lambda: len(made.mapper.frames) >= 20, edit), made.node.problems.counts()
        assert set(asked) == {0}, "the driver need not encode anything"
        assert made.warnings == []
        if raw_ends:  # else it stays advertised, and nothing comes
            sender.player.destroy_publisher(next(p for p in sender.player.publishers if p.topic_name == "/image"))
        before = len(made.mapper.frames)

        def without_raw(messages: dict[str, Any]) -> None:
            edit(messages)
            del messages["image"]

        more = lambda: len(made.mapper.frames) >= before + 3  # noqa: E731
        assert sender.send_until(more, without_raw), made.node.problems.counts()
        np.testing.assert_array_equal(made.mapper.frames[-1].rgb, small_frame().rgb)
        assert set(made.node.problems.counts()) <= {"image_out_of_order", "depth_late"}
        sender.close()


@pytest.mark.field(
    "wrong", "live rectified image with D != 0 in camera_info", "image_is_rectified: left as it is, P used"
)
@pytest.mark.parametrize(
    ("said", "topic", "rectified"),
    [("true", "image", True), ("auto", "image_rect", True), ("auto", "image", False), ("false", "image_rect", False)],
)
def test_rectified_images_are_left_as_they_are(context: object, said: str, topic: str, rectified: bool) -> None:
    def edit(messages: dict[str, Any]) -> None:
        messages["info"].d = [-0.3, 0.1, 0.0, 0.0, 0.0]
        messages["info"].p[0] = messages["info"].p[5] = 70.0  # px

    remap = ["--ros-args", "-r", f"image:={topic}"]
    with running(context, arguments=remap, image_is_rectified=said) as made:
        sender = Sender(context, arguments=remap)
        assert sender.send_until(lambda: made.mapper.frames, edit), made.node.problems.counts()
        frame = made.mapper.frames[0]
        assert np.array_equal(frame.rgb, small_frame().rgb) is rectified
        assert bool(frame.camera.K[0, 0] == 70.0) is rectified
        sender.close()


@pytest.mark.parametrize("value", [True, "true"])
def test_a_yaml_truth_is_one_of_the_choices(value: object) -> None:
    assert build(NodeConfig, {"image_is_rectified": value}).image_is_rectified == "true"

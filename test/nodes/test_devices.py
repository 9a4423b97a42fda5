"""Over DDS: what cameras send beside the plain image, each as a camera of one running node."""

from __future__ import annotations

import array
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from camera_messages import compressed_depth
from geometry_msgs.msg import PoseStamped
from nodes.running import Running, running, until
from nodes.scene import small_camera, small_frame
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ig_ros.nodes.conversions import byte_array, header, image_message, info_message, pose_message
from ig_ros.nodes.topics import KINDS, LATCHED
from ig_ros.types import Frame

NAMES = ("png", "rvl", "binned", "focusing", "large", "latched", "empty", "far")


class Device:
    """A camera driver: publishes under the name of one camera of the node."""

    def __init__(self, made: Running, node: Node, name: str, latched: bool = False) -> None:
        self._made, self._node, self._name = made, node, name
        self._info = node.create_publisher(CameraInfo, f"{name}/camera_info", LATCHED if latched else 1)
        self._outlets: dict[str, Any] = {}

    def send(self, **messages: Any) -> None:
        """Messages by topic; `depth__compressedDepth` stands for depth/compressedDepth."""
        now = self._node.get_clock().now().nanoseconds
        head = header(now, "camera")
        messages["pose"] = PoseStamped(header=header(now, "map"), pose=pose_message(small_frame().T_world_camera))
        for topic, message in sorted(messages.items(), key=lambda entry: entry[0] == "image"):
            name = topic.replace("__", "/")
            if topic != "pose":
                message.header = head
            if topic == "camera_info":
                self._info.publish(message)
                continue
            if name not in self._outlets:
                self._outlets[name] = self._node.create_publisher(KINDS[name], f"{self._name}/{name}", 1)
            self._outlets[name].publish(message)

    def frame(self, with_depth: bool = False, **messages: Any) -> Frame:
        """The next frame that the mapper gets of it, of messages that are sent from now on."""
        mine: list[Frame] = []
        begin = self._node.get_clock().now().nanoseconds

        def got() -> bool:
            mine[:] = [f for f in self._made.mapper.frames if f.source == self._name and f.stamp >= begin]
            return bool(mine) and (not with_depth or mine[-1].depth is not None)

        assert until(got, between=lambda: self.send(**messages)), self._made.node.problems.counts()
        return mine[-1]


@pytest.fixture(scope="module")
def made(context: object) -> Iterator[Running]:
    with running(context, cameras=list(NAMES), diagnostics_period=0.1, sync_tolerance=0.001) as running_:
        yield running_


@pytest.fixture(scope="module")
def drivers(context: object) -> Iterator[Node]:
    node = Node("drivers", context=context)
    yield node
    node.destroy_node()


def plain() -> dict[str, Any]:
    frame = small_frame()
    head = header(0, "camera")
    return {"camera_info": info_message(frame.camera, head), "image": image_message(frame.rgb, "rgb8", head)}


@pytest.mark.field("device", "compressedDepth, png and RVL, 16UC1 and 32FC1", "depth in metres")
@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_compressed_depth(made: Running, drivers: Node, codec: str) -> None:
    mm = np.round(small_frame().depth * 1000).astype(np.uint16)
    data = compressed_depth(mm, codec).data
    message = CompressedImage(format=f"16UC1; compressedDepth {codec}", data=byte_array(data))
    got = Device(made, drivers, codec).frame(True, **plain(), depth__compressedDepth=message)
    np.testing.assert_allclose(got.depth, mm / 1000, rtol=1e-6)


@pytest.mark.field("device", "camera_info with binning and ROI", "K of the image as it is")
def test_binning_and_region(made: Running, drivers: Node) -> None:
    info = info_message(small_camera(340, 280), header(0, "camera"))
    info.binning_x = info.binning_y = 2
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 10, 20, 320, 240
    got = Device(made, drivers, "binned").frame(**plain() | {"camera_info": info})
    np.testing.assert_allclose(got.camera.K[:2], [[85, 0, (170 - 10) / 2], [0, 85, (140 - 20) / 2]])


@pytest.mark.field("device", "intrinsics that differ in each message (autofocus)", "each image has its own")
def test_autofocus(made: Running, drivers: Node) -> None:
    device, before = Device(made, drivers, "focusing"), made.node.problems.counts()
    for focal in (80.0, 80.1, 79.9, 80.05, 80.3):
        messages = plain()
        messages["camera_info"].k[0] = focal
        assert device.frame(**messages).camera.K[0, 0] == focal
    assert "calibration_changed" not in made.node.problems.counts(), before


@pytest.mark.field("device", "images above 2.1 million pixels", "reduced while decoding, intrinsics follow")
@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_images_of_4k(made: Running, drivers: Node, kind: str) -> None:
    width, height = 3840, 2160
    rgb = cv2.resize(small_frame().rgb, (width, height), interpolation=cv2.INTER_NEAREST)
    messages: dict[str, Any] = {"camera_info": info_message(small_camera(width, height), header(0, "camera"))}
    if kind == "raw":
        messages["image"] = image_message(rgb, "rgb8", header(0, "camera"))
    else:
        jpeg = cv2.imencode(".jpg", rgb[..., ::-1])[1]
        messages["image__compressed"] = CompressedImage(format="jpeg", data=array.array("B", jpeg.tobytes()))
    got = Device(made, drivers, "large").frame(**messages)
    assert got.rgb.shape == (1080, 1920, 3)
    assert np.abs(got.rgb.astype(int) - rgb[::2, ::2]).mean() < 2
    np.testing.assert_allclose(got.camera.K, small_camera(width // 2, height // 2).K)


@pytest.mark.field("device", "camera_info latched and sent once", "used")
def test_a_latched_calibration(made: Running, drivers: Node) -> None:
    device, messages = Device(made, drivers, "latched", latched=True), plain()
    device.send(camera_info=messages.pop("camera_info"))
    np.testing.assert_allclose(device.frame(**messages).camera.K, small_frame().camera.K)


@pytest.mark.field("wrong", "depth without a usable pixel", "a warning with the reason")
@pytest.mark.parametrize(("name", "metres"), [("empty", 0.0), ("far", 30.0)])
def test_depth_that_says_nothing(made: Running, drivers: Node, name: str, metres: float) -> None:
    depth: Image = image_message(np.full((120, 160), metres, np.float32), "32FC1", header(0, "camera"))
    device = Device(made, drivers, name)
    assert device.frame(**plain(), depth=depth) is not None
    before = made.node.problems.counts().get("depth_range", 0)
    device.send(**plain(), depth=depth)
    assert until(lambda: made.node.problems.counts().get("depth_range", 0) > before, 5.0)

"""The segmenter node in a process of its own: masks come back over DDS, and it never falls behind."""

from __future__ import annotations

import time

import numpy as np
from nodes.processes import Start, stop
from nodes.scene import small_frame
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from ig_ros.decoding import masks_from_message
from ig_ros.msg import SegmentedImage
from ig_ros.nodes.conversions import depth_message, header, image_message, info_message, nanoseconds
from ig_ros.nodes.segmenter_node import RELIABLE


class Robot(Node):
    """Publishes a camera and keeps the masks that come back."""

    def __init__(self, context: object) -> None:
        super().__init__("robot", context=context)
        self.got: list[SegmentedImage] = []
        self._image, self._depth, self._info = (
            self.create_publisher(kind, name, qos_profile_sensor_data)
            for kind, name in ((Image, "image"), (Image, "depth"), (CameraInfo, "camera_info"))
        )
        self.create_subscription(SegmentedImage, "segmented_image", lambda message: self.got.append(message), RELIABLE)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)

    def send(self, index: int, stamp: int) -> None:
        frame = small_frame(index)
        head = header(stamp, "camera")
        self._info.publish(info_message(frame.camera, head))
        self._depth.publish(depth_message(frame.depth, head))
        self._image.publish(image_message(frame.rgb, "rgb8", head))

    def listen(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)


def test_masks_come_back_for_the_newest_images(start: Start, context: object) -> None:
    node = start("-m", "ig_ros.nodes.segmenter_node", "--ros-args", "-p", "segmenter:=geometric")
    robot = Robot(context)
    deadline = time.monotonic() + 40
    sent = 0
    while not robot.got and node.poll() is None and time.monotonic() < deadline:
        sent += 1
        robot.send(0, sent)
        robot.listen(0.1)
    assert robot.got, node.log_path.read_text()
    burst = range(sent + 1, sent + 101)
    for stamp in burst:  # far faster than any segmenter
        robot.send(0, stamp)
    robot.listen(3.0)
    stamps = [nanoseconds(m.header.stamp) for m in robot.got]
    assert stamps == sorted(stamps)
    assert stamps[-1] == burst[-1], "the newest image is always segmented"
    labels = masks_from_message(robot.got[-1]).labels
    truth = small_frame(0).masks.labels
    assert labels.shape == truth.shape
    on_mug = labels[truth == 1]
    assert np.mean(on_mug == np.bincount(on_mug).argmax()) > 0.8
    assert np.bincount(on_mug).argmax() > 0
    status, seconds = stop(node)
    assert status == 0, node.log_path.read_text()
    assert seconds < 5.0
    robot.destroy_node()


def test_it_refuses_to_start_without_a_segmenter(start: Start) -> None:
    node = start("-m", "ig_ros.nodes.segmenter_node")
    assert node.wait(40) == 1
    assert "segmenter: geometric, sam" in node.log_path.read_text()

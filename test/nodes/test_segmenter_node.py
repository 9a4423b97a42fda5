"""The segmenter node in a process of its own: masks come back over DDS, and it never falls behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from nodes.processes import Start, stop
from nodes.running import until
from nodes.scene import small_frame
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ig_ros.message_decoding import masks_from_message, nanoseconds
from ig_ros.msg import SegmentedImage
from ig_ros.nodes.conversions import byte_array, depth_message, header, image_message, info_message
from ig_ros.nodes.segmenter_node import RELIABLE, SegmenterNode
from ig_ros.nodes.topics import LATCHED
from ig_ros.types import Camera, FloatArray, Masks


class Robot(Node):
    """Publishes a camera and keeps the masks that come back."""

    def __init__(self, context: object) -> None:
        super().__init__("robot", context=context)
        self.got: list[SegmentedImage] = []
        self._image, self._depth, self._info = (
            self.create_publisher(kind, name, qos_profile_sensor_data)
            for kind, name in ((Image, "image"), (Image, "depth"), (CameraInfo, "camera_info"))
        )
        self.diagnoses: list[DiagnosticArray] = []
        self.create_subscription(DiagnosticArray, "/diagnostics", lambda message: self.diagnoses.append(message), 10)
        self.create_subscription(SegmentedImage, "segmented_image", lambda message: self.got.append(message), RELIABLE)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)

    def send(self, index: int, stamp: int) -> None:
        self.send_info(small_frame(index).camera)
        self.send_depth(index, stamp)
        self.send_image(index, stamp)

    def send_info(self, camera: Camera) -> None:
        self._info.publish(info_message(camera, header(1, "camera")))

    def send_depth(self, index: int, stamp: int) -> None:
        self._depth.publish(depth_message(small_frame(index).depth, header(stamp, "camera")))

    def send_image(self, index: int, stamp: int) -> None:
        self._image.publish(image_message(small_frame(index).rgb, "rgb8", header(stamp, "camera")))

    def numbers(self) -> dict[str, str]:
        """The newest diagnostics, with the status's own message."""
        if not self.diagnoses:
            return {}
        status = self.diagnoses[-1].status[0]
        return {pair.key: pair.value for pair in status.values} | {"message": status.message, "name": status.name}

    def listen(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)


def test_masks_come_back_for_the_newest_images(start: Start, context: object) -> None:
    node = start("-m", "ig_ros.nodes", "segmenter_node", "--ros-args", "-p", "segmenter:=geometric")
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
    assert len(set(stamps) & set(burst)) < 60, "images that came meanwhile are skipped"
    robot.diagnoses.clear()
    until(lambda: robot.diagnoses, between=lambda: robot.listen(0.1))
    numbers = robot.numbers()
    assert numbers["name"].endswith("segmenter_node: segmenting")
    assert int(numbers["images skipped"]) > 40
    assert int(numbers["images done"]) >= len(stamps)
    assert int(numbers["images in"]) >= int(numbers["images done"]) + int(numbers["images skipped"])
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
    node = start("-m", "ig_ros.nodes", "segmenter_node")
    assert node.wait(40) == 1
    assert "segmenter: geometric, detector, sam" in node.log_path.read_text()


class Noting:
    """A segmenter that remembers with which depth it was asked, and takes as long as it is told."""

    name = "noting"

    def __init__(self) -> None:
        self.depths: list[FloatArray | None] = []

    def segment(self, rgb: np.ndarray, depth: FloatArray | None, camera: Camera) -> Masks:
        assert rgb.shape[:2] == (camera.height, camera.width)
        self.depths.append(depth)
        return Masks(np.ones(rgb.shape[:2], np.int32))


@contextmanager
def segmenting(context: object, segmenter: Noting, **settings: object) -> Iterator[SegmenterNode]:
    given = [Parameter(name, value=value) for name, value in settings.items()]
    node = SegmenterNode(segmenter, context=context, parameter_overrides=given)
    node.start()
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        node.close()
        executor.shutdown(2.0)
        thread.join(5.0)
        node.destroy_node()


@pytest.fixture
def robot(context: object) -> Iterator[Robot]:
    made = Robot(context)
    yield made
    made.destroy_node()


def meet(robot: Robot, node: SegmenterNode, segmenter: Noting, depth: bool = True) -> None:
    """Until image, depth and answer find each other."""
    deadline = time.monotonic() + 30
    stamp = 0
    while time.monotonic() < deadline:
        stamp += 1
        robot.send_info(small_frame(0).camera)
        if depth:
            robot.send_depth(0, stamp)
            robot.listen(0.1)
        robot.send_image(0, stamp)
        robot.listen(0.2)
        if robot.got and segmenter.depths and (segmenter.depths[-1] is not None or not depth):
            return
    raise AssertionError(f"no masks: {node.problems.counts()}")


def test_depth_that_comes_after_its_image_is_waited_for_once_depth_has_been_seen(robot: Robot, context: object) -> None:
    segmenter = Noting()
    with segmenting(context, segmenter, depth_timeout=20.0) as node:
        meet(robot, node, segmenter)
        done = len(segmenter.depths)
        robot.send_image(3, 50_000_000_000)
        robot.listen(0.5)
        assert len(segmenter.depths) == done, "it waits for the depth"
        robot.send_depth(3, 50_000_000_000)
        assert until(lambda: len(segmenter.depths) > done, between=lambda: robot.listen(0.1))
        np.testing.assert_array_equal(segmenter.depths[-1], small_frame(3).depth)
        assert node.problems.counts().get("depth_late", 0) == 0


def test_depth_that_does_not_come_is_counted_and_the_image_segmented_without(robot: Robot, context: object) -> None:
    segmenter = Noting()
    with segmenting(context, segmenter, depth_timeout=0.3, diagnostics_period=0.2) as node:
        meet(robot, node, segmenter)
        late = node.problems.counts().get("depth_late", 0)
        done = len(segmenter.depths)
        robot.send_image(0, 50_000_000_000)
        assert until(lambda: len(segmenter.depths) > done, between=lambda: robot.listen(0.1))
        assert segmenter.depths[-1] is None
        assert node.problems.counts()["depth_late"] == late + 1
        assert until(
            lambda: robot.numbers().get("problem: depth_late") == str(late + 1), between=lambda: robot.listen(0.1)
        )


def test_without_any_depth_nothing_waits(robot: Robot, context: object) -> None:
    segmenter = Noting()
    with segmenting(context, segmenter, depth_timeout=50.0) as node:
        meet(robot, node, segmenter, depth=False)
        assert "depth_late" not in node.problems.counts()


def test_a_latched_calibration_and_large_images(robot: Robot, context: object) -> None:
    """Masks of an image above 2.1 million pixels are those of the reduced one."""
    segmenter, frame = Noting(), small_frame(0, 1920, 1440)
    latched = robot.create_publisher(CameraInfo, "camera_info", LATCHED)
    latched.publish(info_message(frame.camera, header(1, "camera")))
    stamps = iter(range(1, 1000))
    with segmenting(context, segmenter, diagnostics_period=0.2):

        def send() -> None:
            robot._image.publish(image_message(frame.rgb, "rgb8", header(next(stamps), "camera")))
            robot.listen(0.2)

        assert until(lambda: robot.got, between=send)
    assert (robot.got[-1].labels.width, robot.got[-1].labels.height) == (960, 720)


def test_an_image_of_another_size_than_its_camera_info_is_refused(robot: Robot, context: object) -> None:
    segmenter = Noting()
    with segmenting(context, segmenter, diagnostics_period=0.2) as node:
        meet(robot, node, segmenter, depth=False)
        robot.send_info(small_frame(0, 80, 60).camera)
        robot.listen(0.3)
        done = len(segmenter.depths)
        assert until(
            lambda: node.problems.counts().get("image_size"),
            between=lambda: (robot.send_image(0, 60_000_000_000), robot.listen(0.1)),
        )
        assert len(segmenter.depths) == done


def test_compressed_images_are_segmented_where_nobody_sends_raw_ones(context: object) -> None:
    driver, segmenter = rclpy.create_node("driver", context=context), Noting()
    images = driver.create_publisher(CompressedImage, "image/compressed", 1)
    infos = driver.create_publisher(CameraInfo, "camera_info", 1)
    _, data = cv2.imencode(".png", small_frame(0).rgb)

    def send() -> None:
        head = header(driver.get_clock().now().nanoseconds, "camera")
        infos.publish(info_message(small_frame(0).camera, head))
        images.publish(CompressedImage(header=head, format="png", data=byte_array(data)))

    with segmenting(context, segmenter):
        assert until(lambda: segmenter.depths, between=send)
    driver.destroy_node()

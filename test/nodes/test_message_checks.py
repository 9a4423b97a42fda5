"""Who is believed when a stream contradicts itself, and what a worker does with more than it can do."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from ig_ros.config import LimitsConfig, NodeConfig
from ig_ros.errors import FrameError
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.executor import CallbackDelays, Worker
from ig_ros.nodes.message_checks import SETTLE, Calibration, OneSender
from ig_ros.nodes.pose_sources import TfLookup
from ig_ros.nodes.subscriptions import CameraInput
from ig_ros.nodes.topics import SILENT


def info(focal: float) -> CameraInfo:
    return CameraInfo(width=64, height=48, k=[focal, 0.0, 32.0, 0.0, focal, 24.0, 0.0, 0.0, 1.0])


@pytest.mark.field("wrong", "a rectified image and D != 0", "not undistorted again, P used")
def test_rectified_images_take_the_camera_of_p_and_are_not_undistorted() -> None:
    """Drivers repeat the lens of the raw image beside the rectified one: P is the camera then."""
    message = info(50.0)
    message.distortion_model, message.d = "plumb_bob", [0.2, -0.1, 0.0, 0.0, 0.0]
    message.p = [44.0, 0.0, 30.0, 0.0, 0.0, 44.0, 22.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    raw, rectified = Calibration(), Calibration()
    rectified.rectified = True
    for calibration in (raw, rectified):
        calibration.update(message, 0.0)
    assert raw.rectifier.maps is not None
    assert rectified.rectifier.maps is None
    assert rectified.rectifier.camera.K[0].tolist() == [44.0, 0.0, 30.5]


def test_the_first_sender_of_a_topic_is_believed_until_it_falls_silent() -> None:
    sender = OneSender()
    sender.demand("image", "camera", 0.0)
    with pytest.raises(FrameError, match="two publishers share a topic") as caught:
        sender.demand("image", "other", 1.0)
    assert caught.value.cause == "other_frame_id"
    sender.demand("image", "camera", 2.0)
    sender.demand("image", "other", 2.1 + SILENT)
    with pytest.raises(FrameError):
        sender.demand("image", "camera", 2.2 + SILENT)


def test_a_calibration_that_flickers_is_not_believed_and_meanwhile_no_image_is_used() -> None:
    calibration = Calibration()
    with pytest.raises(FrameError, match="no usable camera_info"):
        _ = calibration.rectifier
    calibration.update(info(50.0), 0.0)
    calibration.update(info(70.0), 1.0)
    calibration.update(info(70.0), 1.0 + 0.9 * SETTLE)
    with pytest.raises(FrameError, match="believed when it stays"):
        _ = calibration.rectifier
    calibration.update(info(50.0), 5.0)
    assert calibration.rectifier.camera.K[0, 0] == 50.0


def test_a_calibration_that_stays_is_believed() -> None:
    calibration = Calibration()
    calibration.update(info(50.0), 0.0)
    calibration.update(info(70.0), 1.0)
    calibration.update(info(70.0), 1.1 + SETTLE)
    assert calibration.rectifier.camera.K[0, 0] == 70.0
    calibration.update(info(60.0), 10.0)
    calibration.update(info(65.0), 10.0 + SETTLE)
    with pytest.raises(FrameError):
        _ = calibration.rectifier


def test_an_unusable_calibration_leaves_the_earlier_one_in_force() -> None:
    calibration = Calibration()
    calibration.update(info(50.0), 0.0)
    with pytest.raises(FrameError, match="focal length"):
        calibration.update(info(0.0), 1.0)
    assert calibration.rectifier.camera.K[0, 0] == 50.0


def test_a_worker_drops_the_oldest_counts_it_and_survives_its_jobs() -> None:
    problems = Problems(lambda _: None)
    worker = Worker("test", 3, problems, ("full", "too much"))
    gate, done = threading.Event(), []
    worker.put(gate.wait)
    while len(worker):
        time.sleep(0.01)
    for i in range(5):
        worker.put(lambda i=i: done.append(i))
    assert len(worker) == 3
    gate.set()
    while len(done) < 3:
        time.sleep(0.01)
    assert done == [2, 3, 4]
    finished = threading.Event()

    def fail(error: Exception) -> None:
        raise error

    worker.put(lambda: fail(FrameError("bad", "bad frame")))
    worker.put(lambda: fail(ValueError("a bug")))
    worker.put(finished.set)
    assert finished.wait(5.0)
    assert problems.counts()["full"] == 2
    assert (problems.counts()["bad"], problems.counts()["internal"]) == (1, 1)
    worker.stop()
    worker.put(finished.clear)
    time.sleep(0.05)
    assert finished.is_set(), "after stop nothing runs"


def test_a_whole_minute_of_images_is_judged() -> None:
    delays = CallbackDelays()
    for number in range(60 * 30 * 3):
        delays.add(time.time_ns() - (10**9 if number < 60 else 10**6))
    assert delays.p99_ms() == pytest.approx(1000, rel=0.05), "the first second is not forgotten"


def test_only_images_are_timed(context: object) -> None:
    heard: dict[str, tuple[type, Any]] = {}

    class Listening(Node):
        def create_subscription(self, kind: type, name: str, callback: Any, *__: Any, **___: Any) -> None:
            heard[name] = kind, callback

    class Timed(list[int]):
        add = list.append

    node, timed, small = Listening("camera", context=context), Timed(), NodeConfig(limits=LimitsConfig(image_pixels=1))
    nothing = lambda *_: None  # noqa: E731
    camera = CameraInput(node, small, 0, Problems(nothing), timed, nothing, nothing, TfLookup(node, 0.5))
    assert {"image", "depth", "segmented_image", "pose", "camera_info"} < heard.keys()
    for name, (kind, callback) in heard.items():
        before = len(timed)
        callback(kind(width=9, height=9) if hasattr(kind, "height") else kind(), {"received_timestamp": 7})
        assert len(timed) - before == (name in ("image", "depth", "segmented_image", "ignore")), name
    camera.stop()
    node.destroy_node()


def test_delays_are_those_since_the_arrival() -> None:
    delays = CallbackDelays()
    assert delays.p99_ms() == 0.0
    for late in np.linspace(0, 0.1, 101):
        delays.add(time.time_ns() - int(late * 1e9))
    assert delays.p99_ms() == pytest.approx(99, abs=3)
    delays.add(time.time_ns() + 10**12)
    assert delays.p99_ms() > 90, "a clock that was set says nothing"

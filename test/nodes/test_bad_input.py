"""One running node meets every kind of bad input, counts it by its cause, and still takes the next good frame."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import numpy as np
import pytest
from nodes.processes import Start
from nodes.scene import small_frame

from ig_ros.nodes.conversions import depth_message, header, image_message
from ig_ros.nodes.object_messages import segmented_message
from ig_ros.nodes.player import Player, PlayOptions
from ig_ros.nodes.query_client import MapClient
from ig_ros.types import Masks


class Stream:
    """Publishes frames, one part of them spoilt, to one running node."""

    def __init__(self, node: subprocess.Popen, player: Player, client: MapClient) -> None:
        self.node, self.player, self.client = node, player, client
        self._frame = small_frame()

    def head(self):
        return header(self.player.get_clock().now().nanoseconds, "camera")

    def send(self, edit: Callable | None = None, part: str = "", calibrate: bool = True) -> None:
        """A frame; `edit` changes the message of one part: image, info, pose, depth, masks."""
        head = self.head()
        messages = self.player.messages(self._frame, int(head.stamp.sec) * 10**9 + head.stamp.nanosec)
        if not calibrate:
            messages.pop("info")
        if edit is not None and edit(messages[part]) == "leave out":
            messages.pop(part)
        self.player.send(messages)

    def frames(self) -> int:
        return int(self.client.diagnostics.get("frames in", 0))

    def count(self, cause: str) -> int:
        return int(self.client.diagnostics.get(f"problem: {cause}", 0))

    def until(self, condition: Callable[[], bool], seconds: float = 6.0) -> bool:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            self.client.listen(0.1)
        return condition()

    def good(self) -> None:
        """A good frame is taken."""
        before = self.frames()
        self.send()
        assert self.until(lambda: self.frames() == before + 1), self.node.log_path.read_text()


@pytest.fixture(scope="module")
def stream(start: Start, context: object) -> Stream:
    settings = ["diagnostics_period:=0.1", "pose_timeout:=0.4", "depth_timeout:=0.1", "mask_timeout:=0.1"]
    settings += ["map_directory:=/proc/nowhere", "pose_max_gap:=0.001"]  # no pose is made up between two frames
    node = start("test/nodes/doubles.py", "--ros-args", *(word for s in settings for word in ("-p", s)))
    player, client = Player(PlayOptions(), context=context), MapClient(context=context)
    assert player.wait_for_subscribers()
    return Stream(node, player, client)


def test_image_without_any_camera_info_is_dropped_with_the_remedy(stream: Stream) -> None:
    stream.send(calibrate=False)
    assert stream.until(lambda: stream.count("no_camera_info") == 1)
    assert "remap camera_info" in stream.node.log_path.read_text()
    stream.good()


def _set(**values: object) -> Callable:
    def edit(message: object) -> None:
        for name, value in values.items():
            setattr(message, name, value)

    return edit


def _nan_pose(message) -> None:
    message.pose.position.x = float("nan")


def _zero_quaternion(message) -> None:
    message.pose.orientation.x = message.pose.orientation.y = message.pose.orientation.z = 0.0
    message.pose.orientation.w = 0.0


def _other_frame(message) -> None:
    message.header.frame_id = "odom"


def _ancient(message) -> None:
    message.header.stamp.sec -= 100


def _small_depth(message) -> None:
    small = depth_message(np.ones((30, 40), np.float32), message.header)
    message.height, message.width, message.step, message.data = 30, 40, small.step, small.data


def _small_labels(message) -> None:
    message.labels = segmented_message(Masks(np.ones((30, 40), np.int32)), message.header).labels


def _large_image(message) -> None:
    large = image_message(np.zeros((240, 320, 3), np.uint8), "rgb8", message.header)
    message.height, message.width, message.step, message.data = 240, 320, large.step, large.data


def _leave_out(_message) -> str:
    return "leave out"


CASES = [  # part, edit, cause, whether the image is used all the same, words of the remedy
    ("image", _set(encoding="nv21"), "image_encoding", False, "publish one of rgb8"),
    ("image", _set(height=999), "image_data", False, "check the driver"),
    ("image", _set(step=7), "image_data", False, "check the driver"),
    ("image", _large_image, "image_size", False, "camera_info of this image size"),
    ("image", _ancient, "image_out_of_order", False, "publish images in order"),
    ("info", _set(k=np.diag([0.0, 0.0, 1.0]).reshape(-1)), "bad_camera_info", True, "calibrated camera_info"),
    ("info", _set(d=[0.1] * 4, distortion_model="guess"), "bad_camera_info", True, "undistorted images"),
    ("pose", _nan_pose, "bad_pose", False, "SLAM"),
    ("pose", _zero_quaternion, "bad_pose", False, "SLAM"),
    ("pose", _leave_out, "no_pose", False, "use one clock"),
    ("pose", _other_frame, "other_frame_id", False, "two publishers share a topic"),
    ("depth", _set(encoding="8UC3"), "depth_encoding", True, "publish one of 16UC1"),
    ("depth", _small_depth, "depth_size", True, "registered to the image"),
    ("depth", _leave_out, "depth_late", True, "depth_timeout"),
    ("masks", _small_labels, "mask_size", True, "segment the full image"),
]


@pytest.mark.parametrize(
    ("part", "edit", "cause", "used", "remedy"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_bad_input_is_counted_and_the_node_lives(
    stream: Stream, part: str, edit: Callable, cause: str, used: bool, remedy: str
) -> None:
    stream.good()
    before, frames = stream.count(cause), stream.frames()
    stream.send(edit, part)
    assert stream.until(lambda: stream.count(cause) > before), stream.node.log_path.read_text()
    if used:
        assert stream.until(lambda: stream.frames() == frames + 1)
    log = stream.node.log_path.read_text()
    assert f"[{cause}]" in log
    assert remedy in log or stream.count(cause) > 1  # the second warning of a cause is throttled
    stream.good()
    assert stream.frames() == frames + 1 + used


def test_save_path_that_is_not_writable_is_named(stream: Stream) -> None:
    answer = stream.client.save("kitchen")
    assert not answer.success
    assert "cannot write map to /proc/nowhere" in answer.message


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("pose_timeout:=99.0", "parameter 'pose_timeout' = 99.0: must be between 0.0 and 60.0"),
        ("segmenter:=magic", "must be one of none, geometric, detector, sam"),
        ("training.seed:=hello", "must be int"),
        ("pose_timeot:=1.0", "unknown parameter 'pose_timeot'"),
        ("pose_source:=tf", "tf2_ros"),
    ],
)
def test_node_refuses_parameters_in_one_line(setting: str, text: str, start: Start) -> None:
    import importlib.util

    if "tf" in setting.split("=")[1] and importlib.util.find_spec("tf2_ros"):
        pytest.skip("tf2_ros is installed: tf works")
    process = start("test/nodes/doubles.py", "--ros-args", "-p", setting)
    assert process.wait(20) == 1
    [line] = [line for line in process.log_path.read_text().splitlines() if line.startswith("mapping_node:")]
    assert text in line

"""The table of faults: what each does to the stream or to the node, and the counter by which the node shows it."""

from __future__ import annotations

import dataclasses
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from ig_ros.map_io import MANIFEST
from ig_ros.message_decoding import nanoseconds
from ig_ros.nodes.conversions import byte_array
from ig_ros.nodes.executor import QOS
from ig_ros.nodes.message_checks import SETTLE
from ig_ros.nodes.object_messages import segmented_message
from ig_ros.srv import QueryObject
from ig_ros.types import Masks

if TYPE_CHECKING:
    from benchmarks.soak.robot import Robot

Messages = dict[str, Any]  # by part: pose, info, image, depth, masks
Check = Callable[[], str]  # what went wrong, "" = nothing
SECOND = 1_000_000_000
QUERIES = 100
MASKS = 5000
PATIENCE = 30.0  # s for a subscriber to come up
OVERLOAD = ("queue_full", "decoder_full")  # images dropped on the way to the mapper: there are too many
FULL_DISK = 4096  # bytes: the largest file while the disk is full


def _as_it_is(_robot: Robot, messages: Messages, _count: int) -> list[Messages]:
    return [messages]


def _nothing(_robot: Robot) -> Check:
    return lambda: ""


@dataclass(frozen=True, slots=True)
class Fault:
    """`spoil` makes of each frame what is sent instead (with the number of frames so far); `strike` happens once.

    That the node has seen it shows in a counter of its diagnostics, or in what the check of `strike` asks for.
    """

    name: str
    counter: str = ""  # must have grown afterwards
    spoil: Callable[[Robot, Messages, int], list[Messages]] = _as_it_is
    strike: Callable[[Robot], Check] = _nothing
    seconds: float = 0.0  # it lasts so long at least
    after: float = 0.0  # s of the good stream that belong to it: it shows, or is over, only then


# -- spoilt streams ---------------------------------------------------------------------------------------------------


def _pose_jump(_robot: Robot, messages: Messages, count: int) -> list[Messages]:
    if count % 5 == 1:  # a single one may be dropped by a full inbox, unjudged
        messages["pose"].pose.position.x += 5.0
    return [messages]


def _nan_pose(_robot: Robot, messages: Messages, _count: int) -> list[Messages]:
    messages["pose"].pose.position.y = float("nan")
    return [messages]


def _shifted(seconds: float) -> Callable[[Robot, Messages, int], list[Messages]]:
    def spoil(robot: Robot, messages: Messages, _count: int) -> list[Messages]:
        return [robot.messages(nanoseconds(messages["image"].header.stamp) + round(seconds * SECOND))]

    return spoil


class _SameStamp:
    """Every frame carries the stamp of the fault's first one."""

    def __init__(self) -> None:
        self._stamp = 0

    def __call__(self, robot: Robot, messages: Messages, count: int) -> list[Messages]:
        self._stamp = nanoseconds(messages["image"].header.stamp) if count == 0 else self._stamp
        return [robot.messages(self._stamp)]


def _other_lens(_robot: Robot, messages: Messages, _count: int) -> list[Messages]:
    k = messages["info"].k.copy()
    k[0] *= 0.6
    k[4] *= 0.6
    messages["info"].k = k
    return [messages]


def _other_mode(robot: Robot, messages: Messages, _count: int) -> list[Messages]:
    """The camera has changed to half its size, for good: other images, and the camera_info of those."""
    frame = robot.frame()
    size = (frame.camera.width // 2, frame.camera.height // 2)
    depth, masks = frame.depth, frame.masks
    assert depth is not None
    assert masks is not None
    half = dataclasses.replace(
        frame,
        camera=frame.camera.resized(*size),
        rgb=cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA),
        depth=cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST),
        masks=dataclasses.replace(masks, labels=cv2.resize(masks.labels, size, interpolation=cv2.INTER_NEAREST)),
    )
    return [robot.player.messages(half, nanoseconds(messages["image"].header.stamp))]


def _no_depth(_robot: Robot, messages: Messages, _count: int) -> list[Messages]:
    messages["depth"].data = byte_array(np.zeros(len(messages["depth"].data), np.uint8))
    return [messages]


def _black(_robot: Robot, messages: Messages, _count: int) -> list[Messages]:
    messages["image"].data = byte_array(np.zeros(len(messages["image"].data), np.uint8))
    return [messages]


def _five_times(robot: Robot, messages: Messages, _count: int) -> list[Messages]:
    first = nanoseconds(messages["image"].header.stamp)
    step = round(SECOND / robot.rate / 5)
    return [robot.messages(first + i * step) for i in range(5)]


def _no_masks(_robot: Robot, messages: Messages, _count: int) -> list[Messages]:
    return [{part: message for part, message in messages.items() if part != "masks"}]


def _many_masks(_robot: Robot, messages: Messages, _count: int) -> list[Messages]:
    image = messages["image"]
    pixels = np.arange(image.height * image.width).reshape(image.height, image.width)
    labels = (pixels % MASKS + 1).astype(np.int32)
    names = dict.fromkeys(range(1, MASKS + 1), "crumb")
    return [{**messages, "masks": segmented_message(Masks(labels, names), image.header)}]


def _intruder(robot: Robot, messages: Messages, _count: int) -> list[Messages]:
    """Another camera, upside down and elsewhere, publishes on the same topics."""
    other = robot.messages()
    for message in other.values():
        message.header.frame_id = "intruder"
    other["image"].data = byte_array(np.frombuffer(other["image"].data, np.uint8)[::-1])
    other["pose"].pose.position.z += 1.0
    robot.intruder.send(other)
    return [messages]


# -- proofs that a stream without a counter of its own was taken ------------------------------------------------------


def _taken(share: float) -> Callable[[Robot], Check]:
    """At least this share of the images sent goes to the mapper, or is dropped because there are too many."""

    def strike(robot: Robot) -> Check:
        sent, seen = robot.sent, _seen(robot)

        def check() -> str:
            wanted = share * (robot.sent - sent)
            if robot.wait(lambda: _seen(robot) - seen >= wanted):
                return ""
            return f"of {robot.sent - sent} images {_seen(robot) - seen:.0f} were seen"

        return check

    return strike


def _seen(robot: Robot) -> float:
    return robot.figure("frames in") + sum(robot.count(cause) for cause in OVERLOAD)


# -- struck nodes -----------------------------------------------------------------------------------------------------

LISTENER = """
import rclpy
from sensor_msgs.msg import PointCloud2
from ig_ros.nodes.topics import LATCHED
rclpy.init()
node = rclpy.create_node("listener")
node.create_subscription(PointCloud2, "ig/instance_cloud", lambda m: print("a cloud", flush=True), LATCHED)
rclpy.spin(node)
"""


def _lost_subscriber(robot: Robot) -> Check:
    """It has had a cloud and dies without a word; the node goes on publishing to it."""
    with subprocess.Popen([sys.executable, "-c", LISTENER], stdout=subprocess.PIPE) as listener:
        assert listener.stdout is not None
        readable = select.select([listener.stdout], [], [], PATIENCE)[0]
        had = bool(readable and listener.stdout.readline())
        listener.kill()
    if not had:
        return lambda: "the subscriber has not had a cloud before it died"
    return lambda: "" if robot.look() else "no cloud came after the subscriber had died"


def _many_queries(robot: Robot) -> Check:
    caller = robot.client.create_client(QueryObject, "ig/query_object", qos_profile=QOS)
    if not caller.wait_for_service(timeout_sec=10.0):
        return lambda: "the query service is not there"
    asked = [caller.call_async(QueryObject.Request(text="something red")) for _ in range(QUERIES)]

    def check() -> str:
        robot.wait(lambda: all(future.done() for future in asked))
        missing = sum(not future.done() for future in asked)
        return f"{missing} of {QUERIES} queries were not answered" if missing else ""

    return check


def _new_parameters(robot: Robot) -> Check:
    caller = robot.client.create_client(SetParameters, "mapping_node/set_parameters")
    if not caller.wait_for_service(timeout_sec=10.0):
        return lambda: "the parameter service is not there"
    rate = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.5)
    width = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=64)
    wanted = [Parameter(name="training.lr_feature", value=rate), Parameter(name="input.max_width", value=width)]
    asked = [caller.call_async(SetParameters.Request(parameters=wanted)) for _ in range(10)]

    def check() -> str:
        robot.wait(lambda: all(future.done() for future in asked))
        if not all(future.done() for future in asked):
            return "the parameter service did not answer"
        taken = any(result.successful for future in asked for result in future.result().results)
        return "a fixed parameter was changed" if taken else ""

    return check


def _famine(robot: Robot) -> Check:
    os.kill(robot.node.pid, signal.SIGUSR1)
    return lambda: ""


def _full_disk(robot: Robot) -> Check:
    """No file of the node can grow; a save fails with words, and works again when there is room."""
    soft, hard = resource.prlimit(robot.node.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(robot.node.pid, resource.RLIMIT_FSIZE, (FULL_DISK, hard))
    before = _refused_saves(robot)
    answer = robot.client.save("full")

    def check() -> str:
        failed = robot.wait(lambda: _refused_saves(robot) > before)
        resource.prlimit(robot.node.pid, resource.RLIMIT_FSIZE, (soft, hard))
        if answer.success or not failed:
            return "a save onto a full disk was reported as done"
        refused = _refused_saves(robot)
        again = robot.client.save("full")
        there = robot.maps / "full" / MANIFEST
        if not robot.wait(lambda: there.exists() or _refused_saves(robot) > refused) or not there.exists():
            return f"with room again nothing was saved: {again.message}"
        return ""

    return check


def _refused_saves(robot: Robot) -> int:
    return robot.count("save_map_failed") + robot.count("save_map_refused")


FAULTS = (
    Fault("pose jumps 5 m for one frame", "pose_jump", _pose_jump),
    Fault("NaN pose", "bad_pose", _nan_pose),
    Fault("time goes backwards", "clock_back", _shifted(-30.0)),
    Fault("clock jumps forward", "clock_back", _shifted(1000.0), _taken(0.2), after=1.0),
    Fault("duplicate stamps", "image_out_of_order", _SameStamp()),
    Fault("camera_info changes for a moment", "calibration_changed", _other_lens, after=0.5),
    Fault(
        "camera and camera_info change and stay",
        "calibration_changed",
        _other_mode,
        _taken(0.2),
        seconds=SETTLE + 3.0,
        after=SETTLE + 1.0,
    ),
    Fault("depth all zeros", "", _no_depth, _taken(0.5)),
    Fault("all-black images", "image_blank", _black),
    Fault("5x frame rate", "", _five_times, _taken(0.4)),
    Fault("segmenter silent for 20 s", "masks_late", _no_masks, _taken(0.5), seconds=20.0),
    Fault("5,000 masks", "mask_too_large", _many_masks),
    Fault("second publisher, other frame_id", "other_frame_id", _intruder),
    Fault("subscriber disappears", "", strike=_lost_subscriber),
    Fault("100 concurrent queries", "", strike=_many_queries),
    Fault("parameters change while training", "", strike=_new_parameters),
    Fault("trainer out of memory", "out_of_memory", strike=_famine),
    Fault("disk full on save", "", strike=_full_disk),
)

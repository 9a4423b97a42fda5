"""Depth as cameras send it: of another moment, size, unit, range or camera. Never left out without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from nodes.running import Running, running, until
from nodes.scene import small_camera, small_frame
from nodes.sender import Sender, transform_message, with_tf2

from ig_ros.message_decoding import nanoseconds
from ig_ros.nodes.conversions import depth_message, header, image_message, info_message
from ig_ros.types import FloatArray

REFUSED = "a warning with the reason, the image without depth"


@contextmanager
def sending(context: object, **settings: object) -> Iterator[tuple[Running, Sender]]:
    """A running node, and a sender of images."""
    with running(context, pose_max_gap=1.0, **settings) as made:
        sender = Sender(context)
        yield made, sender
        sender.close()


def depths(made: Running) -> list[FloatArray]:
    return [frame.depth for frame in made.mapper.frames if frame.depth is not None]


@pytest.mark.field("wrong", "live depth stamped 25-50 ms beside its image", "used with the pose of its own stamp, told")
@pytest.mark.parametrize("beside", [50, -25])
def test_depth_stamped_beside_its_image_is_used_with_the_pose_of_its_own_stamp(context: object, beside: int) -> None:
    def edit(messages: dict[str, Any]) -> None:
        """The camera goes 1 m/s forward to a wall 2 m away."""
        stamp = nanoseconds(messages["image"].header.stamp)
        seconds = (stamp - sender.begin) / 1e9
        messages["pose"].pose.position.z = seconds
        then = stamp + beside * 1_000_000
        wall = np.full((120, 160), 12.0 - (seconds + beside / 1000), np.float32)
        messages["depth"] = depth_message(wall, header(then, "camera"))

    with sending(context, input__max_depth=20.0) as (made, sender):
        assert sender.send_until(lambda: len(depths(made)) >= 3, edit), made.node.problems.counts()
        assert next(w for w in made.warnings if "depth_offset" in w).count(f"{beside} ms") == 1
        assert made.node.problems.counts()["depth_offset"] == 1
        for frame in made.mapper.frames:
            if frame.depth is not None:
                seconds = (frame.stamp - sender.begin) / 1e9
                middle = float(np.median(frame.depth[frame.depth > 0]))
                assert middle == pytest.approx(12.0 - seconds, abs=1e-3), "as the camera saw it at the image's stamp"


@pytest.mark.field("wrong", "live depth stamped anyhow beside its image", "a warning with offset and sync_tolerance")
def test_depth_stamped_anyhow_beside_its_image_is_told(context: object) -> None:
    shifts = iter([25, 45, 30, 60, 70] * 100)

    def edit(messages: dict[str, Any]) -> None:
        stamp = nanoseconds(messages["image"].header.stamp) + next(shifts) * 1_000_000
        messages["depth"].header = header(stamp, "camera")

    with sending(context) as (made, sender):
        assert sender.send_until(lambda: made.node.problems.counts().get("depth_apart", 0), edit), made.warnings
        [warning] = [w for w in made.warnings if "depth_apart" in w]
        assert "ms after it, and not steadily so" in warning
        assert "sync_tolerance = 0.02 s" in warning


def _small(messages: dict[str, Any]) -> None:
    messages["depth"] = depth_message(np.ones((60, 80), np.float32), messages["depth"].header)


def _integer_metres(messages: dict[str, Any]) -> None:
    messages["depth"] = image_message(np.full((120, 160), 2, np.uint16), "16UC1", messages["depth"].header)


def _other_camera(messages: dict[str, Any]) -> None:
    messages["depth"].header = header(nanoseconds(messages["image"].header.stamp), "camera_depth")


@pytest.mark.parametrize(
    ("edit", "cause", "words"),
    [
        pytest.param(_small, "depth_size", "depth is 80x60, the image 160x120: publish its own calibration as depth/",
                     marks=pytest.mark.field("wrong", "live depth of another size", REFUSED)),
        pytest.param(_integer_metres, "depth_units", "publish 16UC1 in millimetres",
                     marks=pytest.mark.field("wrong", "live 16UC1 depth in metres", REFUSED)),
        pytest.param(_other_camera, "depth_frame", "depth is of 'camera_depth', the image of 'camera', and no depth/",
                     marks=pytest.mark.field("wrong", "live depth of another frame_id, without calibration", REFUSED)),
    ],
)  # fmt: skip
def test_depth_that_cannot_be_used_is_told(context: object, edit: Callable, cause: str, words: str) -> None:
    with sending(context) as (made, sender):
        assert sender.send_until(lambda: made.node.problems.counts().get(cause), edit), made.node.problems.counts()
        [warning] = [w for w in made.warnings if cause in w]
        assert words in warning
        assert "used without depth" in warning
        assert until(lambda: made.mapper.frames)
        assert depths(made) == []


@pytest.mark.field("wrong", "live 32FC1 depth in millimetres", "recognised and converted")
def test_float_depth_in_millimetres_is_converted(context: object) -> None:
    def edit(messages: dict[str, Any]) -> None:
        messages["depth"] = depth_message(1000 * small_frame().depth, messages["depth"].header)

    with sending(context) as (made, sender):
        assert sender.send_until(lambda: depths(made), edit), made.node.problems.counts()
        np.testing.assert_allclose(depths(made)[0], small_frame().depth, rtol=1e-6)


def _of_its_own_camera(messages: dict[str, Any], sender: Sender, distance: float, frame: str) -> None:
    """A wall seen by a depth camera of half the size."""
    head = header(nanoseconds(messages["image"].header.stamp), frame)
    messages["depth"] = depth_message(np.full((60, 80), distance, np.float32), head)
    sender.depth_info.publish(info_message(small_camera(80, 60), head))


@pytest.mark.field("wrong", "live depth of another frame_id and size", "registered by its camera_info and tf")
def test_depth_of_another_camera_is_registered(context: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tf2(monkeypatch)
    ahead = np.eye(4)
    ahead[2, 3] = 0.5  # the depth camera stands half a metre in front of the other
    with sending(context) as (made, sender):
        sender.tf_static.publish(transform_message("camera", "camera_depth", ahead))
        edit = lambda messages: _of_its_own_camera(messages, sender, 1.5, "camera_depth")  # noqa: E731
        assert sender.send_until(lambda: depths(made), edit), made.warnings
        depth = depths(made)[-1]
        assert depth.shape == (120, 160)
        np.testing.assert_allclose(depth[depth > 0], 2.0, rtol=1e-6)
        seen = np.zeros((120, 160), bool)
        seen[16:104, 21:139] = True  # what it sees from there; 90 degrees wide, 2 m from the wall instead of 1.5 m
        assert (depth[seen] > 0).mean() > 0.95


@pytest.mark.field("wrong", "live depth of another frame_id, without tf", REFUSED)
def test_depth_of_another_camera_without_tf_is_refused(context: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tf2(monkeypatch)
    with sending(context) as (made, sender):
        edit = lambda messages: _of_its_own_camera(messages, sender, 1.5, "camera_depth")  # noqa: E731
        in_tf = lambda: [w for w in made.warnings if "depth_frame" in w]  # noqa: E731
        assert sender.send_until(in_tf, edit), made.node.problems.counts()
        assert depths(made) == []
        assert "publish depth registered to the image" in in_tf()[0]


@pytest.mark.field("wrong", "live depth of another size with its own camera_info", "scaled to the image")
def test_depth_of_another_size_with_its_own_calibration_is_used(context: object) -> None:
    with sending(context) as (made, sender):
        edit = lambda messages: _of_its_own_camera(messages, sender, 2.0, "camera")  # noqa: E731
        assert sender.send_until(lambda: depths(made), edit), made.node.problems.counts()
        np.testing.assert_allclose(depths(made)[-1], np.full((120, 160), 2.0), rtol=1e-6)

"""Poses as SLAM systems send them: of other frames, in other messages, without stamps, with holes, by tf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PointStamped, PoseStamped, PoseWithCovarianceStamped, TransformStamped, Vector3
from nav_msgs.msg import Odometry, Path
from nodes import tf2_double
from nodes.running import running, until
from nodes.sender import SECOND, Sender, transform_message, with_tf2
from nodes.test_query_frames import pose

from ig_ros.geometry import T_BODY_OPTICAL, inverse
from ig_ros.message_decoding import matrix_from_pose, nanoseconds
from ig_ros.nodes.conversions import header, pose_message
from ig_ros.nodes.query_client import MapClient
from ig_ros.types import FloatArray

BASE = pose(1.0, 2.0, 0.0, 90.0)  # T_map_base
CAMERA = pose(0.1, 0.0, 0.5, 0.0) @ T_BODY_OPTICAL  # T_base_camera


def odometry(T: FloatArray, stamp: int, child: str = "base_link") -> Odometry:
    message = Odometry(header=header(stamp, "map"), child_frame_id=child)
    message.pose.pose = pose_message(T)
    return message


def stamp_of(messages: dict[str, Any]) -> int:
    return nanoseconds(messages["image"].header.stamp)


@pytest.mark.field("wrong", "live odometry of base_link, images of a camera", "turned to the camera by tf")
def test_odometry_of_the_base_is_turned_to_the_camera(context: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tf2(monkeypatch)
    with running(context, pose_source="odometry") as made:
        sender = Sender(context, "camera_optical")
        outlet = sender.player.create_publisher(Odometry, "odometry", 10)
        sender.tf_static.publish(transform_message("base_link", "camera_optical", CAMERA))
        send = lambda messages: outlet.publish(odometry(BASE, stamp_of(messages)))  # noqa: E731
        assert sender.send_until(lambda: len(made.mapper.frames) >= 3, send), made.node.problems.counts()
        for frame in made.mapper.frames:
            np.testing.assert_allclose(frame.T_world_camera, BASE @ CAMERA, atol=1e-9)
        lifted = BASE.copy()  # a loop closure, told of the same frame
        lifted[2, 3] += 0.3
        graphs = sender.player.create_publisher(Path, "pose_graph", 1)
        path = Path(header=header(0, "map"))
        for frame in made.mapper.frames:
            path.poses.append(sender.player.messages(frame, frame.stamp)["pose"])
            path.poses[-1].pose = pose_message(lifted)
        moved = lambda: made.mapper.frames[0].T_world_camera[2, 3] > 0.7  # noqa: E731
        assert until(moved, between=lambda: graphs.publish(path)), made.node.problems.counts()
        np.testing.assert_allclose(made.mapper.frames[0].T_world_camera, lifted @ CAMERA, atol=1e-6)
        sender.close()


@pytest.mark.field("wrong", "live odometry of base_link, images of a camera, no tf", "refused with the remedy")
def test_odometry_of_the_base_without_tf_is_refused(context: object) -> None:
    with running(context, pose_source="odometry", pose_timeout=0.2) as made:
        sender = Sender(context, "camera_optical")
        outlet = sender.player.create_publisher(Odometry, "odometry", 10)
        send = lambda messages: outlet.publish(odometry(BASE, stamp_of(messages)))  # noqa: E731
        assert sender.send_until(lambda: made.node.problems.counts().get("pose_mounting", 0), send)
        [warning] = [w for w in made.warnings if "pose_mounting" in w]
        assert "odometry is the pose of 'base_link', images are of 'camera_optical'" in warning
        assert "each.pose_is_optical: ['true'] or ['false']" in warning
        assert made.mapper.frames == []
        sender.close()


@pytest.mark.parametrize(
    ("settings", "child", "T_pose_camera"),
    [
        ({"each__pose_is_optical": ["true"]}, "imu", np.eye(4)),
        ({"each__pose_is_optical": ["false"]}, "imu", T_BODY_OPTICAL),
        ({"pose_is_optical": False}, "base_link", T_BODY_OPTICAL),
        ({}, "camera_optical", np.eye(4)),
        ({"camera_frame": "left"}, "left", np.eye(4)),
        ({}, "", np.eye(4)),
    ],
)
def test_who_says_whose_poses_they_are_needs_no_tf(
    context: object, settings: dict[str, Any], child: str, T_pose_camera: FloatArray
) -> None:
    with running(context, pose_source="odometry", **settings) as made:
        sender = Sender(context, "camera_optical")
        outlet = sender.player.create_publisher(Odometry, "odometry", 10)
        send = lambda messages: outlet.publish(odometry(BASE, stamp_of(messages), child))  # noqa: E731
        assert sender.send_until(lambda: made.mapper.frames, send), made.warnings
        np.testing.assert_allclose(made.mapper.frames[0].T_world_camera, BASE @ T_pose_camera, atol=1e-9)
        sender.close()


def _covariant(T: FloatArray, stamp: int) -> PoseWithCovarianceStamped:
    message = PoseWithCovarianceStamped(header=header(stamp, "map"))
    message.pose.pose = pose_message(T)
    return message


def _transform(T: FloatArray, stamp: int) -> TransformStamped:
    return transform_message("map", "camera", T, stamp)


@pytest.mark.parametrize(
    ("source", "kind", "make"),
    [
        pytest.param("pose_with_covariance", PoseWithCovarianceStamped, _covariant,
                     marks=pytest.mark.field("device", "live PoseWithCovarianceStamped as pose", "used")),
        pytest.param("transform", TransformStamped, _transform,
                     marks=pytest.mark.field("device", "live TransformStamped as pose", "used")),
    ],
)  # fmt: skip
def test_poses_in_other_messages(context: object, source: str, kind: type, make: Callable) -> None:
    with running(context, pose_source=source) as made:
        sender = Sender(context)
        outlet = sender.player.create_publisher(kind, source, 10)
        send = lambda messages: outlet.publish(make(BASE, stamp_of(messages)))  # noqa: E731
        assert sender.send_until(lambda: made.mapper.frames, send), made.warnings
        np.testing.assert_allclose(made.mapper.frames[0].T_world_camera, BASE, atol=1e-9)
        sender.close()


@pytest.mark.field("wrong", "live stamps all zero", "refused, cause named")
def test_messages_without_stamps_are_refused(context: object) -> None:
    def edit(messages: dict[str, Any]) -> None:
        for message in messages.values():
            message.header = header(0, message.header.frame_id)

    with running(context) as made:
        sender = Sender(context)
        assert sender.send_until(lambda: made.node.problems.counts().get("no_stamp", 0) > 9, edit)
        assert set(made.node.problems.counts()) == {"no_stamp"}
        assert "has the stamp 0, which tells no time: let its sender stamp its messages" in made.warnings[0]
        assert made.mapper.frames == []
        assert sender.send_until(lambda: made.mapper.frames), "a camera that stamps is used"
        sender.close()


@pytest.mark.field("wrong", "tf silent for 3 s", "no pose in the hole: pose_max_gap holds for tf too")
def test_no_pose_is_made_up_where_tf_was_silent(context: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tf2(monkeypatch)
    with running(context, pose_source="tf", pose_timeout=0.2, odom_frame="") as made:
        sender = Sender(context, "camera_optical")
        sender.tf_static.publish(transform_message("base_link", "camera_optical", CAMERA))
        for tenth in [*range(11), *range(40, 51)]:  # the base drives 1 m/s and is not heard from 1 to 4 s
            T = pose(tenth / 10, 0.0, 0.0, 0.0)
            sender.tf.publish(transform_message("map", "base_link", T, sender.begin + tenth * SECOND // 10))
        assert until(lambda: sender.tf.get_subscription_count())
        seconds = [0.0, 0.55, 1.0, 1.5, 2.5, 3.9, 4.0, 4.5]
        stamps = [sender.send(s) for s in seconds]
        settled = lambda: len(made.mapper.frames) + made.node.problems.counts().get("pose_gap", 0) == 8  # noqa: E731
        assert until(settled), made.node.problems.counts()
        assert [f.stamp for f in made.mapper.frames] == [
            t for t, s in zip(stamps, seconds, strict=True) if s in (0.0, 0.55, 1.0, 4.0, 4.5)
        ]
        for frame in made.mapper.frames:
            x = (frame.stamp - sender.begin) / SECOND
            np.testing.assert_allclose(frame.T_world_camera, pose(x, 0, 0, 0) @ CAMERA, atol=1e-6)
        [warning] = [w for w in made.warnings if "pose_gap" in w]
        assert "tf of 'base_link' was silent for 3.00 s around the image, pose_max_gap is 0.5 s" in warning
        sender.close()


def test_tf_is_heard_by_one_buffer_alone(context: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tf2(monkeypatch)
    with running(context, pose_source="tf", cameras=["a", "b"]):
        assert len(tf2_double.made) == 1


@pytest.mark.field("wrong", "live answer in a moving frame", "its pose at the stamp that the answer carries")
def test_an_answer_in_a_moving_frame_is_of_the_stamp_that_it_carries(
    context: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tf2(monkeypatch)
    with running(context, mask_timeout=1.0, depth_timeout=1.0) as made:
        sender, client = Sender(context, masks=True), MapClient(context=context)
        whole = lambda: [f for f in made.mapper.frames if f.masks and f.depth is not None]  # noqa: E731
        assert sender.send_until(whole), made.node.problems.counts()
        assert client.instantiate().success
        [mug] = client.query("mug").objects
        for tenth in range(11):  # the base has driven 1 m since
            T = pose(tenth / 10, 0.0, 0.0, 30.0)
            sender.tf.publish(transform_message("map", "base_link", T, sender.begin + tenth * SECOND // 10))
        found = lambda: client.query("mug", frame_id="base_link").objects  # noqa: E731
        assert until(lambda: found() and nanoseconds(found()[0].header.stamp) == sender.begin + SECOND)
        [seen] = found()
        T_base_map = inverse(pose(1.0, 0.0, 0.0, 30.0))
        np.testing.assert_allclose(matrix_from_pose(seen), T_base_map @ matrix_from_pose(mug), atol=1e-6)
        then = PoseStamped(header=header(sender.begin, "base_link"))  # where the mug was for the base at the beginning
        then.pose = pose_message(inverse(pose(0.0, 0.0, 0.0, 30.0)) @ matrix_from_pose(mug))
        size = Vector3(x=0.2, y=0.2, z=0.2)
        assert [o.label for o in client.query("", within=then, within_size=size).objects] == ["mug"]
        place = PointStamped(header=then.header, point=then.pose.position)
        assert client.object_at(point=place).object.label == "mug"
        then.header = header(0, "base_link")  # now
        assert client.query("", within=then, within_size=size).objects == []
        here = PoseStamped(header=header(0, "base_link"), pose=pose_message(T_BODY_OPTICAL))
        view = client.render_view(pose=here)
        assert nanoseconds(view.color.header.stamp) == sender.begin + SECOND, view.message
        then.header = header(sender.begin + 9 * SECOND, "base_link")
        assert "extrapolation into the future" in client.query("", within=then, within_size=size).message
        sender.close()
        client.destroy_node()

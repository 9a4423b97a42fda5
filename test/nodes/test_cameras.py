"""Several cameras into one map, and poses that are corrected afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import Pose, PoseStamped, PoseWithCovariance
from nav_msgs.msg import Odometry, Path
from nodes.running import running, until
from nodes.scene import small_frame

from ig_ros.config import EachCameraConfig
from ig_ros.errors import ConfigError
from ig_ros.geometry import T_BODY_OPTICAL
from ig_ros.nodes.conversions import header, pose_message
from ig_ros.nodes.player import Player, PlayOptions


def test_two_cameras_each_with_its_own_calibration_poses_and_companions(context: object) -> None:
    with running(context, cameras=["front", "rear"], depth_timeout=1.0, mask_timeout=1.0) as made:
        front = Player(PlayOptions(frame_id="front_optical"), context=context, namespace="front")
        rear = Player(PlayOptions(frame_id="rear_optical", depth=False, masks=False), context=context, namespace="rear")
        assert front.wait_for_subscribers()
        assert rear.wait_for_subscribers()

        def send() -> None:
            stamp = front.get_clock().now().nanoseconds  # one trigger for both
            front.publish(small_frame(0), stamp)
            rear.publish(small_frame(9, 80, 60), stamp)

        by = lambda name: [f for f in made.mapper.frames if f.source == name]  # noqa: E731
        # A frame may go on without a companion: before the first one was seen, or when best-effort DDS drops it.
        whole = lambda: [f for f in by("front") if f.depth is not None and f.masks is not None]  # noqa: E731
        assert until(lambda: min(len(whole()), len(by("rear"))) >= 4, between=send), made.node.problems.counts()
        for frame in by("front"):
            assert (frame.camera.width, frame.T_world_camera[0, 3]) == (160, 0.0)
        for frame in by("rear"):
            assert (frame.camera.width, frame.T_world_camera[0, 3]) == (80, -0.18)
            assert frame.depth is None
            assert frame.masks is None
        stamps = [f.stamp for f in made.mapper.frames]
        assert len(set(stamps)) == len(stamps), "one trigger for both, and still every frame has a stamp of its own"
        assert set(made.node.problems.counts()) <= {"depth_late", "masks_late"}
        front.destroy_node()
        rear.destroy_node()


def test_a_pose_graph_moves_the_frames_that_it_names_and_those_between(context: object) -> None:
    with running(context) as made:
        player = Player(PlayOptions(), context=context)
        graphs = player.create_publisher(Path, "pose_graph", 1)
        assert player.wait_for_subscribers()
        begin = player.get_clock().now().nanoseconds
        stamps = [begin + i * 100_000_000 for i in range(9)]
        for i, stamp in enumerate(stamps):
            player.publish(small_frame(i), stamp)
            assert until(lambda i=i: len(made.mapper.frames) > i), made.node.problems.counts()
        corrected = small_frame(8).T_world_camera.copy()
        corrected[1, 3] += 0.4
        graph = Path(header=header(stamps[8], "map"))
        for stamp, T in ((stamps[0], small_frame(0).T_world_camera), (stamps[8], corrected)):
            graph.poses.append(PoseStamped(header=header(stamp, "map"), pose=pose_message(T)))
        moved = lambda: made.mapper.frames[8].T_world_camera[1, 3] != 0.0  # noqa: E731
        assert until(moved, between=lambda: graphs.publish(graph))
        height = [frame.T_world_camera[1, 3] for frame in made.mapper.frames]
        np.testing.assert_allclose(height, np.linspace(0, 0.4, 9), atol=2e-3)
        for wrong in (Path(header=header(1, "odom")), Path(header=header(1, "map"), poses=[PoseStamped()])):
            before = dict(made.node.problems.counts())
            assert until(lambda b=before: made.node.problems.counts() != b, between=lambda w=wrong: graphs.publish(w))
        assert {"pose_graph_frame", "pose_graph_stamps"} <= set(made.node.problems.counts())
        player.destroy_node()


def test_each_camera_has_its_own_source_of_poses_and_its_own_corrections(context: object) -> None:
    settings = {"each.pose_source": ["pose", "odometry"], "each.pose_is_optical": ["", "false"]}
    with running(context, cameras=["one", "two"], **settings) as made:
        one = Player(PlayOptions(), context=context, namespace="one")
        two = Player(PlayOptions(), context=context, namespace="two")
        odometry = two.create_publisher(Odometry, "odometry", 10)
        graphs = two.create_publisher(Path, "pose_graph", 1)
        assert one.wait_for_subscribers()
        assert two.wait_for_subscribers()
        wrong = small_frame(20)  # its pose is on the topic that is not read
        body = np.eye(4)
        body[:3, 3] = (0.0, 3.0, 0.5)
        stamps: list[int] = []

        def send() -> None:
            stamps.append(one.get_clock().now().nanoseconds)
            one.publish(small_frame(len(stamps)), stamps[-1])
            odometry.publish(Odometry(header=header(stamps[-1], "map"), pose=covariant(pose_message(body))))
            two.publish(wrong, stamps[-1])

        by = lambda name: [f for f in made.mapper.frames if f.source == name]  # noqa: E731
        assert until(lambda: min(len(by("one")), len(by("two"))) >= 3, between=send), made.node.problems.counts()
        for frame in by("two"):
            np.testing.assert_allclose(frame.T_world_camera, body @ T_BODY_OPTICAL, atol=1e-9)
        for frame in by("one"):
            np.testing.assert_allclose(frame.T_world_camera[1:], np.eye(4)[1:], atol=1e-9)
        before = {f.stamp: f.T_world_camera for f in by("one")}
        body[2, 3] += 0.4  # robot two closes a loop
        graph = Path(header=header(stamps[-1], "map"))
        graph.poses = [PoseStamped(header=header(f.stamp, "map"), pose=pose_message(body)) for f in by("two")]
        moved = lambda: all(abs(f.T_world_camera[2, 3] - 0.9) < 1e-6 for f in by("two"))  # noqa: E731
        assert until(moved, between=lambda: graphs.publish(graph)), made.node.problems.counts()
        for frame in by("one"):
            np.testing.assert_array_equal(frame.T_world_camera, before.get(frame.stamp, frame.T_world_camera))
        one.destroy_node()
        two.destroy_node()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("pose_source", ("gps",), "each.pose_source"),
        ("pose_is_optical", ("perhaps",), "each.pose_is_optical"),
        ("camera_frame", ("a", "b", "c"), "3 entries for 2 cameras"),
    ],
)
def test_strange_values_of_one_camera_are_refused_by_name(name: str, value: tuple[str, ...], message: str) -> None:
    each = EachCameraConfig(**{name: value})
    with pytest.raises(ConfigError, match=message):
        (each.check(2), each.source(0, "pose"), each.optical(0, True))


def covariant(pose: Pose) -> PoseWithCovariance:
    return PoseWithCovariance(pose=pose)

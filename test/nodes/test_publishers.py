"""What is latched is the newest, whoever subscribes when; and it is made once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from nodes.doubles import MaskMapper
from nodes.running import Running, running, until
from nodes.scene import small_frame
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from visualization_msgs.msg import Marker

from ig_ros.geometry import inverse
from ig_ros.message_decoding import matrix_from_pose
from ig_ros.nodes import publishers
from ig_ros.nodes.clouds import points_from_cloud
from ig_ros.nodes.player import Player, PlayOptions
from ig_ros.nodes.query_client import MapClient
from ig_ros.nodes.topics import LATCHED, OUT
from ig_ros.scaffold.pose_refinement import MapCorrection
from ig_ros.types import Frame

TOPICS = {topic.name: topic.kind for topic in OUT if topic.latched}
SECOND = 1_000_000_000  # ns


def late(context: object) -> dict[str, Any]:
    """What somebody is given who subscribes to every latched topic now."""
    node, got = Node("late", context=context), {}
    for name, kind in TOPICS.items():
        node.create_subscription(kind, name, lambda message, name=name: got.update({name: message}), LATCHED)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    until(lambda: got.keys() == TOPICS.keys(), 5.0, lambda: executor.spin_once(0.05))
    executor.shutdown()
    node.destroy_node()
    return got


class Mapped:
    """A running node, its camera and a client; nobody listens to its map."""

    def __init__(self, made: Running, context: object) -> None:
        self.made, self.drawn, self.stamp = made, 0, 0
        self.player, self.client = Player(PlayOptions(), context=context), MapClient(context=context)
        for subscription in list(self.client.subscriptions):
            self.client.destroy_subscription(subscription)
        assert self.player.wait_for_subscribers()

    def see(self, index: int) -> int:
        """Have a place mapped and grouped; the stamp of its image."""
        mapper = self.made.mapper
        assert isinstance(mapper, MaskMapper)
        begin = self.stamp

        def show() -> None:
            self.stamp += SECOND
            self.player.publish(small_frame(index), self.stamp)
            until(lambda: complete(mapper.frames, begin), 0.5)

        assert until(lambda: complete(mapper.frames, begin), 15.0, show)
        assert self.client.instantiate().success
        return mapper.frames[-1].stamp


@pytest.fixture(scope="module")
def mapped(context: object) -> Iterator[Mapped]:
    with pytest.MonkeyPatch.context() as patch, running(context, publish_period=0.05) as made:
        robot, render = Mapped(made, context), publishers.rendered_images

        def count(*given: Any) -> Any:
            robot.drawn += 1
            return render(*given)

        patch.setattr(publishers, "rendered_images", count)
        yield robot
        robot.player.destroy_node()
        robot.client.destroy_node()


def complete(frames: list[Frame], after: int) -> bool:
    """Whether the newest frame is of then, with depth and masks."""
    newest = frames[-1] if frames else None
    return newest is not None and newest.stamp > after and newest.depth is not None and newest.masks is not None


def stamp_of(message: Any) -> int:
    return message.header.stamp.sec * SECOND + message.header.stamp.nanosec


row = pytest.mark.field("ros", "latched topics, subscribed to after more mapping or a reset", "always the newest map")


@row
def test_a_late_subscriber_gets_the_newest_map_though_nobody_has_listened(mapped: Mapped, context: object) -> None:
    assert mapped.client.reset().success
    mapped.see(0)
    assert mapped.client.query("a mug").success
    until(lambda: mapped.drawn)
    newest = mapped.see(20)
    assert until(lambda: mapped.drawn == 2)
    got = late(context)
    assert got.keys() == TOPICS.keys()
    dated = {name: m for name, m in got.items() if hasattr(m, "header")} | {"markers": got["ig/markers"].markers[1]}
    assert {name: stamp_of(message) for name, message in dated.items()} == dict.fromkeys(dated, newest)
    assert [o.label for o in got["ig/objects"].objects] == ["mug", "plate"]
    assert {m.ns for m in got["ig/query_markers"].markers[1:]} == {"query"}
    assert len(got["ig/camera_path"].poses) == 2


@row
def test_after_a_reset_it_gets_an_empty_one(mapped: Mapped, context: object) -> None:
    mapped.see(0)
    assert mapped.client.query("a mug").success
    assert until(lambda: len(late(context)["ig/objects"].objects) == 2)
    assert mapped.client.reset().success
    assert until(lambda: len(late(context)["ig/objects"].objects) == 0)
    got = late(context)
    assert got.keys() == TOPICS.keys()
    assert got["ig/instance_cloud"].width == got["ig/instance_colors"].width == len(got["ig/camera_path"].poses) == 0
    for name in ("ig/markers", "ig/query_markers", "ig/cameras"):
        assert [marker.action for marker in got[name].markers] == [Marker.DELETEALL]
    for name in ("ig/rendered_image", "ig/rendered_instances"):
        assert (got[name].width, got[name].height) == (160, 120)
        assert not np.any(got[name].data)


def test_pictures_are_drawn_once_for_a_map(mapped: Mapped, context: object) -> None:
    before = mapped.drawn
    mapped.see(0)
    assert until(lambda: mapped.drawn > before)
    late(context)
    mapped.client.listen(0.5)  # ten looks for something new
    assert mapped.drawn == before + 1


@pytest.mark.field("ros", "frame_id of rendered images", "the optical frame and the stamp of the image they repeat")
def test_rendered_images_are_in_the_optical_frame_of_their_camera(mapped: Mapped, context: object) -> None:
    newest = mapped.see(8)
    assert until(lambda: stamp_of(late(context)["ig/objects"]) == newest)
    got = late(context)
    for name in ("ig/rendered_image", "ig/rendered_instances"):
        assert (got[name].header.frame_id, stamp_of(got[name])) == ("camera", newest)
    assert bytes(got["ig/rendered_image"].data) != bytes(got["ig/rendered_instances"].data)


def test_where_poses_have_drifted_topics_and_answers_agree(mapped: Mapped, context: object) -> None:
    mapper, motion = mapped.made.mapper, np.eye(4)
    motion[:3, 3] = (0.04, -0.02, 0.01)
    assert isinstance(mapper, MaskMapper)
    mapped.see(0)
    [plain] = mapped.client.query("a mug").objects
    mapper.moved = MapCorrection(motion)
    newest = mapped.see(0)
    assert until(lambda: stamp_of(late(context)["ig/objects"]) == newest)
    mapper.moved = MapCorrection()
    got = late(context)
    [mug] = [o for o in got["ig/objects"].objects if o.label == "mug"]
    np.testing.assert_allclose(matrix_from_pose(mug.pose), inverse(motion) @ matrix_from_pose(plain.pose), atol=1e-6)
    moved = got["ig/map_correction"]
    shift = moved.transform.translation
    assert (moved.header.frame_id, moved.child_frame_id) == ("map", "map_refined")
    np.testing.assert_allclose([shift.x, shift.y, shift.z], inverse(motion)[:3, 3])
    points = points_from_cloud(got["ig/instance_cloud"])
    middle = np.array([np.median(points[a][points["instance_id"] == mug.id]) for a in "xyz"])
    assert np.abs(middle - matrix_from_pose(mug.pose)[:3, 3]).max() < 0.03


@pytest.mark.field("ros", "PointCloud2.is_dense", "true: a cloud of ours holds no NaN")
def test_the_colours_of_the_objects_are_not_those_of_the_cloud(mapped: Mapped, context: object) -> None:
    mapped.see(0)
    assert until(lambda: late(context)["ig/instance_cloud"].width)
    got = late(context)
    assert got["ig/instance_cloud"].is_dense
    assert got["ig/instance_colors"].is_dense
    plain, colored = (points_from_cloud(got[name]) for name in ("ig/instance_cloud", "ig/instance_colors"))
    for field in ("x", "y", "z", "instance_id", "confidence"):
        np.testing.assert_array_equal(plain[field], colored[field])
    assert (plain["rgb"] != colored["rgb"]).any()

"""Queries in frames other than the map's: where the answer stands there, and from where the words are meant."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from helpers import CARDS, orbit, small_config
from scipy.spatial.transform import Rotation

from ig_ros.config import LimitsConfig
from ig_ros.errors import FrameError, QueryError
from ig_ros.geometry import inverse, transform
from ig_ros.mapper import Mapper
from ig_ros.message_decoding import matrix_from_pose
from ig_ros.nodes.clouds import points_from_cloud
from ig_ros.nodes.conversions import pose_message
from ig_ros.nodes.message_checks import MessageLimits
from ig_ros.nodes.query_service import FrameFinder, QueryService
from ig_ros.scaffold.pose_refinement import MapCorrection
from ig_ros.srv import QueryObject
from ig_ros.types import FloatArray


def pose(x: float, y: float, z: float, yaw: float) -> FloatArray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", yaw, degrees=True).as_matrix()
    T[:3, 3] = (x, y, z)
    return T


BODY = pose(-1.0, 0.0, 0.2, 90.0)  # west of the cards, looking north
FRAMES = {  # T_map_frame
    "base_link": BODY,
    "odom": pose(0.0, 3.0, 0.0, -90.0),
    "camera_optical": BODY @ np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]]),
}


class FakeTf:
    """Knows FRAMES."""

    def stamped(self, target: str, source: str, stamp: int | None) -> tuple[FloatArray, int]:
        assert target == "map"
        if source not in FRAMES:
            raise FrameError("no_pose", f"tf knows no '{source}'")
        return FRAMES[source], stamp or 0


class Answering:
    """A mapper whose snapshot and query are those of a finished map."""

    def __init__(self, mapper: Mapper) -> None:
        self.snapshot = lambda: mapper.latest
        self.query = mapper.query


@pytest.fixture(scope="module")
def service() -> QueryService:
    mapper = Mapper(small_config())
    for frame in orbit(8):
        mapper.add_frame(frame)
    for _ in range(60):
        mapper.train_step()
    mapper.instantiate()
    return QueryService(Answering(mapper), FrameFinder("map", FakeTf()), MessageLimits(LimitsConfig()))


def ask(service: QueryService, text: str, **request: object) -> QueryObject.Response:
    response = QueryObject.Response()
    service.query(QueryObject.Request(text=text, **request), response)
    return response


@pytest.mark.parametrize("frame", FRAMES)
def test_box_cloud_and_support_are_those_of_the_map_seen_from_the_frame(service: QueryService, frame: str) -> None:
    [here] = ask(service, "red card", with_cloud=True, max_results=1).objects
    [there] = ask(service, "red card", with_cloud=True, max_results=1, frame_id=frame).objects
    assert (there.header.frame_id, there.cloud.header.frame_id, there.id) == (frame, frame, here.id)
    T = inverse(FRAMES[frame])
    np.testing.assert_allclose(matrix_from_pose(there.pose), T @ matrix_from_pose(here.pose), atol=1e-6)
    assert (there.size, there.support_id, there.clearance) == (here.size, here.support_id, here.clearance)
    ours, theirs = points_from_cloud(here.cloud), points_from_cloud(there.cloud)
    xyz, moved = (np.stack([p[a] for a in "xyz"], axis=1).astype(np.float64) for p in (ours, theirs))
    np.testing.assert_allclose(moved, transform(T, xyz), atol=1e-4)
    normal, turned = (np.stack([p[f"normal_{a}"] for a in "xyz"], axis=1) for p in (ours, theirs))
    np.testing.assert_allclose(turned, normal @ T[:3, :3].T, atol=1e-4)
    free, seen = (np.array([o.free_side.x, o.free_side.y, o.free_side.z]) for o in (here, there))
    np.testing.assert_allclose(seen, T[:3, :3] @ free, atol=1e-5)
    plane, moved_plane = np.array(here.support_plane), np.array(there.support_plane)
    assert plane.any(), "the card lies on the ground"
    foot = xyz - (xyz @ plane[:3] + plane[3])[:, None] * plane[:3]  # of each point on the plane
    np.testing.assert_allclose(transform(T, foot) @ moved_plane[:3] + moved_plane[3], 0.0, atol=1e-5)


@pytest.mark.parametrize(("frame", "nearest", "left"), [("base_link", 1, 1), ("camera_optical", 1, 1), ("odom", 1, 2)])
def test_the_frame_of_the_answer_is_where_it_is_meant_from(
    service: QueryService, frame: str, nearest: int, left: int
) -> None:
    """The robot stands west: nearest is the red card (x = -0.25); odom looks south at them."""
    asked = {"frame_id": frame, "max_results": 1}
    if frame != "odom":
        assert [o.label for o in ask(service, "the nearest thing", **asked).objects] == [CARDS[nearest][0]]
        assert [o.label for o in ask(service, "the thing nearest to me", **asked).objects] == [CARDS[nearest][0]]
    assert [o.label for o in ask(service, "the leftmost thing", **asked).objects] == [CARDS[left][0]]


def test_a_viewpoint_of_its_own_wins_over_the_frame(service: QueryService) -> None:
    east = PoseStamped(pose=pose_message(pose(1.0, 0.0, 0.2, 90.0)))
    east.header.frame_id = "map"
    [found] = ask(service, "the nearest thing", frame_id="base_link", viewpoint=east, max_results=1).objects
    assert (found.label, found.header.frame_id) == (CARDS[2][0], "base_link")
    east.header.frame_id = "base_link"  # one metre right of the robot and on, 4 m east of the cards
    east.pose = pose_message(pose(0.0, -5.0, 0.0, 0.0))
    [found] = ask(service, "the nearest thing", viewpoint=east, max_results=1).objects
    assert found.label == CARDS[2][0]


def test_an_unknown_frame_is_refused(service: QueryService) -> None:
    with pytest.raises(QueryError, match="unknown frame_id 'moon'"):
        ask(service, "red card", frame_id="moon")


@pytest.mark.parametrize("frame", ["", "map", "base_link"])
def test_where_poses_have_drifted_the_answer_is_right_for_the_robot(service: QueryService, frame: str) -> None:
    """The robot stands at T_map_slam times its pose: what it is told must lie as far from it as the map says."""
    T_map_slam, tf = pose(0.05, -0.03, 0.01, 2.0), FRAMES.get(frame, np.eye(4))
    finder = FrameFinder("map", FakeTf(), lambda: MapCorrection(T_map_slam))
    drifted = QueryService(service._mapper, finder, MessageLimits(LimitsConfig()))
    [here] = ask(service, "red card", max_results=1).objects
    [there] = ask(drifted, "red card", max_results=1, frame_id=frame).objects
    wanted = inverse(tf) @ inverse(T_map_slam) @ matrix_from_pose(here.pose)
    np.testing.assert_allclose(matrix_from_pose(there.pose), wanted, atol=1e-9)
    around = PoseStamped(pose=there.pose)
    around.header.frame_id = frame or "map"
    box = {"within": around, "within_size": there.size, "frame_id": frame}
    assert [o.id for o in ask(drifted, "", **box).objects] == [here.id], "an answer's box finds it again"

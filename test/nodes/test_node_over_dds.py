"""Player, node and query client as three processes over DDS; the mapper is replaced, everything of ROS is real."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped, PoseStamped, Vector3
from nodes.processes import ROOT, Start, stop
from nodes.running import until
from nodes.scene import small_frame, write_scene

from ig_ros.msg import Object
from ig_ros.nodes.clouds import points_from_cloud
from ig_ros.nodes.executor import THREADS
from ig_ros.nodes.query_client import MapClient
from ig_ros.srv import LoadMap


@pytest.fixture(scope="module")
def played(
    start: Start, context: object, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.Popen, MapClient]:
    """A node that has received every frame of a small scene from a player."""
    scene = write_scene(tmp_path_factory.mktemp("scene"), frames=16)
    maps = tmp_path_factory.mktemp("maps")
    node = start("test/nodes/doubles.py", "--ros-args", "-p", f"map_directory:={maps}", "-p", "diagnostics_period:=0.2",
                 "-p", "publish_period:=0.2")  # fmt: skip
    player = start("-m", "ig_ros.cli", "play", str(scene), "--rate", "6", "--hold-out")
    client = MapClient(context=context)
    deadline = time.monotonic() + 40
    while int(client.diagnostics.get("frames in", 0)) < 14 and time.monotonic() < deadline:
        client.listen(0.2)
    assert int(client.diagnostics["frames in"]) == 14, node.log_path.read_text() + player.log_path.read_text()
    assert player.wait(5) == 0
    return node, client


def test_every_frame_arrives_with_depth_and_masks(played) -> None:
    _, client = played
    assert client.diagnostics["dropped: with_depth"] == "1"
    assert client.diagnostics["dropped: with_masks"] == "1"
    assert not [key for key in client.diagnostics if key.startswith("problem:")]


def test_query_before_any_instance_says_so_and_afterwards_finds(played) -> None:
    _, client = played
    early = client.query("a mug")
    assert not early.success
    assert "no instantiation yet" in early.message
    assert client.instantiate().success
    answer = client.query("a mug", with_cloud=True)
    assert answer.success
    [found] = answer.objects
    assert found.label == "mug"
    assert found.header.frame_id == "map"
    points = points_from_cloud(found.cloud)
    assert len(points) > 50
    assert set(points["instance_id"]) == {found.id}
    center = np.array([found.pose.position.x, found.pose.position.y, found.pose.position.z])
    for axis, name in enumerate("xyz"):
        assert points[name].min() <= center[axis] <= points[name].max()


def test_a_cloud_for_grasping_has_normals_and_a_free_side(played) -> None:
    _, client = played
    client.instantiate()
    [mug] = client.query("a mug", with_cloud=True).objects
    points = points_from_cloud(mug.cloud)
    length = np.sqrt(sum(points[f"normal_{a}"].astype(np.float64) ** 2 for a in "xyz"))
    assert np.allclose(length, 1, atol=1e-4)
    assert np.isclose(np.hypot(np.hypot(mug.free_side.x, mug.free_side.y), mug.free_side.z), 1)
    assert not client.query("a mug").objects[0].cloud.width


def test_queries_by_id_and_within_a_box(played) -> None:
    _, client = played
    client.instantiate()
    [mug] = client.query("a mug").objects
    assert [o.label for o in client.query("", id=mug.id).objects] == ["mug"]
    around = PoseStamped(pose=mug.pose)
    assert [o.label for o in client.query("", within=around, within_size=Vector3(x=0.2, y=0.2, z=0.2)).objects] == [
        "mug"
    ]
    assert not client.query("plate", within=around, within_size=Vector3(x=0.2, y=0.2, z=0.2)).success


def test_object_at_a_point_and_behind_a_pixel(played) -> None:
    _, client = played
    client.instantiate()
    [mug] = client.query("a mug", with_cloud=True).objects
    points = points_from_cloud(mug.cloud)
    place = PointStamped(point=Point(**{a: float(np.median(points[a])) for a in "xyz"}))
    at_point = client.object_at(point=place)
    assert at_point.object.id == mug.id, at_point.message
    frame = small_frame(14)
    rows, cols = np.nonzero(frame.masks.labels == 2)
    at_pixel = client.object_at(by_pixel=True, u=float(cols.mean()), v=float(rows.mean()))
    assert at_pixel.object.label == "plate", at_pixel.message
    assert not client.object_at(by_pixel=True, u=-9.0, v=0.0).success
    assert "no object at" in client.object_at(point=PointStamped(point=Point(z=9.0))).message


def test_a_click_is_answered_with_the_object(played) -> None:
    _, client = played
    client.instantiate()
    [mug] = client.query("a mug", with_cloud=True).objects
    points = points_from_cloud(mug.cloud)
    got: list[Object] = []
    client.create_subscription(Object, "ig/clicked_object", lambda message: got.append(message), 1)
    publisher = client.create_publisher(PointStamped, "clicked_point", 1)
    message = PointStamped(point=Point(**{a: float(np.median(points[a])) for a in "xyz"}))
    message.header.frame_id = "map"
    deadline = time.monotonic() + 10
    while not got and time.monotonic() < deadline:
        publisher.publish(message)
        client.listen(0.3)
    assert got
    assert got[0].label == "mug"


def test_a_rendered_view_shows_the_objects_asked_for(played) -> None:
    _, client = played
    client.instantiate()
    pose = PoseStamped()
    pose.pose.position.x = -0.28
    view = client.render_view(pose=pose)
    assert view.success, view.message
    assert (view.color.encoding, view.depth.encoding, view.instances.encoding) == ("rgb8", "32FC1", "16UC1")
    ids = np.frombuffer(view.instances.data, np.uint16)
    assert set(ids) == {0, 1, 2}
    assert set(np.frombuffer(client.render_view(pose=pose, without=[1]).instances.data, np.uint16)) == {0, 2}
    assert "object 77" in client.render_view(pose=pose, only=[77]).message


def test_a_removed_object_is_gone(played) -> None:
    _, client = played
    client.instantiate()
    [mug] = client.query("a mug").objects
    assert client.remove_object(mug.id).success
    assert not client.query("a mug").success
    assert "not in the map" in client.remove_object(mug.id).message


def test_objects_and_cloud_are_latched(played) -> None:
    _, client = played
    client.instantiate()
    time.sleep(0.5)
    late = MapClient(context=client.context)
    late.listen(1.0)
    assert [o.label for o in late.objects.objects] == ["mug", "plate"]
    assert late.cloud.width > 100
    assert {f.name for f in late.cloud.fields} == {"x", "y", "z", "rgb", "instance_id", "confidence"}
    late.destroy_node()


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"text": "  "}, "empty query text"),
        ({"text": "mug", "frame_id": "moon"}, "unknown frame_id 'moon'"),
        ({"text": "QUERY ERROR"}, "refused by the mapper"),
        ({"text": "unicorn"}, "no object fits"),
    ],
)
def test_refused_queries_say_why(played, request_: dict, reason: str) -> None:
    _, client = played
    client.instantiate()
    answer = client.query(**request_)
    assert not answer.success
    assert reason in answer.message


def test_maps_are_saved_and_loaded_by_name(played) -> None:
    _, client = played
    assert client.save("kitchen").success
    assert client.load("kitchen").success
    outside = client.save("../elsewhere")
    assert not outside.success
    assert "map_directory" in outside.message
    missing = client.load("nowhere")
    assert not missing.success
    assert "there is no map" in missing.message


@pytest.mark.field(
    "ros", "save_map and load_map that take longer", "answered when it is done; other calls are answered meanwhile"
)
def test_a_long_command_is_answered_when_it_is_done_and_others_meanwhile(played) -> None:
    _, client = played
    assert client.save("slow").success
    loads = client.create_client(LoadMap, "ig/load_map")
    assert loads.wait_for_service(10.0)
    begin = time.monotonic()
    loading = [loads.call_async(LoadMap.Request(name="slow")) for _ in range(THREADS + 1)]
    assert client.query("a mug") is not None
    assert time.monotonic() - begin < 0.9
    assert not any(future.done() for future in loading)
    assert until(lambda: all(future.done() for future in loading), between=lambda: client.listen(0.05))
    assert time.monotonic() - begin > 0.9
    assert {(f.result().success, f.result().message) for f in loading} == {(True, "loaded 'slow'")}


def test_query_client_prints_the_object(played) -> None:
    _, client = played
    client.instantiate()
    asked = [sys.executable, "-m", "ig_ros.nodes.query_client", "a plate"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "plate" in done.stdout


def test_the_grasp_example_prints_a_pose(played) -> None:
    _, client = played
    client.instantiate()
    asked = [sys.executable, "examples/grasp_client.py", "the mug", "--opening", "9"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "top grasp in 'map': position" in done.stdout
    assert subprocess.run([*asked[:2], "unicorn"], cwd=ROOT, capture_output=True, timeout=30).returncode == 2


def test_reset_empties_what_is_published(played) -> None:
    _, client = played
    client.instantiate()
    assert client.reset().success
    client.listen(1.0)
    assert len(client.objects.objects) == 0
    assert client.cloud.width == 0
    assert not client.query("mug").success


def test_interrupt_ends_the_node_quickly(played) -> None:
    node, _ = played
    status, seconds = stop(node)
    assert status == 0, node.log_path.read_text()
    assert seconds < 2.0

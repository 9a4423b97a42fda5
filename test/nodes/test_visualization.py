"""What RViz shows: frusta that look where the camera looked, answers in a namespace of their own, one colour per id."""

from __future__ import annotations

import dataclasses

import numpy as np
from helpers import CAMERA, orbit, small_config
from visualization_msgs.msg import Marker

from ig_ros.colors import id_colors
from ig_ros.geometry import project
from ig_ros.mapper import Mapper
from ig_ros.msg import Object
from ig_ros.nodes.clouds import points_from_cloud, snapshot_cloud
from ig_ros.nodes.conversions import header
from ig_ros.nodes.object_messages import markers_message
from ig_ros.nodes.publishers import CameraPath
from ig_ros.nodes.visualization import FRUSTA, frusta_message, highlight_message, in_object_colors, rendered_images
from ig_ros.types import ObjectInstance

HEAD = header(7, "map")


def test_frusta_span_the_image_and_are_few_however_long_the_path_is() -> None:
    path = CameraPath("map")
    frames = orbit(3)
    for i in range(200):
        T = frames[i % 3].T_world_camera.copy()
        T[0, 3] += i
        path.add(dataclasses.replace(frames[0], T_world_camera=T))
    markers = frusta_message(path.poses(), CAMERA, HEAD).markers
    assert markers[0].action == Marker.DELETEALL
    assert len(markers) == 1 + FRUSTA
    assert {m.ns for m in markers[1:]} == {"frusta"}
    assert markers[-1].color != markers[1].color, "the newest stands out"
    corners = np.array([[p.x, p.y, p.z] for p in markers[1].points if p.z])
    pixels, _ = project(corners, CAMERA)
    assert set(map(tuple, pixels.round(6))) == {(0, 0), (96, 0), (96, 72), (0, 72)}


def test_answers_have_their_own_namespace_and_an_empty_answer_clears_it() -> None:
    found = [Object(header=HEAD, id=4, label="mug", score=0.9), Object(header=HEAD, id=2, label="cup", score=0.7)]
    markers = highlight_message(found, HEAD).markers
    assert {m.ns for m in markers[1:]} == {"query"}
    assert [m.text for m in markers if m.text] == ["1. mug 4 (0.90)", "2. cup 2 (0.70)"]
    assert len({m.id for m in markers[1:]}) == 4
    assert [m.action for m in highlight_message((), HEAD).markers] == [Marker.DELETEALL]


def test_cloud_boxes_and_images_share_the_colour_of_an_id() -> None:
    mapper = Mapper(small_config())
    for frame in orbit(4):
        mapper.add_frame(frame)
    for _ in range(30):
        mapper.train_step()
    snapshot = mapper.instantiate()
    camera, T = mapper.view().camera, mapper.view().T_world_camera
    color, objects = rendered_images(snapshot, camera, T, HEAD)
    assert color.encoding == objects.encoding == "rgb8"
    assert len(color.data) == camera.width * camera.height * 3
    shown = {tuple(c) for c in np.frombuffer(objects.data, np.uint8).reshape(-1, 3)} - {(0, 0, 0)}
    ids = [o.id for o in snapshot.instances.objects]
    assert shown
    assert shown <= {tuple(id_colors(np.array(i))) for i in ids}
    points = points_from_cloud(in_object_colors(snapshot_cloud(snapshot, HEAD)))
    bits = points["rgb"].view(np.uint32)
    for identity in ids:
        r, g, b = (int(v) for v in id_colors(np.array(identity)))
        assert (bits[points["instance_id"] == identity] == (r << 16 | g << 8 | b)).all()
        box = ObjectInstance(identity, "", 1.0, 2, np.eye(4), np.ones(3), 5)
        marker = markers_message([box], HEAD).markers[1]
        np.testing.assert_allclose([marker.color.r, marker.color.g, marker.color.b], [r / 255, g / 255, b / 255])

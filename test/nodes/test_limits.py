"""A message beyond each limit is refused before anything is made of it; one at the limit passes."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, Vector3
from nav_msgs.msg import Path
from nodes.doubles import MaskMapper
from nodes.running import running, until
from nodes.scene import small_frame
from sensor_msgs.msg import CameraInfo, CompressedImage, PointCloud2, PointField

from ig_ros.config import LimitsConfig
from ig_ros.errors import FrameError, IgError, QueryError
from ig_ros.message_decoding import (
    depth_from_compressed,
    depth_from_image,
    labels_from_image,
    rgb_from_compressed,
    rgb_from_raw,
)
from ig_ros.msg import Mask, SegmentedImage
from ig_ros.nodes.conversions import byte_array, header, image_message
from ig_ros.nodes.message_checks import MessageLimits
from ig_ros.nodes.player import Player, PlayOptions
from ig_ros.nodes.pose_sources import TfLookup
from ig_ros.nodes.query_client import MapClient
from ig_ros.nodes.query_service import FrameFinder, QueryService
from ig_ros.srv import QueryObject

SMALL = LimitsConfig(image_pixels=1200, masks=5, embedding=8, cloud_points=10, path_poses=3, text=20)
HEAD = header(1, "camera")


def image(height: int, width: int) -> object:
    return image_message(np.zeros((height, width, 3), np.uint8), "rgb8", HEAD)


def packed(height: int, width: int, kind: str = ".png") -> CompressedImage:
    """A file far smaller than the picture that it unpacks to."""
    data = np.frombuffer(cv2.imencode(kind, np.zeros((height, width, 3), np.uint8))[1].tobytes(), np.uint8)
    return CompressedImage(format="png", data=byte_array(data))


def masks(count: int = 1, label: str = "mug", embedding: int = 0, pixels: int = 30) -> SegmentedImage:
    labels = image_message(np.ones((pixels, 40), np.uint16), "16UC1", HEAD)
    entries = [Mask(id=i + 1, label=label, embedding=[0.1] * embedding) for i in range(count)]
    return SegmentedImage(header=HEAD, labels=labels, masks=entries)


def padded(size: int) -> object:
    message = image(1, 1)
    message.data = byte_array(np.zeros(size, np.uint8))
    return message


CASES = [  # what checks it, a message at the limit, one beyond it, the cause
    ("image", lambda: image(30, 40), lambda: image(31, 40), "image_too_large"),
    ("image", lambda: padded(8 * 1200), lambda: padded(8 * 1200 + 1), "image_too_large"),
    ("image", lambda: packed(30, 40), lambda: packed(3000, 4000), "image_too_large"),
    ("image", lambda: packed(30, 40, ".jpg"), lambda: packed(300, 400, ".jpg"), "image_too_large"),
    ("depth", lambda: image(30, 40), lambda: image(31, 40), "depth_too_large"),
    ("masks", lambda: masks(), lambda: masks(pixels=31), "mask_too_large"),
    ("masks", lambda: masks(5), lambda: masks(6), "mask_too_large"),
    ("masks", lambda: masks(label="m" * 20), lambda: masks(label="m" * 21), "mask_too_large"),
    ("masks", lambda: masks(embedding=8), lambda: masks(embedding=9), "mask_too_large"),
    ("labels", lambda: np.arange(6).reshape(2, 3), lambda: np.arange(7).reshape(1, 7), "mask_too_large"),
    ("info", lambda: CameraInfo(width=40, height=30), lambda: CameraInfo(width=2**31, height=2**31),
     "camera_info_too_large"),
    ("info", lambda: CameraInfo(d=[0.1] * 14), lambda: CameraInfo(d=[0.1] * 15), "camera_info_too_large"),
    ("cloud", lambda: PointCloud2(width=10, height=1), lambda: PointCloud2(width=11, height=1), "map_points_too_large"),
    ("cloud", lambda: PointCloud2(width=0, height=1), lambda: PointCloud2(width=0, height=2**32 - 1),
     "map_points_too_large"),
    ("cloud", lambda: PointCloud2(data=bytes(640)), lambda: PointCloud2(data=bytes(641)), "map_points_too_large"),
    ("cloud", lambda: PointCloud2(fields=[PointField()] * 32), lambda: PointCloud2(fields=[PointField()] * 33),
     "map_points_too_large"),
    ("path", lambda: Path(poses=[PoseStamped()] * 3), lambda: Path(poses=[PoseStamped()] * 4), "pose_graph_too_large"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "within", "beyond", "cause"), CASES)
def test_messages(check: str, within: Callable, beyond: Callable, cause: str) -> None:
    guard = MessageLimits(SMALL)
    getattr(guard, check)(within())
    with pytest.raises(FrameError, match=r"allows \d+") as caught:
        getattr(guard, check)(beyond())
    assert caught.value.cause == cause


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\xff" * 40])
def test_files_of_other_formats_and_broken_ones_are_not_decoded(data: bytes) -> None:
    message = CompressedImage(format="x" * 10_000, data=byte_array(np.frombuffer(data, np.uint8)))
    with pytest.raises(FrameError, match="publish jpeg or png") as caught:
        MessageLimits(SMALL).image(message)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("check", "within", "beyond"),
    [("text", ("a text", "x" * 20), ("a text", "x" * 21)), ("ids", ([1] * 5,), ([1] * 6,)),
     ("view", (40, 30), (40, 31))],
)  # fmt: skip
def test_requests(check: str, within: tuple, beyond: tuple) -> None:
    getattr(MessageLimits(SMALL), check)(*within)
    with pytest.raises(QueryError, match="limits"):
        getattr(MessageLimits(SMALL), check)(*beyond)


@pytest.mark.parametrize("size", [(np.nan, 1, 1), (1, -1, 1), (1, 1, np.inf), (1, 0, 1)])
def test_boxes_that_are_none_are_refused_by_the_query(context: object, size: tuple[float, float, float]) -> None:
    request = QueryObject.Request(text="mug", within_size=Vector3(x=float(size[0]), y=float(size[1]), z=float(size[2])))
    service = QueryService(MaskMapper(None), FrameFinder("map", None), MessageLimits(SMALL))
    with pytest.raises(QueryError, match="finite and greater than 0"):
        service.query(request, QueryObject.Response())


LONG = "x" * 1_000_000


def test_what_a_message_repeats_of_a_senders_text_is_cut() -> None:
    picture = image(4, 4)
    picture.encoding = LONG
    zip_file = CompressedImage(format=LONG, data=b"no picture")

    class Tf:
        def stamped(self, _target: str, source: str, _stamp: int | None) -> object:
            raise FrameError("no_pose", f"nobody knows '{source}'")

    for refuse in (
        lambda: rgb_from_raw(picture),
        lambda: depth_from_image(picture),
        lambda: labels_from_image(picture),
        lambda: rgb_from_compressed(zip_file),
        lambda: depth_from_compressed(zip_file),
        lambda: FrameFinder("map", TfLookup(None, 0.5)).find(LONG),
        lambda: FrameFinder("map", Tf()).find(LONG),
    ):
        with pytest.raises(IgError) as caught:
            refuse()
        assert len(str(caught.value)) < 500


def test_a_frame_id_of_a_megabyte_makes_no_long_warning(context: object) -> None:
    with running(context) as made:
        player = Player(PlayOptions(), context=context)
        assert player.wait_for_subscribers()
        foreign = player.messages(small_frame(0), 5)["pose"]
        foreign.header.frame_id = LONG
        assert until(
            lambda: "pose_frame" in made.node.problems.counts(), between=lambda: player.send({"pose": foreign})
        )
        assert until(lambda: "other_frame_id" in made.node.problems.counts(),
                     between=lambda: player.send({"pose": player.messages(small_frame(0), 5)["pose"]}))  # fmt: skip
        assert max(map(len, made.warnings)) < 500
        player.destroy_node()


def test_a_running_node_refuses_them_all_and_answers_on(context: object, tmp_path: object) -> None:
    limits = {"limits__image_pixels": 160 * 120, "limits__text": 20, "limits__masks": 4, "limits__path_poses": 3}
    with running(context, map_directory=str(tmp_path), diagnostics_period=0.1, **limits) as made:
        player, client = Player(PlayOptions(), context=context), MapClient(context=context)
        assert player.wait_for_subscribers()
        huge = player.messages(small_frame(0, 320, 240), 5)
        cloud = PointCloud2(header=header(5, "map"), width=2**31, height=1)
        points = player.create_publisher(PointCloud2, "map_points", 1)
        path = player.create_publisher(Path, "pose_graph", 1)
        graph = Path(header=header(5, "map"), poses=[PoseStamped()] * 4)

        def send() -> None:
            player.send(huge)
            points.publish(cloud)
            path.publish(graph)
            client.listen(0.1)

        counts = made.node.problems.counts
        wanted = {f"{what}_too_large" for what in ("image", "depth", "mask", "camera_info", "map_points", "pose_graph")}
        assert until(lambda: wanted <= set(counts()), between=send), counts()
        assert made.mapper.frames == []
        assert made.mapper.points == 0
        long = "x" * 21
        for answer in (
            client.query(long), client.save(long), client.load(long), client.render_view(only=[1] * 5),
            client.render_view(camera_info=CameraInfo(width=40000, height=40000)),
            client.render_view(without=[1] * 5),
        ):  # fmt: skip
            assert not answer.success
            assert "limits" in answer.message, answer.message

        def good() -> None:
            player.publish(small_frame(), player.get_clock().now().nanoseconds)
            client.listen(0.1)

        assert until(lambda: made.mapper.frames, between=good), counts()
        assert not client.object_at().success
        player.destroy_node()
        client.destroy_node()

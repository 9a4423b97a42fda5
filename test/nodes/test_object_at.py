"""What is behind a pixel of a published image: the right camera, at the right moment, through its lens."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from nodes.running import Running, running, until
from nodes.scene import NAMES, small_camera, small_frame
from sensor_msgs.msg import CameraInfo

from ig_ros.lens_distortion import Rectifier
from ig_ros.nodes.conversions import info_message
from ig_ros.nodes.player import Player, PlayOptions
from ig_ros.srv import ObjectAt
from ig_ros.types import Frame, Masks

STEP = 100_000_000  # ns between frames
BEGIN = 1_000_000_000_000


def moment(stamp: int) -> Time:
    return Time(sec=stamp // 1_000_000_000, nanosec=stamp % 1_000_000_000)


def ask(made: Running, u: float, v: float, stamp: int = 0, width: int = 160, camera: str = "") -> ObjectAt.Response:
    asked = {"by_pixel": True, "u": float(u), "v": float(v), "width": width, "camera": camera}
    answer: ObjectAt.Response = made.client.object_at(**asked, stamp=moment(stamp))
    return answer


def send(made: Running, player: Player, frame: Frame, stamp: int, info: CameraInfo | None = None) -> None:
    """Publish until it has arrived: the very first messages may be lost."""
    messages = player.messages(frame, stamp)
    if info is not None:
        messages["info"] = info
    there = lambda: any(abs(f.stamp - stamp) < 10 and f.source in player.get_namespace() for f in made.mapper.frames)  # noqa: E731
    assert until(there, between=lambda: player.send(messages)), made.node.problems.counts()


@pytest.fixture(scope="class")
def drive(context: object) -> Iterator[Running]:
    """A camera that has driven past the wall; of its frames the mapper has kept the first one only."""
    with running(context, sync_tolerance=0.001) as made:
        player = Player(PlayOptions(), context=context)
        assert player.wait_for_subscribers()
        for i in range(0, 31, 2):
            send(made, player, small_frame(i), BEGIN + i * STEP)
        made.mapper.frames = made.mapper.frames[:1]
        first = small_frame(0)
        made.mapper.frames[0] = dataclasses.replace(made.mapper.frames[0], masks=first.masks, depth=first.depth)
        made.mapper.instantiate()
        yield made
        player.destroy_node()


class TestDrive:
    """One node for all of these; it is gone before the next one offers the same services."""

    @pytest.mark.parametrize("index", [0, 10, 13, 30])
    def test_the_pose_of_the_image_counts_and_not_that_of_the_nearest_keyframe(
        self, drive: Running, index: int
    ) -> None:
        shift = 2 * 0.02 / 1.5 * 80 / 2 * index  # px, of things at 1.5 m; one step is half of what 2 cm are
        stamp = BEGIN + index * STEP
        assert ask(drive, 35 + shift, 50, stamp).object.label == "mug"
        assert ask(drive, 100 + shift, 75, stamp).object.label == "plate"
        if index >= 13:
            assert ask(drive, 100 - 12, 75, stamp).object.label != "plate"

    def test_without_a_stamp_the_newest_image_is_meant(self, drive: Running) -> None:
        assert ask(drive, 35 + 32, 50).object.label == "mug"

    def test_a_stamp_at_which_no_pose_is_known_is_refused_with_a_reason(self, drive: Running) -> None:
        for stamp in (BEGIN - 20 * STEP, BEGIN + 60 * STEP):
            answer = ask(drive, 35, 50, stamp)
            assert not answer.success
            assert "near" in answer.message

    @pytest.mark.parametrize("width", [80, 160, 320])
    def test_the_pixel_is_one_of_an_image_of_that_width(self, drive: Running, width: int) -> None:
        scale = width / 160
        assert ask(drive, 47 * scale, 58 * scale, BEGIN, width).object.label == "mug"
        assert not ask(drive, 47 * scale * 1.3, 58 * scale, BEGIN, width).success


def test_the_lens_is_undone(context: object) -> None:
    """A small thing near the border is where the lens shows it, several pixels from where a pinhole would."""
    info = info_message(
        small_camera(), Player(PlayOptions(), context=context).messages(small_frame(0), 1)["image"].header
    )
    info.distortion_model, info.d = "plumb_bob", [-0.2, 0.03, 0.0, 0.0, 0.0]
    labels = np.zeros((120, 160), np.int32)
    labels[21:27, 25:31] = 1
    frame = small_frame(0)
    frame = dataclasses.replace(frame, masks=Masks(labels, NAMES), depth=np.full((120, 160), 1.5, np.float32))
    u, v = Rectifier.from_info(info).point(28.0, 24.0)
    assert labels[round(v), round(u)] == 0, "else the test shows nothing"
    with running(context) as made:
        player = Player(PlayOptions(), context=context)
        assert player.wait_for_subscribers()
        whole = lambda: any(f.masks is not None and f.depth is not None for f in made.mapper.frames)  # noqa: E731
        stamp = iter(range(BEGIN, BEGIN + 1000 * STEP, STEP))
        assert until(whole, between=lambda: send(made, player, frame, next(stamp), info))
        made.mapper.instantiate()
        answer = ask(made, 27.5, 23.5)
        assert answer.object.label == "mug", answer.message
        assert not ask(made, u - 0.5, v - 0.5).success
        assert ask(made, u - 0.5, v - 0.5, width=0).object.label == "mug", "the map's own images have no distortion"
        player.destroy_node()


def test_with_several_cameras_the_request_says_whose_pixel_it_is(context: object) -> None:
    with running(context, cameras=["front", "rear"], sync_tolerance=0.001) as made:
        front = Player(PlayOptions(), context=context, namespace="front")
        rear = Player(PlayOptions(masks=False), context=context, namespace="rear")
        assert front.wait_for_subscribers()
        assert rear.wait_for_subscribers()
        send(made, front, small_frame(0), BEGIN)
        send(made, rear, small_frame(30), BEGIN)
        first = small_frame(0)
        made.mapper.frames[0] = dataclasses.replace(made.mapper.frames[0], masks=first.masks, depth=first.depth)
        made.mapper.instantiate()
        for stamp in (0, BEGIN):
            assert ask(made, 35, 50, stamp, camera="front").object.label == "mug"
            assert ask(made, 35 + 32, 50, stamp, camera="rear").object.label == "mug"
            assert not ask(made, 25, 50, stamp, camera="rear").success
        assert "camera to one of 'front', 'rear'" in ask(made, 35, 50).message
        assert "unknown camera 'side'" in ask(made, 35, 50, camera="side").message
        front.destroy_node()
        rear.destroy_node()

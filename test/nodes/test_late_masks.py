"""A slow segmenter somewhere else: its masks come when their images have long been judged, and still reach the map."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from helpers import ground_frame, look_at, small_config

from ig_ros.config import NodeConfig
from ig_ros.frame_queue import REMEMBERED, Intake, LateMasks
from ig_ros.live import LiveMapper
from ig_ros.mapper import Mapper
from ig_ros.nodes.synchronizer import Late, Synchronizer
from ig_ros.pose_buffer import PoseBuffer
from ig_ros.scaffold.pose_correction import Correction
from ig_ros.types import Frame, Masks

RATE = 30  # Hz
SECONDS = 10
PATIENCE = 60.0  # s, for a machine under load
SPEED = 0.1  # m/s


def drive(n: int) -> list[Frame]:
    """n frames with masks of a camera that drives slowly over the cards."""
    eyes = [-0.6 + SPEED * i / RATE for i in range(n)]
    return [
        ground_frame(look_at((x, -0.2, 0.9), (x, 0.0, 0.0)), i, stamp=round(i * 1e9 / RATE)) for i, x in enumerate(eyes)
    ]


class Robot:
    """A camera, the waiting line and a mapper, and far away a segmenter that works on the newest image."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        poses = PoseBuffer(max_gap=0.5)
        self.line = Synchronizer(NodeConfig(sync_tolerance=0.005), poses)
        self.line.calibrated = True
        self.poses = poses
        config = small_config(instances__interval=1000.0)
        self.mapper = Mapper(config)
        self.live = LiveMapper(config, self.mapper)
        self.causes: list[str] = []
        self.sent: list[int] = []  # stamps of the masks that came back

    def run(self, frames: list[Frame]) -> None:
        busy: Frame | None = None
        done_at = 0.0
        for frame in frames:
            now = frame.stamp / 1e9
            self.poses.add(frame.stamp, frame.T_world_camera)
            self.line.add_image(frame.stamp, frame, now)
            if busy is not None and now >= done_at:
                self.line.add_masks(busy.stamp, busy.masks, now)
                self.sent.append(busy.stamp)
                busy = None
            if busy is None:
                busy, done_at = frame, now + self.latency
            self.pass_on(now)

    def pass_on(self, now: float) -> None:
        bundles, problems = self.line.advance(now)
        self.causes += [p.cause for p in problems]
        for bundle in bundles:
            frame: Frame = bundle.image
            self.live.submit(dataclasses.replace(frame, masks=bundle.masks))
            self.wait()
        for late in self.line.take_late():
            self.live.submit_masks(late.stamp, late.masks)
            self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.live.stats().waiting:
            assert time.monotonic() < deadline
            time.sleep(0.001)


@pytest.mark.parametrize("latency", [0.8, 1.5, 2.5])
def test_masks_of_a_slow_segmenter_reach_the_keyframes_of_their_images(latency: float) -> None:
    robot = Robot(latency)
    frames = drive(RATE * SECONDS)
    robot.live.start()
    try:
        robot.run(frames)
        masked: dict[int, Masks] = {}
        deadline = time.monotonic() + PATIENCE
        while len(masked) < len(robot.sent) - 1 and time.monotonic() < deadline:
            time.sleep(0.05)
            masked = {k.stamp: k.masks for k in list(robot.mapper.keyframes.items) if k.masks is not None}
        dropped = robot.live.stats().dropped
    finally:
        robot.live.stop()
    assert len(robot.sent) >= 3
    assert set(masked) <= set(robot.sent)
    # The first late masks teach the mapper to remember images: all others must arrive, and nothing is lost silently.
    assert len(masked) + dropped.get("masks_too_late", 0) == len(robot.sent)
    assert dropped.get("masks_too_late", 0) <= 1
    truth = {f.stamp: f.masks for f in frames}
    for stamp, masks in masked.items():
        np.testing.assert_array_equal(masks.labels, truth[stamp].labels)
        assert masks.names == truth[stamp].names
    assert len(robot.live.keyframe_poses()) > len(masked), "images without masks are mapped too"
    assert "masks_too_late" not in robot.causes


def make_line() -> Synchronizer:
    poses = PoseBuffer(max_gap=0.5)
    line = Synchronizer(NodeConfig(queue_size=3), poses)
    line.calibrated = True
    for ms in range(0, 1000, 100):
        poses.add(ms * 1_000_000, np.eye(4))
    return line


def test_masks_of_an_image_that_has_left_without_are_given_out_once_and_strangers_are_counted() -> None:
    line = make_line()
    line.add_image(100_000_000, "image", 0.0)
    assert [b.masks for b in line.advance(0.0)[0]] == [None]
    line.add_masks(90_000_000, "masks", 0.5)
    assert line.take_late() == [Late(100_000_000, "masks")]
    line.add_masks(100_000_000, "masks again", 0.6)
    assert line.take_late() == []
    assert line.advance(0.6) == ([], [])
    line.add_masks(40_000_000, "of no image", 0.7)
    assert [problem.cause for problem in line.advance(0.7)[1]] == ["masks_too_late"]


def test_masks_of_an_image_that_waits_go_with_it() -> None:
    line = make_line()
    line.add_masks(0, "masks of before", 0.0)
    line.add_image(100_000_000, "image", 0.0)
    assert line.advance(0.0)[0] == []
    line.add_masks(100_000_000, "masks", 0.1)
    assert [b.masks for b in line.advance(0.1)[0]] == ["masks"]
    assert line.take_late() == []


def test_a_view_becomes_a_keyframe_for_its_late_masks_where_its_camera_has_moved_since_the_last_that_has_some() -> None:
    mapper = Mapper(small_config(keyframes__min_translation=0.05, keyframes__new_area=1.0))
    intake = Intake(mapper)
    frames = drive(20)
    bare = [dataclasses.replace(f, masks=None) for f in frames]
    strange = LateMasks(5, frames[0].masks)
    assert "not remembered" in refusal(intake, strange)
    kinds = [isinstance(intake.take(i + 1, f), tuple) for i, f in enumerate(bare)]
    assert kinds[:2] == [True, False]
    number, frame = intake.take(20, LateMasks(frames[8].stamp, frames[8].masks))
    assert (number, frame.stamp) == (9, frames[8].stamp)
    np.testing.assert_array_equal(frame.masks.labels, frames[8].masks.labels)
    assert intake.take(20, LateMasks(frames[9].stamp, frames[9].masks)) == "not_a_keyframe"  # 3 mm further
    late = intake.take(20, LateMasks(frames[0].stamp, frames[0].masks))  # a keyframe already
    assert isinstance(late[1], LateMasks)
    mapper.insert(bare[0])
    assert mapper.attach_masks(late[1].stamp, late[1].masks)
    np.testing.assert_array_equal(mapper.keyframes.items[0].labels.numpy(), frames[0].masks.labels)
    assert not mapper.attach_masks(12345, frames[0].masks)


def test_images_are_remembered_within_bounds_and_only_while_masks_come_late() -> None:
    mapper = Mapper(small_config())
    intake = Intake(mapper)
    first, *others = (dataclasses.replace(f, masks=None) for f in drive(REMEMBERED + 10))
    late = lambda frame: LateMasks(frame.stamp, Masks(np.zeros((72, 96), np.int32)))  # noqa: E731
    intake.take(1, first)
    assert "not remembered" in refusal(intake, late(first)), "no masks have ever come late"
    for number, frame in enumerate(others, 2):
        intake.take(number, frame)
    forgotten, kept = others[-REMEMBERED - 1], others[-REMEMBERED]
    assert "not remembered" in refusal(intake, late(forgotten))
    intake.take(1, late(kept))
    mapper.reset()
    assert "not remembered" in refusal(intake, late(others[-1]))


def test_a_frame_that_comes_back_for_its_masks_follows_the_corrections_it_has_missed() -> None:
    mapper, frames = Mapper(small_config()), drive(120)
    mapper.insert(frames[0], 1)
    shift = np.eye(4)
    shift[0, 3] = 0.5
    mapper.correct(Correction(np.array([frames[0].stamp]), shift[None]), 60)
    later = mapper.state.corrections.bring_up_to_date(100, frames[99])
    np.testing.assert_array_equal(later.T_world_camera, frames[99].T_world_camera)
    late = mapper.state.corrections.bring_up_to_date(40, frames[39])
    np.testing.assert_allclose(late.T_world_camera, shift @ frames[39].T_world_camera, atol=1e-12)


def refusal(intake: Intake, late: LateMasks) -> str:
    with pytest.raises(Exception, match="masks came") as caught:
        intake.take(1, late)
    return str(caught.value)


def test_ignored_pixels_wait_with_the_image_or_are_late_for_it_beside_its_masks() -> None:
    line = make_line()
    line.add_ignore(0, "arm", 0.0)
    line.add_image(0, "image", 0.0)
    line.add_image(100_000_000, "image", 0.0)
    [first] = line.advance(0.0)[0]
    assert (first.masks, first.ignore) == (None, "arm")
    [second] = line.advance(10.0)[0]
    assert second.ignore is None
    line.add_ignore(100_000_000, "arm", 10.0)
    line.add_masks(100_000_000, "masks", 10.0)
    line.add_ignore(100_000_000, "arm again", 10.0)
    assert line.take_late() == [Late(100_000_000, None, "arm"), Late(100_000_000, "masks")]
    line.add_ignore(40_000_000, "of no image", 10.0)
    assert [problem.cause for problem in line.advance(10.0)[1]] == ["ignore_too_late"]

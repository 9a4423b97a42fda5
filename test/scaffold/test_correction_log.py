"""Frames that were on the way when poses were corrected arrive where they belong."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

import numpy as np
import torch
from helpers import orbit, small_config

from ig_ros.live import LiveMapper
from ig_ros.mapper import Mapper
from ig_ros.scaffold.pose_correction import Correction
from ig_ros.types import Array, Camera, FloatArray, Frame, Masks

PATIENCE = 30.0  # s, for a machine under load


def shift(x: float) -> FloatArray:
    T = np.eye(4)
    T[0, 3] = x
    return T


def correction(*motions: tuple[int, float]) -> Correction:
    """Shifts along x (m) at stamps (ns)."""
    return Correction(np.array([s for s, _ in motions]), np.stack([shift(x) for _, x in motions]))


def shifts(mapper: Mapper, frames: list[Frame]) -> list[float]:
    """How far along x each keyframe stands from where its frame came from."""
    places = {k.stamp: k.T_world_camera[0, 3] for k in mapper.keyframes.items}
    return [places[f.stamp] - f.T_world_camera[0, 3] for f in frames if f.stamp in places]


def test_what_waits_follows_the_end_of_the_path_and_what_comes_later_does_not() -> None:
    mapper, frames = Mapper(small_config()), orbit(6)
    for number in (1, 2, 3):  # the third one between the correction and its turn
        mapper.insert(frames[number - 1], number)
    assert mapper.correct(correction((0, 0.5)), submitted=4) == 3
    mapper.insert(frames[3], 4)
    mapper.insert(frames[4], 5)  # submitted after the correction: its pose knows of it
    np.testing.assert_allclose(shifts(mapper, frames), [0.5, 0.5, 0.5, 0.5, 0.0], atol=1e-9)


def test_a_keyframe_submitted_after_a_correction_and_inserted_before_its_turn_stays() -> None:
    mapper, frames = Mapper(small_config()), orbit(3)
    for number in (1, 2):
        mapper.insert(frames[number - 1], number)
    assert mapper.correct(correction((0, 0.5)), submitted=1) == 1
    np.testing.assert_allclose(shifts(mapper, frames), [0.5, 0.0], atol=1e-9)


def test_where_the_end_of_the_path_stays_nothing_follows() -> None:
    mapper, frames = Mapper(small_config()), orbit(4)
    for number in (1, 2):
        mapper.insert(frames[number - 1], number)
    ends = correction((frames[0].stamp, 0.5), (frames[1].stamp, 0.0))
    assert mapper.correct(ends, 4) == 1
    mapper.insert(frames[2], 3)
    np.testing.assert_array_equal(mapper.keyframes.items[2].T_world_camera, frames[2].T_world_camera)


def test_a_frame_without_a_number_is_up_to_date() -> None:
    mapper, frames = Mapper(small_config()), orbit(3)
    for frame in frames[:2]:
        mapper.insert(frame)
    assert mapper.correct(correction((0, 0.5)), submitted=2) == 2
    mapper.insert(frames[2])
    np.testing.assert_allclose(shifts(mapper, frames), [0.5, 0.5, 0.0], atol=1e-9)


def test_two_corrections_overtake_a_frame() -> None:
    mapper, frames = Mapper(small_config()), orbit(4)
    mapper.insert(frames[0], 1)
    for _ in range(2):
        mapper.correct(correction((0, 0.25)), 2)
    late = mapper.state.corrections.bring_up_to_date(2, frames[1]).T_world_camera
    np.testing.assert_allclose(late, shift(0.5) @ frames[1].T_world_camera, atol=1e-12)


def test_a_frame_whose_masks_were_late_gets_the_corrections_of_its_time() -> None:
    mapper, frames = Mapper(small_config()), orbit(4)
    mapper.insert(frames[0], 1)
    ends = correction((frames[0].stamp, 0.0), (frames[1].stamp, 0.5), (frames[2].stamp, 1.0))
    mapper.correct(ends, 3)
    mapper.insert(frames[3], 4)
    mapper.insert(frames[1], 2)
    np.testing.assert_allclose(shifts(mapper, frames), [0.0, 0.5, 0.0], atol=1e-9)


def test_corrections_of_a_robot_that_stands_for_days_are_not_kept() -> None:
    mapper, frames = Mapper(small_config()), orbit(4)
    mapper.insert(frames[0], 1)
    whole = Correction(np.arange(-99, 1) * 10**9, np.tile(shift(1e-4), (100, 1, 1)))
    for number in range(1000):
        mapper.correct(whole, number)
    assert len(mapper.state.corrections._corrections) <= 256
    assert {len(c.stamps) for _, c in mapper.state.corrections._corrections} == {31}, (
        "the last half minute matters to what waits"
    )
    assert mapper.state.corrections.bring_up_to_date(2000, frames[1]) is frames[1], "a later frame knows of them"


class Slow:
    """A segmenter that waits until it is told to go on."""

    name = "slow"

    def __init__(self) -> None:
        self.go = threading.Event()

    def segment(self, rgb: Array, depth: FloatArray | None, camera: Camera) -> Masks:
        assert self.go.wait(PATIENCE)
        assert depth is not None
        assert rgb.shape[:2] == (camera.height, camera.width)
        return Masks(np.zeros(rgb.shape[:2], np.int32))


def test_a_correction_overtakes_frames_that_the_segmenter_holds() -> None:
    segmenter = Slow()
    live = LiveMapper(small_config(), Mapper(small_config(), segmenter))
    first, *others = orbit(4)  # the first has masks of its own
    live.start()
    try:
        live.submit(first)
        wait_for(lambda: len(live.keyframe_poses()) == 1)
        for frame in others:
            live.submit(dataclasses.replace(frame, masks=None))
        moved = live.correct_poses(correction((0, 0.5))).result(PATIENCE)
        segmenter.go.set()
        wait_for(lambda: len(live.keyframe_poses()) == 4)
        poses = live.keyframe_poses()
    finally:
        segmenter.go.set()
        live.stop()
    assert moved == 1
    for frame in (first, *others):
        np.testing.assert_allclose(poses[frame.stamp], shift(0.5) @ frame.T_world_camera, atol=1e-12)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_correction_of_one_robot_leaves_the_other_where_it_is_with_what_it_has_planted() -> None:
    mapper = Mapper(small_config())
    frames = [dataclasses.replace(f, source=("one", "two")[i % 2]) for i, f in enumerate(orbit(6))]
    for number, frame in enumerate(frames[:4], 1):
        mapper.insert(frame, number)
    data = mapper.scaffold.anchors.data
    owner, before = data["owner"].clone(), data["position"].clone()
    of_two = torch.isin(owner, torch.tensor([k.uid for k in mapper.keyframes.items if k.source == "two"]))
    assert of_two.any()
    assert not of_two.all()
    own = dataclasses.replace(correction((0, 0.5)), sources=frozenset({"two"}))
    assert mapper.correct(own, submitted=6) == 2
    for number, frame in enumerate(frames[4:], 5):
        mapper.insert(frame, number)
    np.testing.assert_allclose(shifts(mapper, frames), [0.0, 0.5] * 3, atol=1e-9)
    moved = (mapper.scaffold.anchors.data["position"][: len(before)] - before)[:, 0]
    torch.testing.assert_close(moved, torch.where(of_two, 0.5, 0.0), atol=1e-5, rtol=0)

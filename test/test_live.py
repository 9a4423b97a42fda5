"""The mapper from threads: frames in, steps grow, futures resolve, answers never wait, nothing dies unseen."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import orbit, small_config

from ig_ros.errors import EncoderError, FrameError, IgError, StorageError
from ig_ros.live import WAITING, LiveMapper
from ig_ros.mapper import Mapper
from ig_ros.named_objects import FrozenMap
from ig_ros.scaffold import StepResult
from ig_ros.scaffold.pose_correction import Correction
from ig_ros.segmentation import Segmenter
from ig_ros.types import Camera, FloatArray, MapSnapshot, Masks, QueryStatus

PATIENCE = 30.0  # s, for a machine under load


def wait_for(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)


@pytest.fixture
def live() -> Iterator[LiveMapper]:
    mapper = LiveMapper(small_config())
    mapper.start()
    yield mapper
    mapper.stop()


def feed(live: LiveMapper, n: int = 6) -> None:
    """Submit n frames, each after the one before has been looked at."""
    for i, frame in enumerate(orbit(n)):
        live.submit(frame)
        wait_for(lambda i=i: live.stats().frames_used > i, f"frame {i} to be used")  # type: ignore[misc]


def train(live: LiveMapper, steps: int = 25) -> None:
    goal = live.stats().steps + steps
    wait_for(lambda: live.stats().steps >= goal, f"{steps} steps")


def test_frames_become_a_map_with_objects_while_it_trains(live: LiveMapper) -> None:
    assert live.snapshot() is None
    assert live.query("red card").status is QueryStatus.NOT_READY
    feed(live)
    train(live)
    before = live.stats().steps
    snapshot = live.instantiate().result(PATIENCE)
    assert snapshot.step >= before
    assert live.snapshot() is snapshot
    assert {o.label for o in snapshot.instances.objects} == {"red card", "blue card"}
    assert live.query("red card").status is QueryStatus.FOUND
    train(live, 5)
    stats = live.stats()
    assert (stats.frames_in, stats.frames_used, stats.keyframes) == (6, 6, 6)
    assert stats.dropped == {}
    assert stats.error == ""
    assert stats.anchors > 500
    assert stats.gaussians > 500
    assert 0 < stats.loss < 0.3
    assert stats.steps_per_second > 0
    assert stats.objects == 2
    assert stats.instantiation_age is not None
    assert 0 <= stats.instantiation_age < PATIENCE
    assert 0 < stats.instantiation_duration < PATIENCE
    assert stats.memory_bytes > 1e7


def test_answers_do_not_wait_for_the_training(live: LiveMapper) -> None:
    feed(live)
    train(live, 10)
    live.instantiate().result(PATIENCE)
    begin, before = time.perf_counter(), live.stats().steps
    slowest = 0.0
    for _ in range(50):
        start = time.perf_counter()
        assert live.query("blue card").status is QueryStatus.FOUND
        live.stats()
        slowest = max(slowest, time.perf_counter() - start)
        time.sleep(0.005)
    assert slowest < 0.5
    wait_for(lambda: live.stats().steps > before, "training beside the queries")
    assert time.perf_counter() - begin < PATIENCE


def test_several_wishes_for_an_instantiation_are_all_granted(live: LiveMapper) -> None:
    feed(live, 4)
    train(live, 5)
    futures = [live.instantiate() for _ in range(5)]
    versions = [f.result(PATIENCE).version for f in futures]
    assert versions == sorted(versions)
    assert versions[-1] <= 5


def test_an_empty_map_can_be_instantiated_reset_and_saved(live: LiveMapper, tmp_path: Path) -> None:
    assert live.instantiate().result(PATIENCE).instances.objects == ()
    live.reset().result(PATIENCE)
    assert live.save(tmp_path / "map").result(PATIENCE) == tmp_path / "map"
    assert live.stats().error == ""


def test_the_map_is_instantiated_by_itself_every_interval() -> None:
    live = LiveMapper(small_config(instances__interval=0.3))
    live.start()
    try:
        feed(live, 4)
        wait_for(lambda: (live.snapshot() is not None) and live.snapshot().version >= 2, "two instantiations")  # type: ignore[union-attr]
    finally:
        live.stop()


class SlowSegmenter:
    """Waits until it is allowed to go on, then finds nothing."""

    def __init__(self) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()

    def segment(self, rgb: np.ndarray, depth: FloatArray | None, camera: Camera) -> Masks | None:  # noqa: ARG002
        self.entered.set()
        assert self.go_on.wait(PATIENCE)
        return None


def test_a_full_inbox_drops_the_oldest_and_counts_it() -> None:
    slow: Segmenter = SlowSegmenter()
    config = small_config()
    live = LiveMapper(config, Mapper(config, segmenter=slow))
    live.start()
    frames = orbit(WAITING + 6, masks=False)
    try:
        live.submit(frames[0])
        assert slow.entered.wait(PATIENCE)
        begin = time.perf_counter()
        for frame in frames[1:]:
            live.submit(frame)
        assert time.perf_counter() - begin < 0.5  # submit never blocks
        assert live.stats().dropped == {"inbox_full": len(frames) - 1 - WAITING}
        slow.go_on.set()
        wait_for(lambda: live.stats().frames_used == WAITING + 1, "the rest to be used")
        stamps = [k.stamp for k in live._mapper.keyframes.items]
        assert stamps == [f.stamp for f in (frames[0], *frames[-WAITING:])]
    finally:
        slow.go_on.set()
        live.stop()


def test_useless_frames_are_counted_by_cause_and_nothing_stops() -> None:
    live = LiveMapper(small_config(keyframes__max_speed=1.0))
    live.start()
    try:
        frame = orbit(2)[0]
        live.submit(frame)
        live.submit(dataclasses.replace(frame, stamp=frame.stamp + 10**8))
        far = frame.T_world_camera.copy()
        far[0, 3] += 50
        live.submit(dataclasses.replace(frame, stamp=frame.stamp + 2 * 10**8, T_world_camera=far))
        wait_for(lambda: sum(live.stats().dropped.values()) == 2, "two drops")
        assert live.stats().dropped == {"not_a_keyframe": 1, "pose_jump": 1}
        train(live, 3)
        assert live.stats().error == ""
    finally:
        live.stop()


def test_map_points_are_planted_between_two_steps(live: LiveMapper) -> None:
    points = np.array([[2.0, 2.0, 0.0], [2.5, 2.0, 0.0]])
    with pytest.raises(FrameError):
        live.submit_points(points, None).result(PATIENCE)
    feed(live, 2)
    assert live.submit_points(points, None).result(PATIENCE) == 2
    assert live.submit_points(points, None).result(PATIENCE) == 0


def test_save_reset_load(live: LiveMapper, tmp_path: Path) -> None:
    feed(live)
    train(live)
    saved = live.instantiate().result(PATIENCE)
    assert live.save(tmp_path / "map").result(PATIENCE) == tmp_path / "map"
    live.reset().result(PATIENCE)
    assert live.stats().anchors == live.stats().keyframes == 0
    assert live.query("red card").status is QueryStatus.NOT_READY
    with pytest.raises(StorageError):
        live.load(tmp_path / "nowhere").result(PATIENCE)
    live.load(tmp_path / "map").result(PATIENCE)
    assert live.stats().keyframes == 6
    assert live.query("red card").status is QueryStatus.FOUND
    train(live, 5)
    again = live.instantiate().result(PATIENCE)
    assert {o.label: o.id for o in again.instances.objects} == {o.label: o.id for o in saved.instances.objects}
    with pytest.raises(StorageError):
        live.save(Path("/proc/ig_ros/map")).result(PATIENCE)
    train(live, 3)


def objects_now(live: LiveMapper) -> dict[str, int]:
    """Label -> id."""
    return {o.label: o.id for o in live.instantiate().result(PATIENCE).instances.objects}


def test_an_id_is_not_given_again_after_a_reset_or_an_older_map(live: LiveMapper, tmp_path: Path) -> None:
    live.save(tmp_path / "empty").result(PATIENCE)
    given: list[int] = []
    for forget in (None, live.reset, lambda: live.load(tmp_path / "empty")):
        if forget is not None:
            forget().result(PATIENCE)
        for frame in orbit(5):
            live.submit(frame)
        wait_for(lambda: live.stats().keyframes == 5, "five keyframes")
        train(live)
        ids = objects_now(live)
        assert len(ids) == 2
        given += ids.values()
    assert len(set(given)) == 6


def test_after_a_reset_frames_are_taken_again(live: LiveMapper) -> None:
    feed(live, 3)
    live.reset().result(PATIENCE)
    for frame in orbit(3):
        live.submit(frame)
    wait_for(lambda: live.stats().keyframes == 3, "three new keyframes")
    train(live, 3)


def test_it_stops_in_two_seconds_in_the_middle_of_everything() -> None:
    live = LiveMapper(small_config(instances__interval=0.1))
    live.start()
    feed(live, 6)
    for frame in orbit(8):
        live.submit(frame)
    live.instantiate()
    begin = time.perf_counter()
    live.stop()
    assert time.perf_counter() - begin < 2.0
    assert not any(t.is_alive() for t in live._threads)


def test_stopping_an_idle_mapper_is_quick() -> None:
    live = LiveMapper(small_config())
    live.start()
    begin = time.perf_counter()
    live.stop()
    assert time.perf_counter() - begin < 1.0
    assert not any(t.is_alive() for t in live._threads)


class FailingMapper(Mapper):
    """A mapper whose training breaks after a few steps."""

    def train_step(self) -> None:  # type: ignore[override]
        if super().train_step() is not None and self.trainer.step >= 3:
            raise RuntimeError("the optimiser is on fire")


def test_a_trainer_that_fails_says_so_to_everybody_who_waits(tmp_path: Path) -> None:
    config = small_config()
    live = LiveMapper(config, FailingMapper(config))
    live.start()
    try:
        live.submit(orbit(2)[0])
        wait_for(lambda: bool(live.stats().error), "the failure to show")
        error = live.stats().error
        assert "train" in error
        assert "the optimiser is on fire" in error
        assert "\n" not in error
        assert live.query("red card").status is QueryStatus.NOT_READY
        for future in (live.reset(), live.save(tmp_path / "map"), live.instantiate()):
            with pytest.raises(IgError, match="on fire"):
                future.result(PATIENCE)
        with pytest.raises(IgError):
            live.instantiate().result(PATIENCE)
    finally:
        live.stop()


class StumblingMapper(Mapper):
    """A mapper whose training breaks once."""

    stumbled = False

    def train_step(self) -> StepResult | None:
        if self.trainer.step == 3 and not self.stumbled:
            self.stumbled = True
            raise RuntimeError("a stone on the way")
        return super().train_step()


class LameMapper(Mapper):
    """A mapper whose training breaks at steps 3, 5 and 7."""

    fell = 0

    def train_step(self) -> StepResult | None:
        if self.trainer.step == 3 + 2 * self.fell and self.fell < 3:
            self.fell += 1
            raise RuntimeError("a stone on the way")
        return super().train_step()


def test_a_trainer_that_fails_seldom_goes_on_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ig_ros.live.HEALTHY", 0.0)  # any time is long
    live = LiveMapper(small_config(), LameMapper(small_config()))
    live.start()
    try:
        live.submit(orbit(2)[0])
        train(live, 12)
        assert (live.stats().restarts, live.stats().error) == (3, "")
    finally:
        live.stop()


def test_a_trainer_that_fails_once_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    config = small_config()
    live = LiveMapper(config, StumblingMapper(config))
    live.start()
    try:
        live.submit(orbit(2)[0])
        train(live, 10)
        assert (live.stats().restarts, live.stats().error) == (1, "")
        assert "a stone on the way" in caplog.text
        assert live.stats().silence < PATIENCE
    finally:
        live.stop()


class StarvedMapper(Mapper):
    """A mapper that has no memory for three of its steps."""

    famines = 3

    def train_step(self) -> StepResult | None:
        if self.trainer.step >= 3 and self.famines:
            self.famines -= 1
            raise torch.OutOfMemoryError("no memory")
        return super().train_step()


class HungryMapper(Mapper):
    """A mapper that has no memory for two of its instantiations."""

    famines = 2

    def instantiate(self, frozen: FrozenMap | None = None) -> MapSnapshot:
        if self.famines:
            self.famines -= 1
            raise MemoryError
        return super().instantiate(frozen)


def test_without_memory_the_map_shrinks_and_training_goes_on() -> None:
    config = small_config()
    live = LiveMapper(config, StarvedMapper(config))
    live.start()
    try:
        live.pause()
        for frame in orbit(6):
            live.submit(frame)
        live.pause(False)
        wait_for(lambda: live.stats().dropped.get("out_of_memory") == 3, "three famines")
        after = live.stats().anchors
        train(live, 20)
        assert live.stats().anchors <= max(after, 100), "it does not grow back into the same lack"
        assert (live.stats().restarts, live.stats().error) == (0, "")
    finally:
        live.stop()


def test_without_memory_for_it_an_instantiation_comes_later() -> None:
    config = small_config()
    live = LiveMapper(config, HungryMapper(config))
    live.start()
    try:
        feed(live)
        train(live, 5)
        wait_for(lambda: asked(live), "objects after two famines")
        assert live.stats().dropped["out_of_memory"] == 2
        assert (live.stats().restarts, live.stats().error) == (0, "")
    finally:
        live.stop()


def asked(live: LiveMapper) -> bool:
    try:
        return bool(live.instantiate().result(PATIENCE).instances.objects)
    except MemoryError:
        return False


def test_a_paused_mapper_answers_and_obeys_and_trains_no_step(live: LiveMapper) -> None:
    feed(live, 2)
    train(live, 5)
    live.pause()
    live.instantiate().result(PATIENCE)
    steps = live.stats().steps
    time.sleep(0.3)
    assert live.stats().steps == steps
    assert live.query("red card").status is not QueryStatus.NOT_READY
    live.pause(False)
    train(live, 2)


class OtherEncoder:
    """An encoder of image embeddings whose length the masks' embeddings do not have."""

    name, dimension = "other", 7

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        return np.ones((len(texts), 7), np.float32)

    def encode_masks(self, rgb: np.ndarray, masks: Masks) -> dict[int, FloatArray]:  # noqa: ARG002
        return {}

    def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:  # noqa: ARG002
        return np.ones(len(embeddings))


def test_an_instantiation_that_fails_on_its_input_is_told_and_the_next_one_is_tried() -> None:
    config = small_config()
    live = LiveMapper(config, Mapper(config, encoder=OtherEncoder()))
    live.start()
    try:
        for frame in orbit(5):
            assert frame.masks is not None
            masks = dataclasses.replace(frame.masks, embeddings={1: np.ones(3), 2: np.ones(3)}, encoder="other")
            live.submit(dataclasses.replace(frame, masks=masks))
        wait_for(lambda: live.stats().frames_used == 5, "frames to be used")
        for _ in range(2):
            train(live, 15)
            with pytest.raises(EncoderError):
                live.instantiate().result(PATIENCE)
        assert live.stats().error == ""
        live.reset().result(PATIENCE)
        assert live.instantiate().result(PATIENCE).instances.objects == ()
    finally:
        live.stop()


def test_corrected_poses_move_keyframes_and_map_between_two_steps(live: LiveMapper) -> None:
    feed(live)
    poses = live.keyframe_poses()
    live.pause()
    height = live.instantiate().result(PATIENCE).xyz[:, 2].mean()
    lift = np.eye(4)
    lift[2, 3] = 1.5
    assert live.correct_poses(Correction(np.array([12345]), lift[None])).result(PATIENCE) == 6
    for stamp, T in live.keyframe_poses().items():
        np.testing.assert_allclose(T, lift @ poses[stamp], atol=1e-12)
    assert live.instantiate().result(PATIENCE).xyz[:, 2].mean() == pytest.approx(height + 1.5, abs=1e-3)
    with pytest.raises(FrameError):
        live.correct_poses(Correction(np.array([12345]), np.zeros((1, 4, 4)))).result(PATIENCE)

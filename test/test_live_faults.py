"""What goes wrong around the map while it is live: no memory, a broken segmenter, frames of the map before."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers import orbit, small_config

from ig_ros.errors import StorageError
from ig_ros.live import LiveMapper
from ig_ros.mapper import Mapper
from ig_ros.types import Camera, FloatArray, Frame, Masks

PATIENCE = 30.0  # s, for a machine under load


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.01)


@contextmanager
def running(mapper: Mapper) -> Iterator[LiveMapper]:
    live = LiveMapper(mapper.config, mapper)
    live.start()
    try:
        yield live
    finally:
        live.stop()


class FullMapper(Mapper):
    """A mapper that has no memory for some keyframes."""

    famines: tuple[int, ...] = (0, 3, 4)
    calls = 0

    def insert(self, frame: Frame, number: int | None = None) -> None:
        self.calls += 1
        if self.calls - 1 in self.famines:
            raise MemoryError("no memory for anchors")
        super().insert(frame, number)


def test_without_memory_for_a_keyframe_the_map_shrinks_and_goes_on() -> None:
    with running(FullMapper(small_config(threads=1))) as live:
        for frame in orbit(8):
            calls = live._mapper.calls  # type: ignore[attr-defined]
            live.submit(frame)
            wait_for(lambda calls=calls: live._mapper.calls > calls, "the frame to be inserted")  # type: ignore[misc]
        wait_for(lambda: live.stats().frames_used == 5, "the other frames")
        steps = live.stats().steps
        wait_for(lambda: live.stats().steps > steps + 5, "training")
        stats = live.stats()
        assert stats.dropped["out_of_memory"] == 3
        assert (stats.restarts, stats.error) == (0, "")
        assert stats.anchors <= live._mapper.config.seeding.max_anchors < small_config().seeding.max_anchors


class BrokenSegmenter:
    """Fails with an error of its own, five times."""

    name, failures = "broken", 5

    def segment(self, rgb: np.ndarray, depth: FloatArray | None, camera: Camera) -> Masks:  # noqa: ARG002
        if self.failures:
            self.failures -= 1
            raise RuntimeError("CUDA error:\nan illegal memory access")
        return Masks(np.zeros(rgb.shape[:2], np.int32))


def test_a_segmenter_that_breaks_costs_images_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    config = small_config(threads=1)
    with running(Mapper(config, BrokenSegmenter())) as live:
        for i, frame in enumerate(orbit(8, masks=False)):
            live.submit(frame)
            wait_for(
                lambda i=i: live.stats().frames_used + live.stats().dropped.get("segmenter", 0) > i,  # type: ignore[misc]
                f"frame {i}",
            )
        stats = live.stats()
    assert (stats.frames_used, stats.dropped) == (3, {"segmenter": 5})
    assert (stats.restarts, stats.error) == (0, "")
    told = [r.getMessage() for r in caplog.records]
    assert len(told) == 5
    assert all("RuntimeError: CUDA error: an illegal memory access" in line for line in told)


class SlowSegmenter:
    """Waits until it is allowed to go on."""

    name = "slow"

    def __init__(self) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()

    def segment(self, rgb: np.ndarray, depth: FloatArray | None, camera: Camera) -> Masks:  # noqa: ARG002
        self.entered.set()
        assert self.go_on.wait(PATIENCE)
        return Masks(np.zeros(rgb.shape[:2], np.int32))


def without_masks(frame: Frame, later: int = 0) -> Frame:
    return dataclasses.replace(frame, masks=None, stamp=frame.stamp + later)


@pytest.mark.parametrize("how", ["reset", "load"])
def test_frames_of_the_map_before_do_not_enter_the_next_one(tmp_path: Path, how: str) -> None:
    """One is with the segmenter, one at the trainer's door, the others wait."""
    slow = SlowSegmenter()
    with running(Mapper(small_config(threads=1), slow)) as live:
        live.save(tmp_path / "empty").result(PATIENCE)
        live.pause()
        live.submit(orbit(6)[0])
        wait_for(lambda: live._ready.qsize() == 1, "the first one")
        for frame in orbit(6)[1:]:
            live.submit(without_masks(frame))
        assert slow.entered.wait(PATIENCE)
        (live.reset() if how == "reset" else live.load(tmp_path / "empty")).result(PATIENCE)
        slow.go_on.set()
        live.pause(False)
        for frame in orbit(6)[:2]:
            live.submit(without_masks(frame, 10**12))
        wait_for(lambda: live.stats().frames_used == 2, "the frames of the new map")
        assert [k.stamp for k in live._mapper.keyframes.items] == [f.stamp + 10**12 for f in orbit(6)[:2]]
        assert live.stats().dropped == {"of_the_old_map": 6}


def test_a_map_that_cannot_be_loaded_costs_no_frame(tmp_path: Path) -> None:
    with running(Mapper(small_config(threads=1))) as live:
        live.pause()
        for frame in orbit(4):
            live.submit(frame)
        with pytest.raises(StorageError):
            live.load(tmp_path / "nowhere").result(PATIENCE)
        live.pause(False)
        wait_for(lambda: live.stats().frames_used == 4, "all frames")


def test_a_mapper_that_stops_leaves_no_tiles(tmp_path: Path) -> None:
    mapper = Mapper(small_config(threads=1, memory__directory=str(tmp_path)))
    for frame in orbit(2):
        mapper.add_frame(frame)
    with running(mapper):
        mapper.state.pager._write(np.ones(len(mapper.scaffold.anchors), bool))
        assert list(tmp_path.glob("*/*.safetensors"))
    assert list(tmp_path.iterdir()) == []

"""A map that is being made: judged by watched pictures, with curves that grow and objects that appear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from helpers import ground_frame, look_at, small_config
from viewer.browser import open_tab, wait_until

from ig_ros.live import LiveMapper
from ig_ros.viewer import LiveSource, view


@pytest.fixture(scope="module")
def mapper() -> Iterator[LiveMapper]:
    mapper = LiveMapper(small_config())
    mapper.start()
    yield mapper
    mapper.stop()


def test_quality_is_known_once_a_picture_is_watched_and_grows(mapper: LiveMapper) -> None:
    source = LiveSource("ground", mapper)
    stops = np.arange(1.4, -0.1, -0.2)
    *frames, watched = [ground_frame(look_at((x, -0.45, 0.8), (x, 0.0, 0.0)), i) for i, x in enumerate(stops)]
    for frame in frames[:3]:  # they show nothing of the watched picture, however long they are learnt
        mapper.submit(frame)
    wait_until(lambda: mapper.stats().steps > 2, "the training")
    early = mapper.instantiate().result(60)
    assert source.quality(early) is None
    source.watch(watched)
    at_first = source.quality(early)
    assert at_first is not None
    assert 5 < at_first < 40
    for frame in frames[3:]:
        mapper.submit(frame)
    wait_until(lambda: mapper.stats().keyframes == len(frames), "all keyframes")
    planted = mapper.stats().steps
    wait_until(lambda: mapper.stats().steps > planted + 60, "more training")
    later = source.quality(mapper.instantiate().result(60))
    assert later is not None
    assert later > at_first + 1


def test_the_page_counts_and_shows_objects_as_they_come(mapper: LiveMapper) -> None:
    page = view(LiveSource("ground", mapper), port=0)
    mapper.pause()  # a busy core draws no page
    try:
        with open_tab(page.address) as tab:
            tab.get_by_text(" objects").first.wait_for()
            for curve in ("loss", "PSNR of watched pictures (dB)", "Gaussians drawn per view"):
                tab.get_by_text(curve, exact=True).first.wait_for()
            tab.get_by_text(f"step {mapper.stats().steps}").wait_for()
            mapper.reset().result(10)
            tab.get_by_text("no object yet").wait_for()
    finally:
        page.stop()

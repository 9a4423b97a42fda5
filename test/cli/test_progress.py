"""The rate in a progress bar: what was done lately, not since the beginning."""

from __future__ import annotations

import pytest

from ig_ros.cli.output import WINDOW, Rate, track


def test_the_rate_of_a_steady_stream_is_its_rate() -> None:
    rate = Rate()
    assert [rate(10 * t, float(t)) for t in range(1, 20)][1:] == pytest.approx([10.0] * 18)


def test_the_rate_forgets_what_is_long_ago() -> None:
    rate = Rate()
    for t in range(10):
        rate(1000 * t, float(t))
    slow = [rate(9000 + t, 9.0 + t) for t in range(1, 20)]
    assert slow[0] > 100
    assert slow[-1] == pytest.approx(1.0)
    assert all(r == pytest.approx(1.0) for r in slow[int(WINDOW) + 1 :])


def test_the_first_event_has_no_rate() -> None:
    assert Rate()(5, 1.0) == 0.0


def test_tracking_hands_everything_on() -> None:
    assert list(track([3, 1, 2], "testing")) == [3, 1, 2]
    assert list(track([], "nothing")) == []

"""Giving memory back: what is dropped is what matters least, and the map does not grow back."""

from __future__ import annotations

import pytest
import torch
from helpers import orbit, small_config

from ig_ros.mapper import Mapper
from ig_ros.memory_relief import is_out_of_memory, shrink


def test_the_least_opaque_tenth_goes_and_stays_away() -> None:
    mapper = Mapper(small_config())
    frames = orbit(12)
    for frame in frames[:10]:
        mapper.add_frame(frame)
    anchors = mapper.scaffold.anchors
    opacity = torch.rand(len(anchors), generator=torch.Generator().manual_seed(1))
    anchors.data["opacity"] = opacity.clone()
    before = len(anchors)
    left, views = shrink(mapper, 0.1)
    assert (left, views) == (int(0.9 * before), 9) == (len(anchors), len(mapper.keyframes))
    assert anchors.data["opacity"].min() >= opacity.sort().values[before - left]
    assert all(len(moment) == left for pair in anchors.moments.values() for moment in pair)
    for frame in frames[10:]:
        mapper.add_frame(frame)
    assert len(anchors) <= left
    assert len(mapper.keyframes) == 9
    assert mapper.train_step() is not None


def test_a_map_can_shrink_to_the_end() -> None:
    mapper = Mapper(small_config())
    mapper.add_frame(orbit(1)[0])
    for _ in range(40):
        shrink(mapper, 0.5)
    assert len(mapper.scaffold.anchors) == 100
    assert len(mapper.keyframes) == 1


@pytest.mark.parametrize(
    ("error", "true"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_which_errors_mean_it(error: Exception, true: bool) -> None:
    assert is_out_of_memory(error) is true


def test_torch_itself_says_so() -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # which class is PyTorch's own affair
        torch.empty(2**46, dtype=torch.float64)
    assert is_out_of_memory(caught.value)

"""Maps may live on a GPU: what is computed on the CPU is brought there first, and no address of another memory is read.

Without a GPU the device is played by a tensor class that gives out neither addresses nor arrays before it is moved.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import orbit, small_config
from reference.raster_scenes import camera, pose, room

from ig_ros.cli.saved_maps import OpenMap, describe
from ig_ros.mapper import Mapper
from ig_ros.raster import top_contributor
from ig_ros.types import GaussianBatch


class Elsewhere(torch.Tensor):
    """Like a tensor on a GPU: results stay there, and only .cpu() makes them readable."""

    def data_ptr(self) -> int:
        raise AssertionError("the address of another device's memory was taken")

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert a tensor of another device to numpy")

    def cpu(self, *_: Any, **__: Any) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)


def moved(g: GaussianBatch) -> GaussianBatch:
    return GaussianBatch(*(getattr(g, f.name).as_subclass(Elsewhere) for f in dataclasses.fields(g)[:-1]))


def test_the_stand_in_is_as_unreadable_as_a_gpu() -> None:
    here = torch.rand(3).as_subclass(Elsewhere)
    for derived in (here, here.detach().float().contiguous(), here[:2] * 2):
        with pytest.raises(AssertionError, match="another device"):
            derived.data_ptr()
    assert here.cpu().data_ptr()


def test_top_contributor_brings_the_gaussians_to_the_cpu() -> None:
    g, view, T = room(300, 3, size=2.0), camera(40, 30), pose()
    found = top_contributor(moved(g), T, view)
    assert torch.equal(found.cpu(), top_contributor(g, T, view))


def test_a_map_on_another_device_is_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mapper = Mapper(small_config())
    for frame in orbit(1):
        mapper.add_frame(frame)
    frozen = mapper.freeze()
    expected = describe(tmp_path, OpenMap(mapper, mapper.config))
    away = dataclasses.replace(frozen, gaussians=moved(frozen.gaussians))
    monkeypatch.setattr(mapper, "freeze", lambda: away)
    assert describe(tmp_path, OpenMap(mapper, mapper.config)) == expected
    assert len(expected["extent_m"]) == 3


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_top_contributor_of_gaussians_on_a_gpu() -> None:
    g, view, T = room(300, 3, size=2.0), camera(40, 30), pose()
    there = GaussianBatch(*(getattr(g, f.name).cuda() for f in dataclasses.fields(g)[:-1]))
    found = top_contributor(there, T, view)
    assert found.is_cuda
    assert torch.equal(found.cpu(), top_contributor(g, T, view))

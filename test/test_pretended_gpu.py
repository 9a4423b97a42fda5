"""A map on a GPU, from frames to answers, without one: the device is pretended and refuses what a GPU refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import orbit, small_config
from reference.pretended_device import Cost, Pretended, pretended_gpu
from viewer.browser import wait_until

from benchmarks.bench import gpu
from ig_ros.export.splats import write_splats
from ig_ros.live import LiveMapper
from ig_ros.map_io import load_map, save_map, trained_on
from ig_ros.mapper import Mapper
from ig_ros.planning.view_rendering import render_view
from ig_ros.viewer import LiveSource

STEPS = 12
SHORT = {
    "training__warmup_visits": 2, "training__joint_visits": 4, "training__growth_from": 8, "training__growth_every": 4,
    "seeding__voxel": 0.1,  # few Gaussians: the stand-in for a GPU is slow
}  # fmt: skip
CONFIG = small_config(**SHORT, device="cuda")


@pytest.fixture
def cost() -> Iterator[Cost]:
    with pretended_gpu() as cost:
        yield cost


def mapped(config: object = CONFIG, frames: int = 4, steps: int = STEPS) -> Mapper:
    mapper = Mapper(config)  # type: ignore[arg-type]
    for frame in orbit(frames):
        mapper.add_frame(frame)
    for _ in range(steps):
        mapper.train_step()
    return mapper


def test_the_device_refuses_what_a_gpu_refuses(cost: Cost) -> None:
    there = torch.zeros(3, device="cuda")
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    with pytest.raises(AssertionError, match="address"):
        there.data_ptr()
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.ones(3)
    assert (there + 1).sum().item() == 3
    assert sum(cost.syncs.values()) == 1
    assert there.cpu().numpy().shape == (3,)


def test_a_map_is_made_saved_loaded_and_asked(cost: Cost, tmp_path: Path) -> None:
    mapper = mapped()
    assert isinstance(mapper.scaffold.anchors.data["position"], Pretended)
    snapshot = mapper.instantiate()
    assert [hit.object.label for hit in mapper.query("the red card").hits] == ["red card"]
    save_map(mapper, tmp_path / "map")
    assert trained_on(tmp_path / "map") == "cuda (a pretended GPU)"
    again = Mapper(CONFIG)
    load_map(again, tmp_path / "map")
    assert again.train_step() is not None
    assert len(again.instantiate().instances.objects) == len(snapshot.instances.objects)
    assert snapshot.gaussians is not None
    assert write_splats(tmp_path / "map.ply", snapshot.gaussians)
    newest = mapper.keyframes.items[-1]
    assert (render_view(snapshot, newest.camera, newest.T_world_camera).instances > 0).any()
    mapper.remove_object(snapshot.instances.objects[0].id)
    assert mapper.correct_poses({k.stamp: k.T_world_camera for k in mapper.keyframes.items}) == 4


def test_it_learns_what_the_kernels_learn(cost: Cost) -> None:
    there, here = mapped(steps=8), mapped(small_config(**SHORT, device="cpu"), steps=8)
    assert len(there.scaffold.anchors) == len(here.scaffold.anchors)
    for name, tensor in here.scaffold.anchors.parameters.items():
        gap = (there.scaffold.anchors.parameters[name].cpu() - tensor).abs()
        assert float(gap.median()) <= 1e-3 * max(float(tensor.abs().max()), 1e-3), name


def test_live(cost: Cost) -> None:
    live = LiveMapper(CONFIG)
    live.start()
    try:
        for frame in orbit(4):
            live.submit(frame)
        wait_until(lambda: live.stats().steps > 2, "the training")
        assert live.instantiate().result(60).instances.objects
        source = LiveSource("ground", live)
        source.watch(orbit(1)[0])
        assert source.quality(live.instantiate().result(60)) > 5  # type: ignore[operator]
        assert live.stats().device == "cuda (a pretended GPU)"
        assert not live.stats().error
    finally:
        live.stop()


def test_the_report_of_a_gpu_is_written_end_to_end(cost: Cost) -> None:
    plan = gpu.Plan(gaussians=2000, many=4000, frames=3, voxel=0.2, steps=2, stream_s=0.5)
    figures = gpu.measure("cuda", "sim:room?seed=1&width=64", plan)
    assert set(figures) == set(gpu.GOALS)
    assert all(np.isfinite(value) for value in figures.values())
    assert "**Not measured**" not in gpu.report(figures)

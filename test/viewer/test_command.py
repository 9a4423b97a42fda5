"""`ig view` serves what was saved, Gaussians included, and maps a scene while it is looked at."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from helpers import orbit, small_config

from ig_ros.cli.maps import open_map
from ig_ros.cli.view import mapping, saved
from ig_ros.mapper import Mapper
from ig_ros.storage import save_map
from ig_ros.viewer import view


@pytest.fixture(scope="module")
def trained() -> Mapper:
    mapper = Mapper(small_config())
    for frame in orbit(5):
        mapper.add_frame(frame)
    for _ in range(30):
        mapper.train_step()
    mapper.instantiate()
    return mapper


def test_a_saved_map_is_shown_with_its_gaussians(trained: Mapper, tmp_path: Path) -> None:
    save_map(trained, tmp_path / "map")
    with saved(tmp_path) as (source, _):
        shown = source.snapshot()
        assert trained.latest is not None
        assert shown.gaussians is not None
        assert shown.gaussians.means.numpy() == pytest.approx(trained.latest.xyz, abs=1e-5)
        assert shown.instances.objects == () or shown.instances.objects[0].id == trained.latest.instances.objects[0].id


def test_gaussians_that_were_trained_on_do_not_pass_for_those_of_the_objects(trained: Mapper, tmp_path: Path) -> None:
    trained.train_step()
    save_map(trained, tmp_path / "map")
    with saved(tmp_path) as (source, _):
        assert source.snapshot().gaussians is None


def test_a_scene_is_mapped_saved_and_judged_by_frames_it_never_saw(tmp_path: Path) -> None:
    with mapping("sim:tabletop?width=80&frames=9", small_config(), 50.0, tmp_path) as (source, feed):
        for _ in range(12):  # more often than there are frames
            feed()
        page = view(source, port=0)
        with urllib.request.urlopen(page.address, timeout=10) as answer:
            assert answer.status == 200
        page.stop()
    contents = open_map(tmp_path / "map")
    assert {k.index for k in contents.mapper.keyframes.items} <= {0, 1, 2, 3, 4, 5, 6, 8}, "the eighth is held out"
    shown = source.snapshot()
    assert shown is not None
    assert source.quality(shown) is not None


def test_what_is_no_map_is_refused_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ig_ros.cli", "view", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "not a map" in done.stderr

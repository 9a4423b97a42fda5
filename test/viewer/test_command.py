"""`ig view` serves what was saved, Gaussians included, and maps a scene while it is looked at."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from cards import map_of_cards
from helpers import orbit, small_config
from viewer.browser import wait_until

from ig_ros.cli.saved_maps import open_map
from ig_ros.cli.view import mapping, saved
from ig_ros.live import LiveMapper
from ig_ros.map_io import save_map
from ig_ros.mapper import Mapper
from ig_ros.viewer import view


@pytest.fixture(scope="module")
def trained() -> Mapper:
    return map_of_cards(5, 30)


def test_a_saved_map_is_shown_with_its_gaussians(trained: Mapper, tmp_path: Path) -> None:
    save_map(trained, tmp_path / "map")
    with saved(tmp_path) as (source, _):
        shown = source.snapshot()
        assert trained.latest is not None
        assert shown.gaussians is not None
        assert shown.gaussians.means.numpy() == pytest.approx(trained.latest.xyz, abs=1e-5)
        assert shown.instances.objects == () or shown.instances.objects[0].id == trained.latest.instances.objects[0].id


def test_a_map_that_was_trained_on_is_grouped_anew_with_the_same_ids(trained: Mapper, tmp_path: Path) -> None:
    assert trained.latest is not None
    known = {o.id for o in trained.latest.instances.objects}
    trained.train_step()
    save_map(trained, tmp_path / "map")
    with saved(tmp_path) as (source, _):
        shown = source.snapshot()
        assert shown.gaussians is not None
        assert shown.step == trained.trainer.step > trained.latest.step
        assert shown.gaussians.means.numpy() == pytest.approx(trained.freeze().gaussians.means.numpy(), abs=1e-5)
        assert len(shown.instances.point_ids) == len(shown.gaussians.means)
        assert known
        assert {o.id for o in shown.instances.objects} == known


def test_a_map_saved_while_it_is_trained_is_shown_with_its_gaussians(tmp_path: Path) -> None:
    """As the node's ig/save_map does it."""
    mapper = LiveMapper(small_config())
    mapper.start()
    try:
        for frame in orbit(5):
            mapper.submit(frame)
        wait_until(lambda: mapper.stats().keyframes == 5, "the frames")
        grouped = mapper.instantiate().result(60).step
        wait_until(lambda: mapper.stats().steps > grouped + 5, "training after the objects were found")
        mapper.save(tmp_path / "map").result(60)
    finally:
        mapper.stop()
    with saved(tmp_path) as (source, _):
        shown = source.snapshot()
        assert shown.step > grouped
        assert shown.gaussians is not None
        assert len(shown.gaussians.means) == len(shown.xyz) > 100


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
    assert contents.mapper.latest is not None
    assert contents.mapper.latest.step == contents.mapper.trainer.step, "nothing is trained between objects and file"
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


def test_ctrl_c_ends_it_with_the_code_the_documentation_names(trained: Mapper, tmp_path: Path) -> None:
    save_map(trained, tmp_path / "map")
    command = [sys.executable, "-m", "ig_ros.cli", "view", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
        assert served.stderr is not None
        assert "http://" in served.stderr.readline()
        served.send_signal(signal.SIGINT)
        assert served.wait(30) == 130

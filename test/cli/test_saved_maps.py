"""`ig info`, `ig eval` and `ig export` on a map that `ig map` has left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import orbit, small_config
from plyfile import PlyData
from scannet_writer import write_scannet_layout

from ig_ros.colors import id_colors
from ig_ros.datasets import open_dataset
from ig_ros.map_io import save_map
from ig_ros.mapper import Mapper

SCENE = "sim:tabletop?width=96&frames=16&masks=exact"
Ig = Callable[..., Any]
Mapped = tuple[Path, dict[str, Any]]


def test_eval_of_the_saved_map_gives_the_figures_of_the_run(ig: Ig, mapped: Mapped) -> None:
    out, made = mapped
    done = ig("eval", out, "--truth", SCENE, "--no-queries", "--json")
    assert done.code == 0, done.err
    judged = json.loads(done.out)
    for name in ("instance", "average_precision", "coverage", "psnr", "ssim", "render_miou", "gaussians", "steps"):
        assert judged[name] == made[name], name


def test_eval_selects_and_renders_by_name_in_the_held_out_views(ig: Ig, mapped: Mapped) -> None:
    """Without an encoder a thing answers to its name alone; 20 steps make no good map, but not an empty one."""
    done = ig("eval", mapped[0], "--truth", SCENE, "--json")
    assert done.code == 0, done.err
    judged = json.loads(done.out)
    assert judged["selection"]["pairs"] > 8
    assert 10 < judged["selection"]["miou"] < 100
    assert judged["selection"]["macc25"] >= judged["selection"]["miou"] / 2
    assert "selection" not in json.loads(ig("eval", mapped[0], "--truth", SCENE, "--no-views", "--json").out)


def test_eval_reads_the_truth_of_a_scannet_folder(ig: Ig, mapped: Mapped, tmp_path: Path) -> None:
    out, made = mapped
    write_scannet_layout(open_dataset(SCENE), tmp_path / "scene")
    done = ig("eval", out, "--truth", tmp_path / "scene", "--no-queries", "--json")
    assert done.code == 0, done.err
    judged = json.loads(done.out)
    assert judged["instance"]["miou"] == pytest.approx(made["instance"]["miou"], abs=0.01)
    assert judged["psnr"] == pytest.approx(made["psnr"], abs=0.5)  # JPEG
    assert 30 < judged["semantic"]["miou"] <= 100  # the masks were exact, and so are most names
    assert judged["semantic"]["macc"] >= judged["semantic"]["miou"]


def test_a_goal_decides_about_the_exit_code(ig: Ig, mapped: Mapped) -> None:
    out, made = mapped
    miou = made["instance"]["miou"]
    common = ["eval", out, "--truth", SCENE, "--no-queries", "--no-views", "--json"]
    assert ig(*common, "--goal", f"instance.miou={miou - 1}").code == 0
    missed = ig(*common, "--goal", f"instance.miou={miou + 1}")
    assert missed.code == 1
    assert json.loads(missed.out)["goals_missed"] == ["instance.miou"]
    assert "goal missed" in missed.err


@pytest.mark.parametrize(("goal", "says"), [("miou", "NAME=number"), ("nonsense=3", "nonsense")])
def test_a_goal_nobody_can_check_is_a_mistake(ig: Ig, mapped: Mapped, goal: str, says: str) -> None:
    done = ig("eval", mapped[0], "--truth", SCENE, "--no-queries", "--no-views", "--goal", goal)
    assert done.code == 2
    assert says.lower() in done.err.lower()


def test_eval_against_what_has_no_truth_says_so(ig: Ig, mapped: Mapped, tmp_path: Path) -> None:
    assert ig("play", "sim:tabletop?width=64&frames=3", "--record", tmp_path / "b.mcap").code == 0
    done = ig("eval", mapped[0], "--truth", tmp_path / "b.mcap")
    assert done.code == 2
    assert "no truth" in done.err


def test_info_counts_what_is_there(ig: Ig, mapped: Mapped) -> None:
    out, made = mapped
    done = ig("info", out, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    for name in ("steps", "keyframes", "anchors", "gaussians", "instances"):
        assert told[name] == made[name]
    assert told["images"] == "96x72"
    assert told["parameters"]["seeding.voxel"] == 0.03
    assert "device" not in told["parameters"]
    assert [o["id"] for o in told["objects"]] == [o["id"] for o in json.loads((out / "instances.json").read_text())]
    shown = ig("info", out)
    assert shown.code == 0
    assert all(o["label"] in shown.out for o in told["objects"])


@pytest.mark.parametrize(
    ("kind", "name", "what"),
    [
        ("splat", "splat.ply", "gaussians"),
        ("ply", "labelled.ply", "points"),
        ("pcd", "labelled.pcd", "points"),
        ("objects", "objects", "objects"),
        ("mcap", "results.mcap", "messages"),
    ],
)
def test_every_format_is_written_where_it_is_said(
    ig: Ig, mapped: Mapped, tmp_path: Path, kind: str, name: str, what: str
) -> None:
    out, made = mapped
    target = tmp_path / name
    done = ig("export", out, kind, "--out", target, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["format"] == kind
    assert told["path"] == str(target)
    assert target.exists()
    expected = {"gaussians": made["gaussians"], "points": made["gaussians"], "objects": made["instances"]}
    assert told[what] == expected.get(what, 6)


def test_the_default_place_is_the_maps_own_folder(ig: Ig, mapped: Mapped) -> None:
    out, made = mapped
    assert ig("export", out, "ply").code == 0
    assert len(PlyData.read(str(out / "export" / "labelled.ply"))["vertex"]) == made["gaussians"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["export", "/nowhere", "ply", "--out", "x.ply"], "/nowhere"),
        (["info", "/nowhere"], "/nowhere"),
        (["eval", "/nowhere", "--truth", "sim:moon"], "moon"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    ig: Ig, arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = ig(*arguments)
    assert done.code == 2
    assert says in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_objects_can_be_painted_and_taken_out_alone(ig: Ig, mapped: Mapped, tmp_path: Path) -> None:
    out, _ = mapped
    entry = json.loads((out / "instances.json").read_text())[0]
    done = ig("export", out, "splat", "--only", entry["id"], "--paint", "--out", tmp_path / "one.ply", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["gaussians"] == entry["points"]
    vertex = PlyData.read(str(tmp_path / "one.ply"))["vertex"]
    color = np.stack([0.5 + 0.28209479177387814 * vertex[f"f_dc_{i}"] for i in range(3)], axis=1)
    np.testing.assert_allclose(255 * color, np.broadcast_to(id_colors(np.array(entry["id"])), color.shape), atol=0.01)
    cloud = PlyData.read(str(out / "points.ply"))["vertex"]
    own = cloud["instance"] == entry["id"]
    np.testing.assert_allclose(vertex["x"], cloud["x"][own], atol=1e-5)
    refused = ig("export", out, "splat", "--only", "4711")
    assert refused.code == 2
    assert "4711" in refused.err


def test_only_splats_can_be_turned(ig: Ig, mapped: Mapped) -> None:
    done = ig("export", mapped[0], "ply", "--axes", "viewer")
    assert done.code == 2
    assert "--axes" in done.err


def test_a_bag_is_never_overwritten(ig: Ig, mapped: Mapped, tmp_path: Path) -> None:
    (tmp_path / "mine.mcap").write_text("precious")
    done = ig("export", mapped[0], "mcap", "--out", tmp_path / "mine.mcap")
    assert done.code == 2
    assert (tmp_path / "mine.mcap").read_text() == "precious"


def test_a_map_without_objects_can_be_looked_into_and_drawn(ig: Ig, tmp_path: Path) -> None:
    mapper = Mapper(small_config())
    for frame in orbit(3):
        mapper.add_frame(frame)
    save_map(mapper, tmp_path / "map")
    told = json.loads(ig("info", tmp_path / "map", "--json").out)
    assert (told["keyframes"], told["instances"], told["objects_of_step"], told["objects"]) == (3, 0, None, [])
    splat = ig("export", tmp_path / "map", "splat", "--json")
    assert splat.code == 0, splat.err
    assert json.loads(splat.out)["gaussians"] == told["gaussians"] > 100
    refused = ig("export", tmp_path / "map", "ply")
    assert refused.code == 2
    assert "no objects yet" in refused.err


def test_a_question_per_line_of_stdin(ig: Ig, mapped: Mapped) -> None:
    done = ig("query", mapped[0], "-", "--json", stdin="the table\n\nthe piano\n")
    first, second = map(json.loads, done.out.splitlines())
    assert first["status"] == "found"
    assert second["status"] == "absent"
    assert done.code == 1, "one of them is not there"


def test_ask_stays_loaded_and_survives_a_question_without_words(ig: Ig, mapped: Mapped) -> None:
    done = ig("ask", mapped[0], stdin="the table\n???\nthe table\n\nnever asked\n")
    assert done.code == 0, done.err
    assert done.out.count("'the table' is 'table'") == 2
    assert "has no word in it" in done.err


@pytest.mark.parametrize(
    ("kind", "name"), [("ply", "x.pcd"), ("pcd", "x.ply"), ("objects", "x.ply"), ("splat", "x.mcap")]
)
def test_a_file_name_that_says_another_format_is_refused(ig: Ig, mapped: Mapped, kind: str, name: str) -> None:
    done = ig("export", mapped[0], kind, "--out", mapped[0] / name)
    assert done.code == 2
    assert f"{kind} is not written to a file called {name}" in done.err
    assert not (mapped[0] / name).exists()


def test_a_place_that_is_not_there_is_named_as_it_was_typed(ig: Ig, tmp_path: Path) -> None:
    for command in (("query", "nothing/here", "mug"), ("info", "nothing/here"), ("map", "nothing/here")):
        done = ig(*command)
        assert done.code == 2
        assert ": nothing/here" in done.err
        assert "no such" in done.err


def test_a_mistyped_name_is_answered_with_the_nearest(ig: Ig) -> None:
    for options, meant in (
        (("--set", "trainig.seed=3"), "training"),
        (("--segmenter", "geometrik"), "geometric"),
    ):
        assert f"did you mean '{meant}'?" in ig("map", "sim:tabletop", "--steps", "1", *options).err
    assert "did you mean 'tabletop'?" in ig("map", "sim:tabeltop", "--steps", "1").err

"""`ig map` and `ig query`: the files they promise, the answers they give, one line for every mistake."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from plyfile import PlyData

SCENE = "sim:tabletop?width=96&frames=16&masks=exact"
STEPS = 20
HELD_OUT = {7, 15}  # every eighth of 16 frames


Ig = Callable[..., Any]


def test_the_cloud_has_the_promised_columns(mapped: tuple[Path, dict[str, Any]]) -> None:
    out, figures = mapped
    vertex = PlyData.read(str(out / "points.ply"))["vertex"]
    assert [p.name for p in vertex.properties] == ["x", "y", "z", "red", "green", "blue", "instance", "opacity"]
    assert len(vertex) == figures["gaussians"] > 1000
    assert vertex["instance"].dtype == np.int32
    assert vertex["red"].dtype == np.uint8
    assert np.isfinite(vertex["x"]).all()
    assert (vertex["opacity"] > 0).all()
    assert (vertex["opacity"] <= 1).all()
    objects = json.loads((out / "instances.json").read_text())
    assert set(np.unique(vertex["instance"]).tolist()) <= {o["id"] for o in objects} | {-1}
    for entry in objects:
        assert entry["points"] == (vertex["instance"] == entry["id"]).sum()


def test_the_objects_have_the_promised_keys(mapped: tuple[Path, dict[str, Any]]) -> None:
    out, figures = mapped
    objects = json.loads((out / "instances.json").read_text())
    assert len(objects) == figures["instances"] > 3
    assert len({o["id"] for o in objects}) == len(objects)
    for o in objects:
        assert set(o) == {"id", "label", "score", "confidence", "certainty", "views", "pose", "size", "points"}
        assert o["id"] >= 1
        assert isinstance(o["label"], str)
        assert 0 <= o["score"] <= 1
        assert 0 <= o["confidence"] <= 1
        assert 0 <= o["certainty"] <= 1
        assert o["views"] >= 2
        assert len(o["pose"]["position"]) == len(o["size"]) == 3
        assert np.linalg.norm(o["pose"]["orientation"]) == pytest.approx(1.0)
        assert min(o["size"]) >= 0
    assert any(o["label"] for o in objects)


@pytest.mark.parametrize(("folder", "kind", "shape"), [
    ("held_out", np.uint8, (72, 96, 3)), ("held_out_instances", np.uint16, (72, 96)),
])  # fmt: skip
def test_held_out_pictures_are_named_by_frame(
    mapped: tuple[Path, dict[str, Any]], folder: str, kind: type, shape: tuple[int, ...]
) -> None:
    out, _ = mapped
    assert {p.name for p in (out / folder).iterdir()} == {f"{i}.png" for i in HELD_OUT}
    for i in HELD_OUT:
        image = cv2.imread(str(out / folder / f"{i}.png"), cv2.IMREAD_UNCHANGED)
        assert image.dtype == kind
        assert image.shape == shape
        assert len(np.unique(image)) > 1
    if folder == "held_out_instances":
        known = {o["id"] for o in json.loads((out / "instances.json").read_text())}
        assert set(np.unique(image).tolist()) <= known | {0}


def test_figures_are_written_and_printed_alike(mapped: tuple[Path, dict[str, Any]]) -> None:
    out, printed = mapped
    written = json.loads((out / "metrics.json").read_text())
    assert written == printed
    assert written["steps"] == STEPS
    assert written["frames"] == 16
    assert 2 <= written["keyframes"] <= 16 - len(HELD_OUT)
    assert 8 < written["psnr"] < 60
    assert 0 < written["ssim"] <= 1
    assert 0 < written["instance"]["miou"] <= 100
    assert written["instance"]["found"] <= written["instance"]["true"]
    assert written["dropped"] == {}


def test_the_saved_map_answers(ig: Ig, mapped: tuple[Path, dict[str, Any]]) -> None:
    out, _ = mapped
    objects = json.loads((out / "instances.json").read_text())
    wanted = next(o for o in objects if o["label"])
    for folder in (out, out / "map"):
        done = ig("query", folder, wanted["label"], "--json")
        assert done.code == 0, done.err
        answer = json.loads(done.out)
        assert answer["status"] == "found"
        assert wanted["label"] == answer["objects"][0]["label"]
    table = ig("query", out, wanted["label"])
    assert table.code == 0
    assert wanted["label"] in table.out


def test_a_thing_that_is_not_there_is_exit_code_1(ig: Ig, mapped: tuple[Path, dict[str, Any]]) -> None:
    done = ig("query", mapped[0], "submarine", "--json")
    assert done.code == 1
    assert json.loads(done.out) == {"status": "absent", "message": json.loads(done.out)["message"], "objects": []}
    assert "submarine" in done.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["map", "/nowhere/at/all"], "/nowhere/at/all"),
        (["map", "sim:tabletop?frames=16", "--set", "training.sed=1"], "training.sed"),
        (["map", "sim:tabletop", "--set", "training.seed"], "name=value"),
        (["map", "sim:moon"], "moon"),
        (["query", "/nowhere/at/all", "mug"], "/nowhere/at/all"),
        (["map", "sim:tabletop", "--config", "/nowhere.yaml"], "/nowhere.yaml"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(ig: Ig, arguments: list[str], says: str) -> None:
    done = ig(*arguments)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_an_empty_question_is_exit_code_2(ig: Ig, mapped: tuple[Path, dict[str, Any]]) -> None:
    done = ig("query", mapped[0], "  ")
    assert done.code == 2
    assert "empty" in done.err


def test_a_folder_that_cannot_be_made_is_refused_before_the_mapping(ig: Ig, tmp_path: Path) -> None:
    (tmp_path / "[file]").write_text("mine")
    target = tmp_path / "[file]" / "out"
    begin = time.monotonic()
    done = ig("map", SCENE, "--out", target, "--seconds", "60")
    assert time.monotonic() - begin < 30
    assert done.code == 2
    assert str(target) in done.err  # brackets and all
    assert len(done.err.strip().splitlines()) == 1

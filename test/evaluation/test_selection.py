"""Laws of select-and-render: pixel by pixel what a text selects, on a map that is known exactly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cards import map_of_cards
from colmap_folder import FIRST, scene, write_labels
from helpers import CAMERA, CARDS, ground_frame, look_at

from ig_ros.config import InputConfig
from ig_ros.datasets.base import SelectionTruth
from ig_ros.evaluation.held_out import selection_iou
from ig_ros.geometry import transform
from ig_ros.map_io import save_map
from ig_ros.types import (
    BoolArray,
    Frame,
    GaussianBatch,
    Instances,
    MapSnapshot,
    ObjectInstance,
    QueryHit,
    QueryResult,
    QueryStatus,
)

POSE = look_at((0.0, 0.0, 0.8), (0.0, 0.0, 0.0))
LARGE = CAMERA.resized(192, 144)
THINGS = {name: number for number, (name, _) in CARDS.items()}


class OneView(list[Frame]):
    """One frame as a dataset."""

    name, truth = "one", None


def perfect_map() -> MapSnapshot:
    """A small opaque Gaussian on the ray of every pixel of one view: what is drawn there is the ground's own labels."""
    frame = ground_frame(POSE)
    assert frame.depth is not None
    assert frame.masks is not None
    rows, cols = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width]
    rays = np.stack([cols + 0.5, rows + 0.5, np.ones(rows.shape)], axis=2) @ np.linalg.inv(CAMERA.K).T
    xyz = transform(POSE, (rays * frame.depth[..., None]).reshape(-1, 3)).astype(np.float32)
    ids = frame.masks.labels.ravel()
    n = len(ids)
    gaussians = GaussianBatch(
        torch.from_numpy(xyz), torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1), torch.full((n, 3), 0.002),
        torch.full((n,), 0.99), torch.zeros(n, 3), torch.arange(n),
    )  # fmt: skip
    objects = tuple(ObjectInstance(i, name, 1.0, 3, np.eye(4), np.ones(3), 1) for name, i in THINGS.items())
    instances = Instances(np.where(ids > 0, ids, -1).astype(np.int32), np.ones(n, np.float32), objects)
    return MapSnapshot(1, 1, 0, xyz, np.zeros((n, 3), np.uint8), np.ones(n), instances, gaussians=gaussians)


def card_masks(frame: Frame) -> dict[str, BoolArray]:
    assert frame.masks is not None
    return {name: frame.masks.labels == number for name, number in THINGS.items()}


def answering(snapshot: MapSnapshot, names: Mapping[str, str]) -> Callable[[str], QueryResult]:
    """Text -> the object of the name that `names` gives it, or nothing."""

    def ask(text: str) -> QueryResult:
        hits = tuple(QueryHit(o, 1.0) for o in snapshot.instances.objects if o.label == names.get(text))
        return QueryResult(QueryStatus.FOUND if hits else QueryStatus.ABSENT, hits, "")

    return ask


def score(
    frame: Frame, masks: Mapping[str, BoolArray], names: Mapping[str, str], settings: InputConfig | None = None
) -> dict[tuple[int, str], float]:
    snapshot = perfect_map()
    truth = SelectionTruth((0,), lambda _: masks)
    return selection_iou(
        snapshot, answering(snapshot, names), OneView([frame]), truth, settings or InputConfig()  # type: ignore[arg-type]
    )  # fmt: skip


RIGHT = {name: name for name in THINGS}


def test_a_perfect_map_scores_100() -> None:
    frame = ground_frame(POSE)
    assert score(frame, card_masks(frame), RIGHT) == {(0, "red card"): 1.0, (0, "blue card"): 1.0}


def test_a_text_that_finds_nothing_selects_nothing() -> None:
    frame = ground_frame(POSE)
    result = score(frame, card_masks(frame), {"red card": "red card"})
    assert result == {(0, "red card"): 1.0, (0, "blue card"): 0.0}


def test_the_wrong_object_is_worth_as_little_as_none() -> None:
    frame = ground_frame(POSE)
    swapped = {"red card": "blue card", "blue card": "red card"}
    assert set(score(frame, card_masks(frame), swapped).values()) == {0.0}


def test_all_objects_of_a_text_share_its_mask() -> None:
    frame = ground_frame(POSE)
    snapshot = perfect_map()
    hits = tuple(QueryHit(o, 1.0) for o in snapshot.instances.objects)
    both = SelectionTruth((0,), lambda _: {"card": np.logical_or(*card_masks(frame).values())})
    result = selection_iou(
        snapshot, lambda _: QueryResult(QueryStatus.FOUND, hits, ""), OneView([frame]), both, InputConfig()  # type: ignore[arg-type]
    )  # fmt: skip
    assert result == {(0, "card"): 1.0}


def test_views_are_drawn_small_and_compared_at_the_size_of_the_truth() -> None:
    large = ground_frame(POSE, camera=LARGE)
    doubled = {name: np.kron(mask, np.ones((2, 2))) > 0 for name, mask in card_masks(ground_frame(POSE)).items()}
    assert doubled["red card"].shape == large.rgb.shape[:2]
    assert set(score(large, doubled, RIGHT, InputConfig(max_width=CAMERA.width)).values()) == {1.0}


def test_a_snapshot_without_gaussians_cannot_be_drawn() -> None:
    bare = MapSnapshot(
        1, 1, 0, np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0),
        Instances(np.zeros(0, np.int32), np.zeros(0)),
    )  # fmt: skip
    truth = SelectionTruth((0,), lambda _: {})
    with pytest.raises(ValueError, match="without Gaussians"):
        selection_iou(bare, answering(bare, {}), OneView([ground_frame(POSE)]), truth, InputConfig())  # type: ignore[arg-type]


# ig eval on a folder with LERF-OVS labels


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of the ground, with names but without an encoder."""
    mapper = map_of_cards(9, 40, threads=1)
    home: Path = tmp_path_factory.mktemp("selection") / "map"
    save_map(mapper, home)
    return home


@pytest.fixture
def ig_eval(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Exit code, stdout and stderr of `ig eval`."""
    from ig_ros.cli import main

    def run(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["ig", "eval", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return run


def test_eval_scores_the_annotated_views_of_a_lerf_folder(
    ig_eval: Callable[..., tuple[int, str, str]], saved: Path, tmp_path: Path
) -> None:
    folder, frames = scene(tmp_path, n=9)
    for i in (2, 6):
        write_labels(tmp_path / "label" / "cards", frames[i], i + FIRST)
    code, out, err = ig_eval(saved, "--truth", folder, "--json", "--goal", "selection.miou=50")
    assert code == 0, err
    figures = json.loads(out)
    assert figures["selection"]["pairs"] == 6, "two cards and both of them, in two views"
    assert figures["selection"]["macc25"] >= 200 / 3 - 0.01
    assert figures["selection"]["miou"] > 50
    assert figures["psnr"] > 10, "the held-out view is judged as ever"
    assert "instance" not in figures
    assert "selection.macc25" in ig_eval(saved, "--truth", folder)[1]
    assert ig_eval(saved, "--truth", folder, "--goal", "selection.miou=100")[0] == 1


def test_eval_says_what_a_folder_without_labels_lacks_and_what_one_with_labels_needs(
    ig_eval: Callable[..., tuple[int, str, str]], saved: Path, tmp_path: Path
) -> None:
    folder, frames = scene(tmp_path)
    code, _, err = ig_eval(saved, "--truth", folder)
    assert code == 2
    assert "no truth" in err
    assert "label/frame_NNNNN.json" in err
    write_labels(folder / "label", frames[0], FIRST)
    code, _, err = ig_eval(saved, "--truth", folder, "--no-queries")
    assert code == 2
    assert "--no-queries" in err

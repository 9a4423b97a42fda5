"""`ig map` on recordings with bad files: what is there is mapped and saved, what was left out is said in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from helpers import CAMERA, orbit

Ig = Callable[..., Any]
SETTINGS = [
    "language.encoder=none", "keyframes.max_speed=1000", "seeding.voxel=0.03", "instances.sub_objects=300",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixteen RGB-D frames of the ground as 7-Scenes."""
    root = tmp_path / "ground"
    root.mkdir()
    np.savetxt(root / "camera-intrinsics.txt", CAMERA.K - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    for i, frame in enumerate(orbit(16)):
        assert frame.depth is not None
        cv2.imwrite(str(root / f"frame-{i:06d}.color.png"), frame.rgb[..., ::-1])
        cv2.imwrite(str(root / f"frame-{i:06d}.depth.png"), (frame.depth * 1000).astype(np.uint16))
        np.savetxt(root / f"frame-{i:06d}.pose.txt", frame.T_world_camera)
    return root


@pytest.fixture
def mapping(ig: Ig, folder: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(*options: str) -> Any:
        arguments = ["map", folder, "--out", tmp_path / "out", "--steps", "3", "--json", "--no-report", *options]
        return ig(*arguments, *(f"--set={s}" for s in SETTINGS))

    return run


@pytest.mark.field("broken", "ig map of a folder with broken and missing files", "mapped, saved, one line says it")
def test_bad_files_are_said_at_the_end(mapping: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    (folder / "frame-000003.color.png").write_bytes(b"\x89PNG")
    (folder / "frame-000007.color.png").write_bytes(b"held out")
    (folder / "frame-000005.depth.png").unlink()
    cv2.imwrite(str(folder / "frame-000009.color.png"), np.zeros((9, 9, 3), np.uint8))
    done = mapping()
    assert done.code == 0, done.err
    lines = [line for line in done.err.splitlines() if "left out:" in line]
    assert len(lines) == 1
    for text in ("2 x broken_image", "1 x missing_depth", "1 x image_size", "frame-000005.depth.png", "9x9"):
        assert text in lines[0]
    figures = json.loads(done.out)
    assert figures["dropped"] == {"missing_depth": 1, "broken_image": 2, "image_size": 1}
    assert (tmp_path / "out" / "map" / "map.json").is_file()
    assert {p.name for p in (tmp_path / "out" / "held_out").iterdir()} == {"15.png"}
    assert mapping("--strict").code == 1


def test_good_files_are_strict(mapping: Callable[..., Any]) -> None:
    done = mapping("--strict")
    assert done.code == 0, done.err
    assert "left out" not in done.err


@pytest.mark.field("broken", "ig map of a folder of which nothing can be used", "refused, exit code 2")
@pytest.mark.parametrize("kind", ["color", "pose"])
def test_nothing_usable_is_an_error(mapping: Callable[..., Any], folder: Path, tmp_path: Path, kind: str) -> None:
    for path in folder.glob(f"*.{kind}.*"):
        path.write_bytes(b"nothing")
    done = mapping()
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "out" / "map").exists()


class Disk(NamedTuple):
    """As shutil.disk_usage returns it."""

    total: int
    used: int
    free: int


@pytest.mark.field("broken", "--out that is a file or has no room", "refused before mapping, one line")
def test_the_output_folder_is_tried_before_mapping(
    mapping: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_text("mine")
    done = mapping()
    assert done.code == 2
    assert "is a file" in done.err
    assert (tmp_path / "out").read_text() == "mine"
    (tmp_path / "out").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: Disk(1 << 30, 1 << 30, 5 << 20))
        done = mapping()
    assert done.code == 2
    assert "5 MiB are free" in done.err

    def refuse(**_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    done = mapping()
    assert done.code == 2
    assert "Read-only file system" in done.err
    assert len(done.err.strip().splitlines()) == 1

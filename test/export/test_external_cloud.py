"""A map's objects on a given cloud or mesh: read back, the labels lie where the cards are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open3d as o3d
import pytest
from cards import map_of_cards
from helpers import CARDS, HALF, ground_labels
from plyfile import PlyData, PlyElement

from ig_ros.cli import main
from ig_ros.colors import id_colors
from ig_ros.errors import StorageError
from ig_ros.export import read_cloud
from ig_ros.map_io import save_map

Export = Callable[..., tuple[int, str, str]]
CARD_RGB = {1: (220, 60, 60), 2: (60, 80, 220)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved map of the ground with its two cards."""
    mapper = map_of_cards(6, 40, threads=1)
    path: Path = tmp_path_factory.mktemp("onto") / "map"
    save_map(mapper, path)
    return path


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Export:
    """Exit code, stdout and stderr of `ig export`."""

    def run(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["ig", "export", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return run


def card_points() -> np.ndarray:
    """(P, 3) float32: a centimetre grid on both cards, then one point two metres up and one that is not finite."""
    side = np.arange(-HALF + 0.02, HALF - 0.02, 0.01)
    on = [(cx + x, cy + y, 0.0) for _, (cx, cy) in CARDS.values() for x in side for y in side]
    return np.array([*on, (0.0, 0.0, 2.0), (np.nan, 0.0, 0.0)], np.float32)


def write_mesh(path: Path, xyz: np.ndarray, colored: bool = True) -> np.ndarray:
    """A PLY of the points with two faces; returns the colours."""
    labels = ground_labels(xyz[:, 0], xyz[:, 1])
    rgb = np.array([CARD_RGB.get(int(i), (128, 128, 128)) for i in labels], np.uint8)
    columns = [(n, "f4") for n in "xyz"] + ([(n, "u1") for n in ("red", "green", "blue")] if colored else [])
    vertex = np.zeros(len(xyz), columns)
    for k, name in enumerate("xyz"):
        vertex[name] = xyz[:, k]
    for k, name in enumerate(("red", "green", "blue") if colored else ()):
        vertex[name] = rgb[:, k]
    faces = np.zeros(2, [("vertex_indices", "i4", (3,))])
    faces["vertex_indices"] = [[0, 1, 2], [2, 3, 4]]
    PlyData([PlyElement.describe(vertex, "vertex"), PlyElement.describe(faces, "face")]).write(str(path))
    return rgb


@pytest.mark.parametrize("way", [[], ["--plain"]])
def test_a_mesh_gets_the_objects_of_the_map(export: Export, home: Path, tmp_path: Path, way: list[str]) -> None:
    xyz = card_points()
    rgb = write_mesh(tmp_path / "mesh.ply", xyz)
    out = tmp_path / "labelled.ply"
    code, text, err = export(home, "onto", "--cloud", tmp_path / "mesh.ply", "--out", out, "--json", *way)
    assert code == 0, err
    told, data = json.loads(text), PlyData.read(str(out))
    vertex = data["vertex"]
    assert (told["format"], told["path"], told["points"]) == ("onto", str(out), len(xyz))
    ids = vertex["instance_id"]
    assert told["coverage"] == pytest.approx((ids >= 0).mean(), abs=1e-3)
    np.testing.assert_array_equal(np.stack([vertex[a] for a in "xyz"], 1), xyz)
    np.testing.assert_array_equal(np.stack([vertex[c] for c in ("red", "green", "blue")], 1), rgb)
    np.testing.assert_array_equal(np.stack(list(data["face"]["vertex_indices"])), [[0, 1, 2], [2, 3, 4]])
    assert ids[-2:].tolist() == [-1, -1], "far from the map, and nowhere"
    assert (vertex["confidence"][-2:] == 0).all()
    card = ground_labels(xyz[:-2, 0], xyz[:-2, 1])
    names = dict(c.split(" ", 2)[1:] for c in data.comments)
    for number, (name, _) in CARDS.items():
        own = ids[:-2][card == number]
        main_id = np.bincount(own[own >= 0]).argmax()
        assert names[str(main_id)] == name
        assert (own == main_id).mean() > 0.9
        assert vertex["confidence"][:-2][card == number][own == main_id].min() > 0


def test_a_cloud_without_colours_is_painted_by_its_objects(export: Export, home: Path, tmp_path: Path) -> None:
    xyz = card_points()
    write_mesh(tmp_path / "bare.ply", xyz, colored=False)
    write_mesh(tmp_path / "colored.ply", xyz)
    for name, more in (("bare", []), ("colored", ["--paint"])):
        code, text, err = export(home, "onto", "--cloud", tmp_path / f"{name}.ply", "--plain", *more)
        assert code == 0, err
        assert "% of them on an object" in text
        vertex = PlyData.read(str(home / "export" / "onto.ply"))["vertex"]
        shown = np.stack([vertex[c] for c in ("red", "green", "blue")], 1)
        known = vertex["instance_id"] >= 0
        np.testing.assert_array_equal(shown[known], id_colors(vertex["instance_id"][known]))
        assert (shown[~known] == 128).all()


def test_a_pcd_reads_as_its_ply(tmp_path: Path) -> None:
    xyz = card_points()
    rgb = write_mesh(tmp_path / "c.ply", xyz)
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(xyz.astype(np.float64)))
    cloud.colors = o3d.utility.Vector3dVector(rgb / 255.0)
    assert o3d.io.write_point_cloud(str(tmp_path / "c.pcd"), cloud)
    ply, pcd = read_cloud(tmp_path / "c.ply"), read_cloud(tmp_path / "c.pcd")
    np.testing.assert_array_equal(pcd.xyz, ply.xyz)
    assert pcd.rgb is not None
    assert ply.rgb is not None
    np.testing.assert_allclose(pcd.rgb.astype(int), ply.rgb, atol=1)
    assert pcd.faces is None


@pytest.mark.parametrize(("name", "content"), [("a.ply", b"ply\nnonsense"), ("a.pcd", b"nonsense"), ("a.obj", b"v 0")])
def test_what_is_no_cloud_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StorageError, match=name):
        read_cloud(tmp_path / name)


def test_mistakes_are_one_line(export: Export, home: Path, tmp_path: Path) -> None:
    far = card_points() + np.float32(50)
    write_mesh(tmp_path / "far.ply", far)
    far_bytes = (tmp_path / "far.ply").read_bytes()
    for arguments, says in (
        (["onto"], "--cloud"),
        (["onto", "--cloud", tmp_path / "none.ply"], "none.ply"),
        (["onto", "--cloud", tmp_path / "far.ply", "--plain"], "metres"),
        (["onto", "--cloud", tmp_path / "far.ply", "--out", tmp_path / "far.ply"], "overwritten"),
        (["onto", "--cloud", tmp_path / "far.ply", "--axes", "viewer"], "--axes"),
        (["ply", "--cloud", tmp_path / "far.ply"], "--cloud"),
        (["ply", "--paint"], "--paint"),
    ):
        code, _, err = export(home, *arguments)
        assert code == 2, arguments
        assert says in err, arguments
        assert len(err.strip().splitlines()) == 1, err
    assert (tmp_path / "far.ply").read_bytes() == far_bytes


def test_a_map_that_no_mask_vouches_for_asks_for_the_plain_way(export: Export, tmp_path: Path) -> None:
    """Keyframes whose masks are all elsewhere than its objects: here their label images are emptied after grouping."""
    mapper = map_of_cards(4, 10, threads=1)
    for keyframe in mapper.keyframes.items:
        keyframe.masks = None
    save_map(mapper, tmp_path / "map")
    write_mesh(tmp_path / "mesh.ply", card_points())
    code, _, err = export(tmp_path / "map", "onto", "--cloud", tmp_path / "mesh.ply")
    assert code == 2
    assert "--plain" in err
    assert export(tmp_path / "map", "onto", "--cloud", tmp_path / "mesh.ply", "--plain")[0] == 0

"""From a path to the right reader: layouts do not take each other's folders, and near misses are explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from ig_ros.datasets import missing_truth, open_dataset
from ig_ros.errors import DatasetError


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        (("color/0.jpg",), ("pose", "intrinsic_color.txt")),
        (("scene0000_00_vh_clean_2.ply",), ("color", "pose", "intrinsic_color.txt")),
        (("scene0000_00.sens",), ("scene0000_00.sens", "version 4")),
        (("sparse/0/images.bin",), ("cameras.bin",)),
        (("rgb/rgb_0.png",), ("traj_w_c.txt",)),
        (("imap/00/traj_w_c.txt",), ("rgb",)),
        (("results/frame000000.jpg",), ("traj.txt",)),
        (("frame-000000.color.png",), ("camera-intrinsics.txt", "frame-000000.pose.txt")),
        (("rgb.txt",), ("groundtruth.txt",)),
        (("mav0/cam0/data.csv",), ("sensor.yaml", "state_groundtruth_estimate0")),
    ],
)
def test_a_folder_that_is_nearly_one_names_every_missing_piece(
    tmp_path: Path, present: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    for name in present:
        path = tmp_path / name
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\n")
        else:
            path.mkdir(parents=True)
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path)
    for name in missing:
        assert str(tmp_path) in str(caught.value)
        assert name in str(caught.value)


def test_a_folder_that_is_none_hears_of_all_layouts(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"7-Scenes.*ScanNet.*vMAP.*NICE-SLAM.*COLMAP"):
        open_dataset(tmp_path)


def test_the_folder_above_the_scenes_points_to_them(tmp_path: Path) -> None:
    for scene in ("scene0000_00", "scene0062_00"):
        (tmp_path / scene / "color").mkdir(parents=True)
        (tmp_path / scene / "color" / "0.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match="scene0000_00, scene0062_00"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("query", ["mask=truth", "masks=good", "frames=3"])
def test_unknown_options_of_a_folder_are_refused(tmp_path: Path, query: str) -> None:
    (tmp_path / "frame-000000.pose.txt").write_text("")
    with pytest.raises(DatasetError, match="masks=files or masks=truth"):
        open_dataset(f"{tmp_path}?{query}")


def test_layouts_without_instance_images_refuse_exact_masks(tmp_path: Path) -> None:
    (tmp_path / "frame-000000.pose.txt").write_text("")
    with pytest.raises(DatasetError, match="masks=truth works on"):
        open_dataset(f"{tmp_path}?masks=truth")


@pytest.mark.field("format", "a folder called images/, rgb/, color/ or results/ alone", "not taken for a layout")
@pytest.mark.parametrize("name", ["images", "rgb", "color", "results", "intrinsic", "sparse"])
def test_no_layout_is_told_by_the_name_of_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(DatasetError, match="none of the layouts"):
        open_dataset(tmp_path)


@pytest.mark.field("format", "video, photographs, a map, an RTAB-Map database", "one line that names the tool")
@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("drive.mp4", "ns-process-data video"),
        ("photos/IMG_1.JPG", "ns-process-data images"),
        ("images/IMG_1.JPG", "ns-process-data images"),
        ("map/map.json", "ig view"),
        ("rtabmap.db", "rtabmap_util data_player"),
        ("scan.r3d", "unzip"),
    ],
)
def test_what_has_no_poses_hears_which_tool_makes_some(tmp_path: Path, name: str, tool: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(DatasetError, match=tool) as caught:
        open_dataset(path if path.suffix in (".mp4", ".db", ".r3d") else path.parent)
    assert "\n" not in str(caught.value)


def test_a_simulated_scene_lacks_no_truth() -> None:
    assert missing_truth(open_dataset("sim:tabletop?width=64&frames=1&masks=none")) == ()

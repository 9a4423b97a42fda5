"""Single files of a dataset folder, as devices and trackers leave them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ig_ros.datasets import Faults
from ig_ros.datasets.files import read_depth, read_labels, read_poses, read_rgb
from ig_ros.errors import DatasetError


@pytest.mark.field("wrong", "EXIF orientation in a COLMAP folder", "raw pixels, as COLMAP reads them")
def test_an_orientation_in_exif_does_not_turn_the_pixels(tmp_path: Path) -> None:
    """COLMAP's poses and calibration are of the pixels as they are stored."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", exif=exif)
    assert np.abs(read_rgb(tmp_path / "photo.jpg").astype(int) - pixels).max() < 30


@pytest.mark.field("wrong", "a ScanNet folder with only -inf poses", "refused")
def test_a_folder_of_lost_poses_alone_is_refused(tmp_path: Path) -> None:
    paths = {i: tmp_path / f"{i}.txt" for i in range(3)}
    for path in paths.values():
        np.savetxt(path, np.full((4, 4), -np.inf))
    with pytest.raises(DatasetError, match="none of 3 is finite"):
        read_poses(paths, Faults())
    np.savetxt(paths[1], np.eye(4))
    assert list(read_poses(paths, Faults())) == [1]


@pytest.mark.field("device", "masks as 32SC1, palette or RGB PNG", "an id for each index or colour")
def test_label_images_of_a_palette_and_of_colours(tmp_path: Path) -> None:
    """A palette's colours say nothing, its indices are the ids; colours are ids as COCO's panoptic format has them."""
    labels = np.array([[0, 3], [7, 7]], np.uint8)
    picture = Image.fromarray(labels, "P")
    picture.putpalette([99, 99, 99] + [0, 0, 0] * 7)
    picture.save(tmp_path / "palette.png")
    assert read_labels(tmp_path / "palette.png").tolist() == labels.tolist()
    Image.fromarray(np.stack([labels, labels // 2, labels * 0], 2)).save(tmp_path / "colors.png")
    assert read_labels(tmp_path / "colors.png").tolist() == [[0, 3 + 256], [7 + 768, 7 + 768]]
    with pytest.raises(DatasetError, match="one channel"):
        read_depth(tmp_path / "colors.png")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "labels.jpg")
    with pytest.raises(DatasetError, match="palette"):
        read_labels(tmp_path / "labels.jpg")

"""Single files of a dataset folder, as devices and trackers leave them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ig_ros.datasets import Faults
from ig_ros.datasets.files import read_poses, read_rgb
from ig_ros.errors import DatasetError


def test_an_orientation_in_exif_does_not_turn_the_pixels(tmp_path: Path) -> None:
    """COLMAP's poses and calibration are of the pixels as they are stored."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", exif=exif)
    assert np.abs(read_rgb(tmp_path / "photo.jpg").astype(int) - pixels).max() < 30


def test_a_folder_of_lost_poses_alone_is_refused(tmp_path: Path) -> None:
    paths = {i: tmp_path / f"{i}.txt" for i in range(3)}
    for path in paths.values():
        np.savetxt(path, np.full((4, 4), -np.inf))
    with pytest.raises(DatasetError, match="none of 3 is finite"):
        read_poses(paths, Faults())
    np.savetxt(paths[1], np.eye(4))
    assert list(read_poses(paths, Faults())) == [1]

"""From a name or a path to a dataset."""

from __future__ import annotations

from pathlib import Path

from ig_ros.datasets.base import Dataset
from ig_ros.datasets.scannet import ScanNetDataset
from ig_ros.datasets.seven_scenes import SevenScenesDataset
from ig_ros.errors import DatasetError

SIMULATED = "sim:"


def open_dataset(spec: str | Path) -> Dataset:
    """Open a folder (7-Scenes or ScanNet layout, told apart by their files) or a simulated scene.

    Simulated: "sim:tabletop", "sim:room", "sim:scanned?meshes=FOLDER"; options as a query string, for example
    "sim:tabletop?seed=3&frames=80&masks=noisy" (see simulated/options.py). Raises DatasetError.
    """
    if isinstance(spec, str) and spec.startswith(SIMULATED):
        try:
            from ig_ros.datasets.simulated import open_simulated  # Open3D loads in seconds: only who simulates waits
        except ImportError as error:
            raise DatasetError(
                f"simulated scenes need Open3D ({error}): pip install open3d; on Debian also apt install libusb-1.0-0 "
                "libgl1 libgomp1"
            ) from error
        return open_simulated(spec.removeprefix(SIMULATED))
    folder = Path(spec).expanduser()
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; simulated scenes are called sim:tabletop, sim:room, sim:scanned")
    for layout in (SevenScenesDataset, ScanNetDataset):
        if layout.recognises(folder):
            return layout(folder)
    raise DatasetError(
        f"{folder} is neither a 7-Scenes folder (frame-000000.color.jpg, ...) "
        "nor a ScanNet one (color/, pose/, intrinsic/)"
    )

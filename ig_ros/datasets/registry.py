"""From a name or a path to a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from ig_ros.datasets.bags import BagDataset
from ig_ros.datasets.base import Dataset, DatasetReader
from ig_ros.errors import DatasetError
from ig_ros.map_io import MANIFEST
from ig_ros.registries import DATASET_READERS, load

SIMULATED = "sim:"


def open_dataset(spec: str | Path) -> Dataset:
    """Opens a recording, whose layout is told by its files (`registries.DATASET_READERS`), or a simulated scene.

    Options follow as a query string: "FOLDER?masks=truth" takes the true instance images of a ScanNet or vMAP folder
    as masks; "BAG?pose=tf" see BagDataset; "sim:tabletop?seed=3&frames=80&masks=noisy" see simulation/options.py, and
    beside it "sim:room", "sim:scanned?meshes=FOLDER". Raises DatasetError, which names the known layouts or, where a
    folder is nearly one of them, each missing file.
    """
    if isinstance(spec, str) and spec.startswith(SIMULATED):
        return _open_simulated(spec.removeprefix(SIMULATED))
    path, options = _parsed(spec)
    if not path.exists():
        raise DatasetError(
            f"no such file or folder: {path}; a scene is a folder, a bag (.mcap, .db3, .bag) or simulated: "
            "sim:tabletop, sim:room, sim:scanned"
        )
    reader = find_reader(path)
    if reader is not None:
        return reader(path, options)
    advice = advice_for(path)
    if advice:
        raise DatasetError(f"{path} {advice}")
    known = ", ".join(f"{name} ({load(target).known_by})" for name, target in DATASET_READERS.items())
    scenes = [below.name for below in sorted(path.glob("*/")) if find_reader(below) is not None]
    hint = f"; it holds scenes, choose one: {', '.join(scenes[:8])}" if scenes else ""
    raise DatasetError(f"{path} is none of the layouts {known}{hint}")


PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".heic", ".webp")
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")


def advice_for(path: Path) -> str:
    """Returns what a path is that holds no poses, and which tool makes some; empty where it is nothing known."""
    inside = (path, path / "images", path / "rgb", path / "color", path / "input") if path.is_dir() else ()
    if any(file.suffix.lower() in PHOTOGRAPHS for folder in inside for file in folder.glob("*.*")):
        return (
            "holds photographs without poses: make some with `ns-process-data images --data FOLDER --output-dir OUT` "
            "(nerfstudio) or `colmap automatic_reconstructor --workspace_path OUT --image_path FOLDER`, then ig map OUT"
        )
    if (path / MANIFEST).is_file() or (path / "map" / MANIFEST).is_file():
        return "is a saved map, not a recording: look at it with `ig view`, ask it with `ig query`"
    if path.suffix.lower() in VIDEOS:
        return (
            "is a video without poses: make some with `ns-process-data video --data FILE --output-dir OUT` "
            "(nerfstudio), then ig map OUT"
        )
    if path.suffix == ".db":
        return (
            "is an RTAB-Map database: play it with `ros2 run rtabmap_util data_player --ros-args -p database:=FILE`, "
            "record that with `ros2 bag record -a`, then ig map the bag"
        )
    return "is zipped: unzip it, then ig map the folder" if path.suffix in (".r3d", ".zip") else ""


def find_reader(path: Path) -> DatasetReader | None:
    """Returns the first reader of the table that recognises a file or folder, None if none does."""
    readers: list[DatasetReader] = [load(target) for target in DATASET_READERS.values()]
    return next((reader for reader in readers if reader.recognises(path)), None)


def with_topics(spec: str, topics: Mapping[str, str | None]) -> str:
    """Returns the spec of a bag with those options of `BagDataset` that are not None.

    Raises DatasetError where there is no bag.
    """
    given = {name: value for name, value in topics.items() if value is not None}
    if not given:
        return spec
    if not BagDataset.recognises(Path(spec.partition("?")[0]).expanduser()):
        raise DatasetError(f"{spec} is not a bag: {', '.join(given)} choose topics of a bag (.mcap, .db3, .bag) only")
    return f"{spec}{'&' if '?' in spec else '?'}{urlencode(given, safe='/')}"


def _parsed(spec: str | Path) -> tuple[Path, dict[str, str]]:
    """Returns path and options; a question mark may also be part of an existing path."""
    path = Path(spec).expanduser()
    if path.exists():
        return path, {}
    name, _, query = str(spec).partition("?")
    return Path(name).expanduser(), dict(parse_qsl(query, keep_blank_values=True))


def _open_simulated(spec: str) -> Dataset:
    try:
        from ig_ros.simulation import open_simulated  # Open3D loads in seconds: only who simulates waits
    except ImportError as error:
        raise DatasetError(
            f"simulated scenes need Open3D ({error}): pip install open3d; on Debian also apt install libusb-1.0-0 "
            "libgl1 libgomp1"
        ) from error
    return open_simulated(spec)

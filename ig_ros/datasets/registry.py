"""From a name or a path to a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode

from ig_ros.datasets.bags import BagDataset
from ig_ros.datasets.base import Dataset
from ig_ros.datasets.colmap import ColmapDataset
from ig_ros.datasets.replica import ReplicaDataset
from ig_ros.datasets.scannet import ScanNetDataset
from ig_ros.datasets.seven_scenes import SevenScenesDataset
from ig_ros.errors import DatasetError

SIMULATED = "sim:"
Layout: TypeAlias = type[SevenScenesDataset] | type[ScanNetDataset] | type[ReplicaDataset] | type[ColmapDataset]
LAYOUTS: tuple[Layout, ...] = (SevenScenesDataset, ScanNetDataset, ReplicaDataset, ColmapDataset)
KNOWN = (
    "7-Scenes (frame-000000.color.jpg, ...), ScanNet (color/, pose/, intrinsic/), Replica of vMAP (rgb/, depth/, "
    "traj_w_c.txt) or NICE-SLAM (results/, traj.txt), COLMAP and LERF (images/, sparse/0/)"
)


def open_dataset(spec: str | Path) -> Dataset:
    """Open a recorded folder (its layout is told by its files) or a simulated scene.

    Folders: 7-Scenes, ScanNet, Replica (vMAP, NICE-SLAM), COLMAP (LERF). "FOLDER?masks=truth" takes the true instance
    images as masks, where a ScanNet or vMAP folder has them.
    Simulated: "sim:tabletop", "sim:room", "sim:scanned?meshes=FOLDER"; options as a query string, for example
    "sim:tabletop?seed=3&frames=80&masks=noisy" (see simulated/options.py). Raises DatasetError, which names the known
    layouts or, where a folder is nearly one of them, each missing file.
    """
    if isinstance(spec, str) and spec.startswith(SIMULATED):
        return _open_simulated(spec.removeprefix(SIMULATED))
    path, _, query = str(spec).partition("?")
    if BagDataset.recognises(bag := Path(path).expanduser()):
        return BagDataset(bag, dict(parse_qsl(query, keep_blank_values=True)))
    folder, exact_masks = _parsed(spec)
    if not folder.is_dir():
        raise DatasetError(
            f"{folder} is neither a folder nor a bag (.mcap, .db3); simulated scenes are called sim:tabletop, "
            "sim:room, sim:scanned"
        )
    layout = next((layout for layout in LAYOUTS if layout.recognises(folder)), None)
    if layout is None:
        scenes = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and _recognised(path)]
        hint = f"; it holds scenes, choose one: {', '.join(scenes[:8])}" if scenes else ""
        raise DatasetError(f"{folder} is none of the layouts {KNOWN}{hint}")
    if not exact_masks:
        return layout(folder)
    if layout is ScanNetDataset or layout is ReplicaDataset:
        return layout(folder, masks="truth")
    raise DatasetError(f"{folder} has no true instance images: masks=truth works on ScanNet and vMAP folders")


def with_topics(spec: str, topics: Mapping[str, str | None]) -> str:
    """The spec of a bag with options of `BagDataset` that are not None. Raises DatasetError where there is no bag."""
    given = {name: value for name, value in topics.items() if value is not None}
    if not given:
        return spec
    if not BagDataset.recognises(Path(spec.partition("?")[0]).expanduser()):
        raise DatasetError(f"{spec} is not a bag: {', '.join(given)} choose topics of a .mcap or .db3 recording only")
    return f"{spec}{'&' if '?' in spec else '?'}{urlencode(given, safe='/')}"


def _recognised(folder: Path) -> bool:
    return any(layout.recognises(folder) for layout in LAYOUTS)


def _parsed(spec: str | Path) -> tuple[Path, bool]:
    """The folder, and whether its true instance images shall serve as masks."""
    if isinstance(spec, Path) or "?" not in spec or Path(spec).expanduser().is_dir():
        return Path(spec).expanduser(), False
    path, _, query = spec.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if set(options) - {"masks"} or options.get("masks", "files") not in ("files", "truth"):
        raise DatasetError(f"unknown option '{query}' of a recorded folder: masks=files or masks=truth")
    return Path(path).expanduser(), options.get("masks") == "truth"


def _open_simulated(spec: str) -> Dataset:
    try:
        from ig_ros.simulation import open_simulated  # Open3D loads in seconds: only who simulates waits
    except ImportError as error:
        raise DatasetError(
            f"simulated scenes need Open3D ({error}): pip install open3d; on Debian also apt install libusb-1.0-0 "
            "libgl1 libgomp1"
        ) from error
    return open_simulated(spec)

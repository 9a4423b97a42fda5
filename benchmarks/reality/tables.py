"""The geometric segmenter on real tabletops, see benchmarks/tabletops.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2

from benchmarks.tabletops import report
from ig_ros.errors import DatasetError


def run_tabletops(folder: Path, out: Path, pictures: Path) -> dict[str, Any]:
    """Returns pictures, F, F@.75 and ms of each group. Raises DatasetError where the pictures are not there."""
    if not folder.is_dir():
        raise DatasetError(f"no tabletops at {folder}: see shared/data")
    cv2.setNumThreads(1)
    pictures.mkdir(parents=True, exist_ok=True)
    return {"groups": report(folder, out / "tabletops.json", pictures)}

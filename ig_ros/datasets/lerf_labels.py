"""LERF-OVS labels: one JSON file per annotated image with a polygon and a name per object.

{"info": {"name": "frame_00041.jpg", "width": W, "height": H},
 "objects": [{"category": text, "segmentation": [[x, y], ...], "bbox": [x1, y1, x2, y2]}, ...]}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ig_ros.datasets.files import read_json
from ig_ros.datasets.selection import BoolArray
from ig_ros.errors import DatasetError
from ig_ros.types import IntArray


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """What one label file says."""

    width: int  # px, of the image that was annotated
    height: int
    polygons: dict[str, tuple[IntArray, ...]]  # text -> polygons (V, 2) px; several objects may share a name

    def masks(self) -> dict[str, BoolArray]:
        """Text -> (height, width) bool, the union of its polygons."""
        return {text: self._fill(polygons) for text, polygons in self.polygons.items()}

    def _fill(self, polygons: Sequence[IntArray]) -> BoolArray:
        mask = np.zeros((self.height, self.width), np.uint8)
        for polygon in polygons:  # one call each: overlaps would cancel out in a joint one
            cv2.fillPoly(mask, [polygon], 1)
        return mask.astype(bool)


def find_labels(folder: Path) -> dict[str, Path]:
    """Label files by the stem of their image; looked for in label/ of the scene and in ../label/SCENE, as published."""
    name = folder.resolve().name
    places = (folder / "label" / name, folder / "label", folder.resolve().parent / "label" / name)
    return next(
        (found for found in ({p.stem: p for p in sorted(place.glob("*.json"))} for place in places) if found), {}
    )


def read_labels_file(path: Path) -> LabelledImage:
    """One label file. Raises DatasetError naming it."""
    about = read_json(path)
    try:
        polygons: dict[str, tuple[IntArray, ...]] = {}
        for thing in about["objects"]:
            text = str(thing["category"])
            polygons[text] = polygons.get(text, ()) + _polygons(thing["segmentation"])
        return LabelledImage(int(about["info"]["width"]), int(about["info"]["height"]), polygons)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"cannot read {path}: expected LERF-OVS labels, info (width, height) and objects (category, "
            f"segmentation [[x, y], ...]) ({error!r})"
        ) from error


def _polygons(segmentation: Any) -> tuple[IntArray, ...]:
    """One polygon, or a list of them; vertices lose their fraction, as in the published evaluation."""
    first = segmentation[0][0]
    rings = [segmentation] if isinstance(first, int | float) else segmentation
    arrays = tuple(np.asarray(ring, np.float64).astype(np.int32) for ring in rings)
    if any(array.ndim != 2 or array.shape[1] != 2 for array in arrays):
        raise ValueError("a polygon is a list of [x, y]")
    return arrays

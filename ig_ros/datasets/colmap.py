"""The COLMAP layout, as LERF and LERF-OVS ship their scenes: photographs, a sparse model, and labels of some views."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ig_ros.datasets.base import BoolArray, SceneTruth, SelectionTruth, SparsePoints
from ig_ros.datasets.colmap_cameras import Lens, lens_of
from ig_ros.datasets.colmap_model import (
    ColmapImage,
    has_points,
    read_cameras,
    read_images,
    read_points,
    refuse_incomplete,
)
from ig_ros.datasets.files import read_json, read_rgb, refuse_missing
from ig_ros.errors import DatasetError
from ig_ros.types import Frame, IntArray


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


LAYOUT = (
    "a COLMAP folder holds images/ and sparse/0/ with cameras, images and optionally points3D (.bin or .txt), and "
    "for the selection task label/*.json or ../label/SCENE/*.json"
)
PHOTO_INTERVAL = 1_000_000_000  # ns: photographs carry no time, and no hand moves a metre between two frames of video

LARGEST_NUMBER = 10**8  # beyond, a number in a file name is a date, and stamps would overflow


class ColmapDataset:
    """Posed photographs without depth; lengths are in the model's own unit, which COLMAP chose freely."""

    truth: SceneTruth | None = None  # nobody annotates instances in 3D here

    def __init__(self, folder: Path) -> None:
        """Read the model and list the images. Raises DatasetError naming what is missing or unreadable."""
        self.name = folder.resolve().name
        self._folder = folder
        model = next((path for path in (folder / "sparse" / "0", folder / "sparse") if _has_model(path)), None)
        self._model = model if model is not None else folder / "sparse" / "0"
        refuse_missing([] if (folder / "images").is_dir() else [folder / "images"], LAYOUT)
        refuse_incomplete(self._model)
        self._cameras = read_cameras(self._model)
        self._images = read_images(self._model)
        if not self._images:
            raise DatasetError(f"{self._model} has no registered image: {LAYOUT}")
        paths = [folder / "images" / image.name for image in self._images]
        refuse_missing([path for path in paths if not path.is_file()], LAYOUT)
        self._indices = _numbers(self._images)
        self._lenses: dict[tuple[int, int, int], Lens] = {}
        self._labels = find_labels(folder)

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder looks like this layout."""
        return (folder / "sparse").is_dir() or (folder / "images").is_dir()

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, i: int) -> Frame:
        image = self._images[i]
        rgb = read_rgb(self._folder / "images" / image.name)
        lens = self._lens(image, rgb.shape[1], rgb.shape[0])
        straight = lens.straighten(rgb).astype(np.uint8, copy=False)
        index = self._indices[i]
        return Frame(index * PHOTO_INTERVAL, straight, lens.camera, image.T_world_camera, index=index)

    @cached_property
    def sparse_points(self) -> SparsePoints | None:
        """The points that COLMAP triangulated, None where points3D is absent."""
        return read_points(self._model) if has_points(self._model) else None

    @cached_property
    def selection(self) -> SelectionTruth | None:
        """The labelled views for the select-and-render task, None without labels."""
        places = {self._stem(i): i for i in range(len(self))}
        labelled = {places[stem]: path for stem, path in self._labels.items() if stem in places}
        if not labelled:
            return None
        return SelectionTruth(tuple(sorted(labelled)), lambda place: self._masks(place, labelled[place]))

    @property
    def missing_truth(self) -> tuple[str, ...]:
        """One text per missing piece of the selection task's labels."""
        if not self._labels:
            return ("label/frame_NNNNN.json: which pixels each text names",)
        stems = {self._stem(i) for i in range(len(self))}
        return tuple(
            f"{path.name}: labels an image that the model did not register"
            for stem, path in self._labels.items()
            if stem not in stems
        )

    def _stem(self, i: int) -> str:
        return Path(self._images[i].name).stem

    def _lens(self, image: ColmapImage, width: int, height: int) -> Lens:
        key = (image.camera, width, height)
        if key not in self._lenses:
            if image.camera not in self._cameras:
                raise DatasetError(f"{self._model} has no camera {image.camera}, which took {image.name}")
            self._lenses[key] = lens_of(self._cameras[image.camera], width, height)
        return self._lenses[key]

    def _masks(self, place: int, path: Path) -> Mapping[str, BoolArray]:
        """The label's polygons, brought to the frame's size and through its lens."""
        image = self._images[place]
        rgb = read_rgb(self._folder / "images" / image.name)
        height, width = rgb.shape[:2]
        lens = self._lens(image, width, height)
        masks = read_labels_file(path).masks()
        sized = {
            text: cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
            for text, mask in masks.items()
        }
        return {text: lens.straighten(mask, cv2.INTER_NEAREST).astype(bool) for text, mask in sized.items()}


def _has_model(folder: Path) -> bool:
    return any((folder / f"{name}.{suffix}").is_file() for name in ("cameras", "images") for suffix in ("bin", "txt"))


def _numbers(images: list[ColmapImage]) -> list[int]:
    """The last number in each name, where these rise and are frame numbers rather than dates, else places."""
    found = [re.findall(r"\d+", Path(image.name).stem) for image in images]
    numbers = [int(digits[-1]) for digits in found if digits]
    in_order = len(numbers) == len(images) and all(a < b for a, b in pairwise(numbers))
    in_order = in_order and numbers[-1] < LARGEST_NUMBER
    return numbers if in_order else list(range(len(images)))

"""The COLMAP layout, as LERF and LERF-OVS ship their scenes: photographs, a sparse model, and labels of some views."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.datasets import colmap_model, files
from ig_ros.datasets.base import BoolArray, SceneTruth, SelectionTruth, SparsePoints
from ig_ros.errors import DatasetError
from ig_ros.lens_distortion import Rectifier
from ig_ros.types import Frame, IntArray


def find_labels(folder: Path) -> dict[str, Path]:
    """Returns label files by the stem of their image, from label/ of the scene or ../label/SCENE, as published."""
    name = folder.resolve().name
    places = (folder / "label" / name, folder / "label", folder.resolve().parent / "label" / name)
    return next(
        (found for found in ({p.stem: p for p in sorted(place.glob("*.json"))} for place in places) if found), {}
    )


def read_labels_file(path: Path) -> dict[str, BoolArray]:
    """Returns text -> mask (H, W) of one label file, the union of the text's polygons. Raises DatasetError."""
    about = files.read_json(path)
    try:
        size = int(about["info"]["height"]), int(about["info"]["width"])
        masks: dict[str, npt.NDArray[np.uint8]] = {}
        for thing in about["objects"]:
            mask = masks.setdefault(str(thing["category"]), np.zeros(size, np.uint8))
            for polygon in _polygons(thing["segmentation"]):  # one call each: overlaps would cancel out in a joint one
                cv2.fillPoly(mask, [polygon], 1)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"cannot read {path}: expected LERF-OVS labels, info (width, height) and objects (category, "
            f"segmentation [[x, y], ...]) ({error!r})"
        ) from error
    return {text: mask.astype(bool) for text, mask in masks.items()}


def _polygons(segmentation: Any) -> Sequence[IntArray]:
    """Returns one polygon (V, 2), or several; vertices lose their fraction, as in the published evaluation."""
    rings = [segmentation] if isinstance(segmentation[0][0], int | float) else segmentation
    arrays = [np.asarray(ring, np.float64).astype(np.int32) for ring in rings]
    if any(array.ndim != 2 or array.shape[1] != 2 for array in arrays):
        raise ValueError("a polygon is a list of [x, y]")
    return arrays


LAYOUT = (
    "a COLMAP folder holds images/ and sparse/0/ with cameras, images and optionally points3D (.bin or .txt), and "
    "for the selection task label/*.json or ../label/SCENE/*.json"
)
PHOTO_INTERVAL = 1_000_000_000  # ns between two images in order of their names: photographs carry no time


class ColmapDataset:
    """Posed photographs without depth; lengths are in the model's own unit, which COLMAP chose freely."""

    known_by = "images/, sparse/0/"
    truth: SceneTruth | None = None  # this layout has no annotation of instances in 3D

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        """Reads the model and lists the images. Raises DatasetError naming what is missing or unreadable."""
        files.wants_true_masks(options, folder, has_images=False)
        self.name = folder.resolve().name
        self._folder = folder
        models = [path for path in (folder / "sparse" / "0", folder / "sparse") if colmap_model.has_model(path)]
        self._model = models[0] if models else folder / "sparse" / "0"
        files.refuse_missing([] if (folder / "images").is_dir() else [folder / "images"], LAYOUT)
        colmap_model.refuse_incomplete(self._model)
        self._cameras = colmap_model.read_cameras(self._model)
        self._images = colmap_model.read_images(self._model)
        if not self._images:
            raise DatasetError(f"{self._model} has no registered image: {LAYOUT}")
        paths = [folder / "images" / image.name for image in self._images]
        files.refuse_missing([path for path in paths if not path.is_file()], LAYOUT)
        self._indices = _numbers(self._images)
        self._rectifiers: dict[tuple[int, int, int], Rectifier] = {}
        self._labels = find_labels(folder)

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder looks like this layout."""
        return (folder / "sparse").is_dir() or (folder / "images").is_dir()

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, i: int) -> Frame:
        image = self._images[i]
        rgb = files.read_rgb(self._folder / "images" / image.name)
        rectifier = self._rectifier(image, rgb.shape[1], rgb.shape[0])
        straight, camera, index = rectifier.color(rgb), rectifier.camera, self._indices[i]
        return Frame(i * PHOTO_INTERVAL, straight, camera, image.T_world_camera, index=index)

    @cached_property
    def sparse_points(self) -> SparsePoints | None:
        """Returns the points that COLMAP triangulated, None where points3D is absent."""
        return colmap_model.read_points(self._model) if colmap_model.has_points(self._model) else None

    @cached_property
    def selection(self) -> SelectionTruth | None:
        """Returns the labelled views for the select-and-render task, None without labels."""
        places = {self._stem(i): i for i in range(len(self))}
        labelled = {places[stem]: path for stem, path in self._labels.items() if stem in places}
        if not labelled:
            return None
        return SelectionTruth(tuple(sorted(labelled)), lambda place: self._masks(place, labelled[place]))

    @property
    def missing_truth(self) -> tuple[str, ...]:
        """Returns one text per missing piece of the selection task's labels."""
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

    def _rectifier(self, image: colmap_model.ColmapImage, width: int, height: int) -> Rectifier:
        key = (image.camera, width, height)
        if key not in self._rectifiers:
            if image.camera not in self._cameras:
                raise DatasetError(f"{self._model} has no camera {image.camera}, which took {image.name}")
            self._rectifiers[key] = self._cameras[image.camera].rectifier(width, height)
        return self._rectifiers[key]

    def _masks(self, place: int, path: Path) -> Mapping[str, BoolArray]:
        """Returns the label's masks, resized to the frame and undistorted."""
        image = self._images[place]
        height, width = files.read_rgb(self._folder / "images" / image.name).shape[:2]
        rectifier = self._rectifier(image, width, height)
        return {
            text: rectifier.nearest(files.resized_labels(mask.astype(np.int32), width, height)).astype(bool)
            for text, mask in read_labels_file(path).items()
        }


def _numbers(images: list[colmap_model.ColmapImage]) -> list[int]:
    """Returns the last number in each name, where every name has one and they rise, else places."""
    found = [re.findall(r"\d+", Path(image.name).stem) for image in images]
    numbers = [int(digits[-1]) for digits in found if digits]
    in_order = len(numbers) == len(images) and all(a < b for a, b in pairwise(numbers))
    return numbers if in_order else list(range(len(images)))

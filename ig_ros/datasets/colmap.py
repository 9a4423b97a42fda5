"""The COLMAP layout, as LERF and LERF-OVS ship their scenes: photographs, a sparse model, and labels of some views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.datasets import colmap_model, files
from ig_ros.datasets.base import BoolArray, SelectionTruth, SparsePoints, stamp_of
from ig_ros.datasets.posed import PosedFolder, View
from ig_ros.errors import DatasetError
from ig_ros.types import IntArray


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
    "a COLMAP folder holds images/ (or images_2/, ...) and sparse/0/ (or sparse/, colmap/sparse/0/) with cameras, "
    "images and optionally points3D (.bin or .txt), and for the selection task label/*.json or ../label/SCENE/*.json"
)


def model_of(folder: Path) -> Path | None:
    """Returns the folder of the model, None where there is none."""
    places = (folder / "sparse" / "0", folder / "sparse", folder / "colmap" / "sparse" / "0")
    return next((path for path in places if colmap_model.has_model(path)), None)


class ColmapDataset(PosedFolder):
    """Posed photographs without depth; lengths are in the model's own unit, which COLMAP chose freely."""

    known_by = "images/, sparse/0/cameras.bin"
    photographs = True

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        """Reads the model and lists the images. Raises DatasetError naming what is missing or unreadable."""
        super().__init__(folder, options)
        self._model = model_of(folder) or folder / "sparse" / "0"
        colmap_model.refuse_incomplete(self._model)
        cameras, images = colmap_model.read_cameras(self._model), colmap_model.read_images(self._model)
        if not images:
            raise DatasetError(f"{self._model} has no registered image: {LAYOUT}")
        for image in images:
            if image.camera not in cameras:
                raise DatasetError(f"{self._model} has no camera {image.camera}, which took {image.name}")
        numbers = files.last_numbers([image.name for image in images])
        self.take([
            View(number, stamp_of(number), files.with_copies(folder / "images" / image.name),
                 cameras[image.camera].calibration, image.T_world_camera)
            for number, image in zip(numbers, images, strict=True)
        ], LAYOUT)  # fmt: skip
        self._labels = find_labels(folder)

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the folder holds a model of COLMAP."""
        return model_of(folder) is not None

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
        return SelectionTruth(tuple(sorted(labelled)), lambda place: self._label_masks(place, labelled[place]))

    @property
    def missing_truth(self) -> tuple[str, ...]:  # type: ignore[override]
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
        return Path(str(self.views[i].image)).stem

    def _label_masks(self, place: int, path: Path) -> Mapping[str, BoolArray]:
        """Returns the label's masks, resized to the frame and undistorted."""
        view = self.views[place]
        height, width = files.read_rgb(view.image).shape[:2]
        rectifier = view.calibration.rectifier(width, height)
        return {
            text: rectifier.nearest(files.resized_labels(mask.astype(np.int32), width, height)).astype(bool)
            for text, mask in read_labels_file(path).items()
        }

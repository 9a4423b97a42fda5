"""What every dataset offers: frames in order, and the truth where somebody knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ig_ros.types import FloatArray, Frame, IntArray

FRAME_RATE = 30  # Hz: frame numbers become stamps at this rate
HELD_OUT_EVERY = 8


@dataclass(frozen=True, slots=True)
class SceneTruth:
    """The exact answer for one scene. Instance ids are >= 1; 0 stands for unlabelled."""

    points: FloatArray  # (P, 3) float32 m, world: surface that at least one camera of the scene sees, evenly dense
    ids: IntArray  # (P,) int32, instance of each point, 0 = unlabelled
    names: Mapping[int, str]  # id -> name; two things of a kind share their name
    queries: tuple[tuple[str, int], ...]  # text and the id it asks for: names and paraphrases
    absent: tuple[str, ...]  # texts of things that are not there
    images: Callable[[int], IntArray]  # place in the dataset -> (H, W) int32 instance image
    classes: IntArray | None = None  # (P,) int32 NYU40 label of each point, 0 = unlabelled; None where nobody knows
    colors: IntArray | None = None  # (P, 3) uint8 RGB of each point, None where the mesh has none
    has_images: bool = True  # False: only the points are annotated, `instance_image` raises DatasetError

    def instance_image(self, i: int) -> IntArray:
        """(H, W) int32 exact instance ids of the frame at place i (the i of `dataset[i]`), 0 = unlabelled.

        Raises DatasetError, naming what is missing, where `has_images` is False.
        """
        return self.images(i)

    def instance_classes(self) -> dict[int, int]:
        """NYU40 class of each instance: the most frequent label of its points; empty where classes are unknown."""
        if self.classes is None:
            return {}
        size = int(self.classes.max(initial=0)) + 1
        known = (self.ids > 0) & (self.classes > 0)
        pairs, counts = np.unique(self.ids[known].astype(np.int64) * size + self.classes[known], return_counts=True)
        return {int(pair // size): int(pair % size) for pair in pairs[np.argsort(counts, kind="stable")]}


class Dataset(Protocol):
    """Posed frames in the order of their numbers, loaded when asked for."""

    @property
    def name(self) -> str:
        """Short name for reports and file names."""

    @property
    def truth(self) -> SceneTruth | None:
        """Exact instances of the scene, None where nobody knows them."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> Frame:
        """The frame at place i at full resolution; `Frame.index` is its number. Raises DatasetError, IndexError."""


class DatasetReader(Protocol):
    """What stands in `registries.DATASET_READERS`: the class of a recorded dataset."""

    files: str  # that this layout is known by, for messages

    def recognises(self, path: Path) -> bool:
        """Whether a file or folder looks like this layout; a static method."""

    def __call__(self, path: Path, options: Mapping[str, str]) -> Dataset:
        """Opens it. Raises DatasetError naming what is missing or unreadable, and for an unknown option."""


@dataclass(frozen=True, slots=True)
class SparsePoints:
    """Points that structure from motion has triangulated."""

    xyz: FloatArray  # (P, 3) float32, world
    rgb: IntArray  # (P, 3) uint8


@runtime_checkable
class Triangulated(Protocol):
    """A dataset whose poses come with points."""

    @property
    def sparse_points(self) -> SparsePoints | None:
        """The points, None where they were not kept."""


def sparse_points(dataset: Dataset) -> SparsePoints | None:
    """The triangulated points of a dataset, None where it has none."""
    return dataset.sparse_points if isinstance(dataset, Triangulated) else None


@runtime_checkable
class Recorded(Protocol):
    """A dataset read from files, which may lack parts of the truth."""

    @property
    def missing_truth(self) -> tuple[str, ...]:
        """One text per missing piece of the truth: its file and what it would tell. Empty if all is there."""


def missing_truth(dataset: Dataset) -> tuple[str, ...]:
    """The pieces of the truth that a dataset lacks, each named by its file; a simulated scene lacks none."""
    return dataset.missing_truth if isinstance(dataset, Recorded) else ()


def split(n: int) -> tuple[list[int], list[int]]:
    """Places of the frames to train on and of those held out (i % 8 == 7), out of n in sorted order."""
    held_out = list(range(HELD_OUT_EVERY - 1, n, HELD_OUT_EVERY))
    return [i for i in range(n) if i % HELD_OUT_EVERY != HELD_OUT_EVERY - 1], held_out


def stamp_of(number: int) -> int:
    """Stamp in ns of a frame number."""
    return number * 1_000_000_000 // FRAME_RATE


BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SelectionTruth:
    """Annotated views; the masks are drawn when asked for."""

    places: tuple[int, ...]  # the annotated frames, as i of `dataset[i]`
    draw: Callable[[int], Mapping[str, BoolArray]]  # place -> text -> mask

    def masks(self, place: int) -> Mapping[str, BoolArray]:
        """Text -> (H, W) bool, the size of `dataset[place].rgb`; all things of one name share a mask."""
        return self.draw(place)


@runtime_checkable
class Selectable(Protocol):
    """A dataset that brings labels for the task."""

    @property
    def selection(self) -> SelectionTruth | None:
        """The annotated views, None where nobody annotated any."""


def selection_truth(dataset: Dataset, places: Sequence[int]) -> SelectionTruth | None:
    """The task on a dataset: its own labels, else the names of its instances on the frames at `places`, else None."""
    if isinstance(dataset, Selectable):
        return dataset.selection
    truth = dataset.truth
    if truth is None or not truth.has_images:
        return None

    def draw(place: int) -> dict[str, BoolArray]:
        image = truth.instance_image(place)
        by_name: dict[str, list[int]] = {}
        for i in np.unique(image).tolist():
            if i in truth.names:
                by_name.setdefault(truth.names[i], []).append(i)
        return {name: np.isin(image, ids) for name, ids in by_name.items()}

    return SelectionTruth(tuple(places), draw)

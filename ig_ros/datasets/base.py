"""What every dataset offers: frames in order, and the truth where somebody knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ig_ros.errors import DatasetError, FrameError, one_line
from ig_ros.types import FloatArray, Frame, IntArray

Value = TypeVar("Value")

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
    # Place i of `dataset[i]` -> (H, W) int32 exact instance ids of that frame, 0 = unlabelled. Raises DatasetError,
    # naming what is missing, where `has_images` is False.
    instance_image: Callable[[int], IntArray]
    classes: IntArray | None = None  # (P,) int32 NYU40 label of each point, 0 = unlabelled; None where nobody knows
    colors: IntArray | None = None  # (P, 3) uint8 RGB of each point, None where the mesh has none
    has_images: bool = True  # False: only the points are annotated, `instance_image` raises DatasetError

    def instance_classes(self) -> dict[int, int]:
        """Returns the NYU40 class of each instance, the most frequent of its points; empty where unknown."""
        if self.classes is None:
            return {}
        size = int(self.classes.max(initial=0)) + 1
        known = (self.ids > 0) & (self.classes > 0)
        pairs, counts = np.unique(self.ids[known].astype(np.int64) * size + self.classes[known], return_counts=True)
        return {int(pair // size): int(pair % size) for pair in pairs[np.argsort(counts, kind="stable")]}


class Dataset(Protocol):
    """Posed frames in the order of their numbers, loaded when asked for.

    A recorded one may also have `faults` (Faults), `sparse_points` (SparsePoints | None, of structure from motion),
    `missing_truth` (tuple[str, ...]), `selection` (SelectionTruth | None, labels of single views) and `chosen` (str,
    what is read).
    """

    @property
    def name(self) -> str:
        """Returns a short name for reports and file names."""

    @property
    def truth(self) -> SceneTruth | None:
        """Returns exact instances of the scene, None where nobody knows them."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> Frame:
        """Returns the frame at place i, full size; `Frame.index` is its number. Raises DatasetError, IndexError."""


class DatasetReader(Protocol):
    """What stands in `registries.DATASET_READERS`: the class of a recorded dataset."""

    known_by: str  # files of this layout, for messages

    def recognises(self, path: Path) -> bool:
        """Whether a file or folder looks like this layout; a static method."""

    def __call__(self, path: Path, options: Mapping[str, str]) -> Dataset:
        """Opens it. Raises DatasetError naming what is missing or unreadable, and for an unknown option."""


@dataclass
class Faults:
    """What of a dataset could not be used and was left out: cause -> messages in the order found, each once."""

    found: dict[str, dict[str, None]] = field(default_factory=dict)

    def note(self, cause: str, message: str) -> None:
        """Counts a file or a frame that is left out."""
        self.found.setdefault(cause, {})[message] = None

    def attempt(self, read: Callable[[], Value], where: str = "") -> Value | None:
        """Returns what `read` returns, None where it raises DatasetError or FrameError, which is noted."""
        try:
            return read()
        except (DatasetError, FrameError) as error:
            self.note(error.cause, where + one_line(error))
            return None

    def counts(self) -> dict[str, int]:
        """Returns how many were left out by cause."""
        return {cause: len(messages) for cause, messages in self.found.items()}

    def __str__(self) -> str:
        return "; ".join(f"{len(m)} x {cause}, first: {next(iter(m))}" for cause, m in self.found.items())


def faults_of(dataset: Dataset) -> Faults:
    """Returns where a dataset counts what it leaves out; one that has no such place gets it."""
    if not hasattr(dataset, "faults") and hasattr(dataset, "__dict__"):
        dataset.faults = Faults()  # type: ignore[attr-defined]
    faults: Faults = getattr(dataset, "faults", None) or Faults()
    return faults


@dataclass(frozen=True, slots=True)
class SparsePoints:
    """Points that structure from motion has triangulated."""

    xyz: FloatArray  # (P, 3) float32, world
    rgb: IntArray  # (P, 3) uint8


def sparse_points(dataset: Dataset) -> SparsePoints | None:
    """Returns the triangulated points of a dataset, None where it has none."""
    points: SparsePoints | None = getattr(dataset, "sparse_points", None)
    return points


def missing_truth(dataset: Dataset) -> tuple[str, ...]:
    """Returns one text per missing piece of the truth: its file and what it would tell; () for a simulated scene."""
    missing: tuple[str, ...] = getattr(dataset, "missing_truth", ())
    return missing


def split(n: int) -> tuple[list[int], list[int]]:
    """Returns places of the frames to train on and of those held out (i % 8 == 7), out of n in sorted order."""
    held_out = list(range(HELD_OUT_EVERY - 1, n, HELD_OUT_EVERY))
    return [i for i in range(n) if i % HELD_OUT_EVERY != HELD_OUT_EVERY - 1], held_out


def stamp_of(number: int) -> int:
    """Returns the stamp in ns of a frame number."""
    return number * 1_000_000_000 // FRAME_RATE


BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SelectionTruth:
    """Annotated views; the masks are drawn when asked for."""

    places: tuple[int, ...]  # the annotated frames, as i of `dataset[i]`
    masks: Callable[[int], Mapping[str, BoolArray]]  # place -> text -> (H, W) bool; things of one name share a mask


def selection_truth(dataset: Dataset, places: Sequence[int]) -> SelectionTruth | None:
    """Returns a dataset's own labels, else the names of its instances on the frames at `places`, else None."""
    if hasattr(dataset, "selection"):
        selection: SelectionTruth | None = dataset.selection
        return selection
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

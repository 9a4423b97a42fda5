"""The select-and-render task [IG 4.3]: which pixels of a held-out view belong to what a text names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ig_ros.datasets.base import Dataset

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

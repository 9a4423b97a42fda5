"""A dataset whose images show in part what is not the scene, the robot's own arm for example."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ig_ros.datasets.base import Dataset
from ig_ros.errors import ConfigError, FrameError
from ig_ros.ignored import IgnoreMask, union
from ig_ros.types import Frame


class IgnoringDataset:
    """Another dataset, in all but that its frames ignore the pixels of a mask drawn on an image as recorded."""

    def __init__(self, dataset: Dataset, mask: IgnoreMask) -> None:
        self._dataset, self._mask = dataset, mask

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, i: int) -> Frame:
        """Returns the frame at place i. Raises as the dataset, and ConfigError for a mask of another shape."""
        frame = self._dataset[i]
        try:
            own = self._mask.sized(frame.camera.width, frame.camera.height)
        except FrameError as error:
            raise ConfigError(str(error)) from error
        if hasattr(self._dataset, "rectifier_of"):
            own = self._dataset.rectifier_of(i, frame).nearest(own.astype(np.uint8)) > 0
        return dataclasses.replace(frame, ignored=union(frame.ignored, own))

"""Image by image: are the things apart from the table, is the table one, and how fast?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.segmenter.kitchen import THINGS, WOOD, label_at, surface_of
from ig_ros.segmentation import Segmenter
from ig_ros.types import Frame


@dataclass(frozen=True, slots=True)
class Single:
    """Counts over frames."""

    seen: dict[str, int] = field(default_factory=lambda: dict.fromkeys(THINGS, 0))  # thing -> frames that show it
    apart: dict[str, int] = field(default_factory=lambda: dict.fromkeys(THINGS, 0))  # ... as a mask of its own
    tables: list[list[int]] = field(default_factory=list)  # per frame: label at each point of the table it shows
    seconds: list[float] = field(default_factory=list)  # per frame
    busy: list[float] = field(default_factory=list)  # s of CPU per frame: what counts where the machine is shared

    @property
    def table(self) -> tuple[int, int]:
        """Frames in which the table is one mask, of those that show two points of it or more."""
        shown = [labels for labels in self.tables if len(labels) >= 2]
        return sum(labels[0] > 0 and len(set(labels)) == 1 for labels in shown), len(shown)

    @property
    def rate(self) -> float:
        """Frames per second, by the median."""
        return 1.0 / float(np.median(self.seconds))

    @property
    def cpu_rate(self) -> float:
        """Frames per second of CPU time, by the median."""
        return 1.0 / float(np.median(self.busy))


def look(segmenter: Segmenter, frames: Sequence[Frame]) -> Single:
    """Segment every frame and ask for the label of each thing it shows."""
    result = Single()
    for frame in frames:
        begin, work = time.perf_counter(), time.process_time()
        labels = segmenter.segment(frame.rgb, frame.depth, frame.camera).labels
        result.seconds.append(time.perf_counter() - begin)
        result.busy.append(time.process_time() - work)
        wood = [label for label in (label_at(p, frame, labels) for p in WOOD) if label is not None]
        result.tables.append(wood)
        for name, (point, most) in THINGS.items():
            label = label_at(point, frame, labels)
            if label is None:
                continue
            result.seen[name] += 1
            result.apart[name] += label > 0 and label not in wood and surface_of(labels, label, frame) < most
    return result


def color_rate(segmenter: Segmenter, frames: Sequence[Frame]) -> float:
    """Frames per second, by the median, where the camera has no depth."""
    seconds = []
    for frame in frames:
        begin = time.perf_counter()
        segmenter.segment(frame.rgb, None, frame.camera)
        seconds.append(time.perf_counter() - begin)
    return 1.0 / float(np.median(seconds))

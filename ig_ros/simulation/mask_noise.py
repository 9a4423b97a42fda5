"""2D masks as bad as a real segmenter's, made from exact instance images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np

from ig_ros.simulation.scene import Thing
from ig_ros.types import FloatArray, IntArray, Masks

Random = np.random.Generator

MIN_PIXELS = 60  # at 640x480: a segmenter returns nothing smaller
RAGGED = 2.2  # px at width 640, deviation of the borders
NOISE_GRID = (60, 80)  # cells over the image: 8 px each at 640x480
PART = 1000  # added to an instance id for its second half


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """How often a mask goes wrong, as shares of the visible instances of one frame."""

    missing: float = 0.12
    split: float = 0.10
    merged: float = 0.08
    mislabelled: float = 0.10
    same_parts: float = 0.0  # falls into its own two parts, the same ones whenever it happens
    swallowed: float = 0.0  # small things: taken for a part of what they stand on
    ragged: float = RAGGED  # px

    def scaled(self, factor: float) -> ErrorRates:
        """All rates multiplied, at most 0.9."""
        rates = {f.name: min(0.9, factor * getattr(self, f.name)) for f in fields(self) if f.name != "ragged"}
        return ErrorRates(**rates, ragged=factor * self.ragged)


NOISY = ErrorRates()
REPEATING = ErrorRates(missing=0.0, split=0.0, merged=0.0, same_parts=0.4, swallowed=0.5)
EXACT = ErrorRates(missing=0.0, split=0.0, merged=0.0, mislabelled=0.0, ragged=0.0)


@dataclass(frozen=True, slots=True)
class View:
    """What the mask errors depend on: the exact picture of one frame."""

    ids: IntArray  # (H, W) int32 exact instance ids, 0 = none
    points: FloatArray  # (H, W, 3) m, world


class MaskNoise:
    """Draws the masks of a frame; the same seed and frame number give the same masks."""

    def __init__(self, things: Sequence[Thing], rates: ErrorRates, seed: int) -> None:
        self._names = {i + 1: thing.name for i, thing in enumerate(things)}
        self._support = {i + 1: thing.support for i, thing in enumerate(things) if thing.support and _small(thing)}
        self._rates = rates
        self._seed = seed
        self._cuts = {i + 1: _cut(thing, np.random.default_rng([seed, 17, i])) for i, thing in enumerate(things)}

    def masks(self, view: View, number: int) -> Masks:
        """Masks of frame `number`: ids in random order, names and scores with their errors."""
        random = np.random.default_rng([self._seed, 29, number])
        scale = view.ids.shape[1] / 640
        labels = view.ids.copy()
        visible = _larger_than(MIN_PIXELS * scale**2, labels)
        labels[~np.isin(labels, visible)] = 0
        owner = {i: i for i in visible}  # mask -> the instance it is named after
        spoilt = self._swallow(labels, visible, random) | self._merge(labels, visible, random)
        spoilt |= self._split(labels, view, visible, owner, random)
        for i in visible:
            if random.random() < self._rates.missing:
                labels[np.isin(labels, (i, i + PART))] = 0
        labels = _ragged(labels, self._rates.ragged * scale, random)
        return self._finished(labels, owner, spoilt, MIN_PIXELS * scale**2, random)

    def _swallow(self, labels: IntArray, visible: Sequence[int], random: Random) -> set[int]:
        """Small things become part of what carries them."""
        gone = [i for i in visible if i in self._support and random.random() < self._rates.swallowed]
        for i in gone:
            if self._support[i] in visible:
                labels[labels == i] = self._support[i]
        return {self._support[i] for i in gone}

    def _merge(self, labels: IntArray, visible: Sequence[int], random: Random) -> set[int]:
        """Two masks that touch become one, under the name of the larger."""
        spoilt: set[int] = set()
        for i in visible:
            if random.random() >= self._rates.merged:
                continue
            mask = (labels == i).astype(np.uint8)
            around = labels[(cv2.dilate(mask, np.ones((5, 5), np.uint8)) > 0) & (mask == 0)]
            neighbours = np.unique(around[around > 0])
            if len(neighbours):
                other = int(random.choice(neighbours))
                kept, lost = (i, other) if mask.sum() >= (labels == other).sum() else (other, i)
                labels[labels == lost] = kept
                spoilt.add(kept)
        return spoilt

    def _split(
        self, labels: IntArray, view: View, visible: Sequence[int], owner: dict[int, int], random: Random
    ) -> set[int]:
        """One mask becomes two: at the thing's own cut, or along a random line through the picture."""
        spoilt: set[int] = set()
        for i in visible:
            own, free = random.random() < self._rates.same_parts, random.random() < self._rates.split
            rows, cols = np.nonzero(labels == i)
            if not (own or free) or not len(rows):
                continue
            if own:
                normal, distance = self._cuts[i]
                beyond = view.points[rows, cols] @ normal > distance
            else:
                angle, where = random.uniform(0, np.pi), random.uniform(0.3, 0.7)
                along = cols * np.cos(angle) + rows * np.sin(angle)
                beyond = along > np.quantile(along, where)
            labels[rows[beyond], cols[beyond]] = i + PART
            owner[i + PART] = i
            spoilt |= {i, i + PART}
        return spoilt

    def _finished(
        self, labels: IntArray, owner: dict[int, int], spoilt: set[int], smallest: float, random: Random
    ) -> Masks:
        """Shuffled ids 1..m, with a score that is only a hint and a name that is sometimes another thing's."""
        found = _larger_than(smallest / 2, labels)
        order = random.permutation(len(found)) + 1
        table = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
        names: dict[int, str] = {}
        scores: dict[int, float] = {}
        every = sorted(set(self._names.values()))
        for i, new in zip(found, (int(n) for n in order), strict=True):
            table[i] = new
            name = self._names[owner[i]]
            wrong = random.random() < self._rates.mislabelled
            names[new] = str(random.choice([n for n in every if n != name])) if wrong and len(every) > 1 else name
            typical = 0.78 if i in spoilt or wrong else 0.9
            scores[new] = float(np.clip(random.normal(typical, 0.07), 0.3, 0.99))
        return Masks(table[labels], names, scores)


def _larger_than(pixels: float, labels: IntArray) -> list[int]:
    """Ids above 0 that cover at least so many pixels."""
    ids, counts = np.unique(labels, return_counts=True)
    return [int(i) for i in ids[(ids > 0) & (counts >= pixels)]]


def _small(thing: Thing) -> bool:
    """Small enough that a segmenter takes it for a pattern on its support: low, or tiny all around."""
    low, high = thing.bounds()
    size = high - low
    return bool(size[2] < 0.045 or size.max() < 0.1)


def _cut(thing: Thing, random: Random) -> tuple[FloatArray, float]:
    """The plane (normal (3,), distance m) where a thing falls apart: across its longest side, a bit off centre."""
    low, high = thing.bounds()
    size = high - low
    axis = int(size.argmax())
    return np.eye(3)[axis], float(low[axis] + size[axis] * random.uniform(0.35, 0.65))


def _ragged(labels: IntArray, deviation: float, random: Random) -> IntArray:
    """Borders displaced by smooth noise of the given deviation in px, and left open here and there."""
    if deviation <= 0:
        return labels
    height, width = labels.shape
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
    coarse = random.standard_normal((3, *NOISE_GRID)).astype(np.float32)
    full = [cv2.resize(c, (width, height), interpolation=cv2.INTER_CUBIC) for c in coarse]
    dx, dy, gap = (cv2.GaussianBlur(c, (0, 0), 1.5) for c in full)
    moved: IntArray = cv2.remap(
        labels.astype(np.float32),
        cols + deviation * dx / dx.std(),
        rows + deviation * dy / dy.std(),
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.int32)
    kernel = np.ones((3, 3), np.uint8)
    as_image = moved.astype(np.uint16)
    border = cv2.dilate(as_image, kernel) != cv2.erode(as_image, kernel)
    moved[border & (gap / gap.std() > 0.5)] = 0
    return moved

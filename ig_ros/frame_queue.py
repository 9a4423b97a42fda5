"""Judges and segments frames before the trainer sees them, and remembers them for masks that come late.

A slow segmenter answers when its image has long been judged. Those masks go to the keyframe that the image became; did
it become none, then it becomes one now, if its camera has moved since the newest keyframe that has masks.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass

import cv2
import numpy as np

from ig_ros.errors import FrameError
from ig_ros.ignored import reduced as ignored_in
from ig_ros.ignored import union, without_ignored
from ig_ros.mapper import Mapper
from ig_ros.scaffold import Verdict
from ig_ros.scaffold.keyframes import reduced
from ig_ros.types import BoolArray, Detections, Frame, Masks

REMEMBERED = 150  # frames: five seconds at 30 Hz, about 80 MB at 320x240
OLD_MAP = "of_the_old_map"  # cause of what is dropped because the map has been emptied or replaced since


@dataclass(frozen=True, slots=True)
class LateMasks:
    """Masks of the frame of this stamp, or what it ignores; it was submitted before without."""

    stamp: int  # ns
    masks: Masks | None  # of the image in whatever size
    ignored: BoolArray | None = None  # (h, w), likewise


@dataclass(frozen=True, slots=True)
class LateDetections:
    """Boxes of the frame of this stamp, which was submitted before without any."""

    stamp: int  # ns
    detections: Detections  # in pixels of an image of ...
    width: int  # ... so many columns


Item = Frame | LateMasks | LateDetections


@dataclass(frozen=True, slots=True)
class _Seen:
    number: int
    frame: Frame  # at training resolution
    verdict: Verdict


class Inbox:
    """Queues frames and late masks for the intake; drops and counts the oldest when it is full."""

    def __init__(self, capacity: int, dropped: Counter[str]) -> None:
        self._items: deque[tuple[int, Item]] = deque()
        self._capacity, self._dropped = capacity, dropped
        self._filled = threading.Condition()
        self.frames = 0  # put in so far; each frame's number is the count at its coming

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        """Queues a frame, late masks or late boxes; never blocks."""
        with self._filled:
            self.frames += isinstance(item, Frame)
            if len(self._items) >= self._capacity:
                self._items.popleft()
                self._dropped["inbox_full"] += 1
            self._items.append((self.frames, item))
            self._filled.notify()

    def take(self, timeout: float) -> tuple[int, Item] | None:
        """Returns the oldest with its number, None when nothing came within `timeout` seconds."""
        with self._filled:
            if not self._items:
                self._filled.wait(timeout)
            return self._items.popleft() if self._items else None

    def wake(self) -> None:
        """Ends the wait of `take`."""
        with self._filled:
            self._filled.notify_all()


class Intake:
    """Judges and segments frames and late masks in the order of arrival.

    One thread may use it; `begin_anew` and `admits` are for any.
    """

    def __init__(self, mapper: Mapper) -> None:
        self._mapper = mapper
        self._map = mapper.state
        self._seen: OrderedDict[int, _Seen] = OrderedDict()  # by stamp
        self._late_masks = False  # whether any have come: frames are remembered from then on
        self._last_old = 0  # number of the newest frame that is not for this map

    def begin_anew(self, frames: int) -> None:
        """Keeps the first `frames` frames out of the map that comes now: it is about to be emptied or replaced."""
        self._last_old = frames

    def admits(self, number: int) -> bool:
        """Returns whether a frame of this number is for the present map."""
        return number > self._last_old

    def take(self, number: int, item: Item) -> tuple[int, Item] | str:
        """Returns what goes to the trainer, or the cause why nothing does. Raises IgError for what cannot be used."""
        if self._map is not self._mapper.state:  # another map: what was seen before is not of this one
            self._map = self._mapper.state
            self._seen.clear()
        if not self.admits(number):  # asked after the map was taken: it must not spoil the gate of the new one
            return OLD_MAP
        if isinstance(item, LateDetections):
            return number, item
        if isinstance(item, LateMasks):
            return self._late(item) if item.masks is not None else self._late_ignored(number, item)
        item = without_ignored(item, self._mapper.config.ignore_labels)
        verdict = self._map.gate.judge(item)
        self._remember(number, item, verdict)
        return (number, self._mapper.segment(item)) if verdict is Verdict.KEYFRAME else verdict.value

    def _remember(self, number: int, frame: Frame, verdict: Verdict) -> None:
        if not self._late_masks or frame.masks is not None:
            return
        self._seen[frame.stamp] = _Seen(number, reduced(frame, self._mapper.config.input.max_width), verdict)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _late_ignored(self, number: int, late: LateMasks) -> tuple[int, Item]:
        """For the keyframe that the image became, if it did, or may become by masks to come."""
        assert late.ignored is not None
        seen = self._seen.get(late.stamp)
        if seen is not None:
            ignored = union(
                seen.frame.ignored, ignored_in(late.ignored, seen.frame.camera.width, seen.frame.camera.height)
            )
            frame = without_ignored(dataclasses.replace(seen.frame, ignored=ignored), ())
            self._seen[late.stamp] = dataclasses.replace(seen, frame=frame)
        return number, late

    def _late(self, late: LateMasks) -> tuple[int, Item] | str:
        assert late.masks is not None
        self._late_masks = True
        seen = self._seen.pop(late.stamp, None)
        if seen is None:
            raise FrameError(
                "masks_too_late",
                "masks came for an image that is not remembered any more: use a faster segmenter or smaller images",
            )
        if seen.verdict is Verdict.BLURRED:
            return Verdict.BLURRED.value
        wanted = self._map.gate.admit_masks(seen.frame)
        size = (seen.frame.camera.width, seen.frame.camera.height)
        labels = cv2.resize(late.masks.labels.astype(np.int32), size, interpolation=cv2.INTER_NEAREST)
        frame = dataclasses.replace(seen.frame, masks=dataclasses.replace(late.masks, labels=labels))
        if seen.verdict is Verdict.KEYFRAME:
            frame = self._mapper.segment(frame)
            return seen.number, LateMasks(late.stamp, frame.masks, frame.ignored)
        return (seen.number, self._mapper.segment(frame)) if wanted else Verdict.NOT_NEW.value

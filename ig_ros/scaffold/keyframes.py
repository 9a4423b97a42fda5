"""Keyframes: the views that training replays, and which of them comes next."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import numpy as np
import torch
from scipy.spatial import cKDTree

from ig_ros.config import InputConfig, KeyframeConfig, TrainingConfig
from ig_ros.types import Camera, FloatArray, Frame, Masks

T = TypeVar("T")

TABLE = 1 << 20  # ids of masks from which on they are renumbered
LATEST = 30_000_000_000  # ns, by which masks may be late; what is newer is of a clock that has started again
FRESH = 10  # newest keyframes that are not forgotten, where there are twice as many


@dataclass(slots=True)
class Keyframe:
    """One view at training resolution. Images are compact; `loss` and `last_used` steer the replay."""

    uid: int
    stamp: int  # ns
    index: int  # frame number in its dataset, -1 for a stream
    camera: Camera
    T_world_camera: FloatArray  # (4, 4) m
    rgb: torch.Tensor  # (H, W, 3) uint8
    depth: torch.Tensor | None  # (H, W) float16 m, 0 = none
    estimated: bool = False  # depth comes from stereo over keyframes, not from a sensor
    labels: torch.Tensor | None = None  # (H, W) int32, 0 = none
    masks: Masks | None = None  # names, scores, embeddings; its label image is the reduced one
    loss: float = 1.0  # running mean of the colour loss
    uses: int = 0
    last_used: int = 0  # training step
    missing: set[int] = field(default_factory=set)  # tiles on disk that it looks at: it sleeps until they are back
    source: str = ""  # which of several cameras took it

    def set_masks(self, masks: Masks) -> None:
        """Attach a segmentation of the full-size image, reduced to training resolution (nearest pixel)."""
        size = (self.camera.width, self.camera.height)
        labels = cv2.resize(masks.labels.astype(np.int32), size, interpolation=cv2.INTER_NEAREST)
        self.masks = with_small_ids(dataclasses.replace(masks, labels=labels))
        self.labels = torch.from_numpy(self.masks.labels)


def with_small_ids(masks: Masks) -> Masks:
    """The same masks under ids that fit a table: segmenters may number by colour or by hash."""
    if masks.labels.max(initial=0) < TABLE:
        return masks
    ids, place = np.unique(np.maximum(masks.labels, 0), return_inverse=True)
    first = int(ids[0] != 0)
    number = {int(old): new for new, old in enumerate(ids.tolist(), first) if old}
    labels = (place.reshape(masks.labels.shape) + first).astype(np.int32)
    return Masks(
        labels, _renamed(masks.names, number), _renamed(masks.scores, number), _renamed(masks.embeddings, number),
        masks.encoder,
    )  # fmt: skip


def _renamed(words: Mapping[int, T], number: Mapping[int, int]) -> dict[int, T]:
    return {number[i]: word for i, word in words.items() if i in number}


def make_keyframe(uid: int, frame: Frame, config: InputConfig) -> Keyframe:
    """Reduce a frame to training resolution; depth outside the trusted range becomes 0."""
    camera = frame.camera
    if camera.width > config.max_width:
        camera = camera.resized(config.max_width, round(camera.height * config.max_width / camera.width))
    size = (camera.width, camera.height)
    rgb = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)
    depth = None
    if frame.depth is not None and config.use_depth:
        reduced = cv2.resize(frame.depth.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)
        good = np.isfinite(reduced) & (reduced >= config.min_depth) & (reduced <= config.max_depth)
        depth = torch.from_numpy(np.where(good, reduced, 0.0).astype(np.float16)) if good.any() else None
    keyframe = Keyframe(
        uid, frame.stamp, frame.index, camera, frame.T_world_camera.copy(), torch.from_numpy(rgb), depth,
        source=frame.source,
    )  # fmt: skip
    if frame.masks is not None:
        keyframe.set_masks(frame.masks)
    return keyframe


def newest(items: Sequence[Keyframe]) -> Keyframe:
    """Which of some keyframes, in order of arrival, was taken last: one whose masks came late stands behind it."""
    last = items[-1]
    return max((k for k in items[-FRESH:] if k.stamp - last.stamp < LATEST), key=lambda k: k.stamp)


@dataclass(slots=True)
class KeyframeStore:
    """All keyframes in order of arrival, with the choice of what enters, what is replayed and what is forgotten."""

    config: KeyframeConfig
    items: list[Keyframe] = field(default_factory=list)
    next_uid: int = 0

    def __len__(self) -> int:
        return len(self.items)

    def add(self, frame: Frame, config: InputConfig) -> Keyframe:
        """Reduce, store and return a frame as the newest keyframe; the least informative one goes when full."""
        keyframe = make_keyframe(self.next_uid, frame, config)
        self.next_uid += 1
        self.items.append(keyframe)
        self.trim()
        return keyframe

    def trim(self) -> None:
        """Forget the least informative keyframes until the capacity is kept."""
        while len(self.items) > self.config.capacity:
            self.items.pop(self._least_informative())

    def shrink(self, count: int) -> None:
        """Keep the `count` most informative keyframes, from now on at most so many."""
        self.config = dataclasses.replace(self.config, capacity=max(count, 2))
        self.trim()

    def _least_informative(self) -> int:
        """The keyframe closest to the two most similar ones, of whatever time: what it saw, they saw.

        Of equals the oldest; the newest few are still to be learnt from.
        """
        views = np.stack([np.concatenate([k.T_world_camera[:3, 3], k.T_world_camera[:3, 2]]) for k in self.items])
        near, _ = cKDTree(views).query(views, k=min(3, len(views)))
        fresh = min(FRESH, len(self.items) // 2)
        return int(np.argmin(near.sum(axis=1)[: len(self.items) - fresh]))

    def awake(self) -> list[Keyframe]:
        """Those that miss nothing of what they saw; all of them where that would be none."""
        items = list(self.items)
        return [k for k in items if not k.missing] or items

    def choose(self, step: int, config: TrainingConfig, rng: np.random.Generator) -> Keyframe:
        """Next view to train on: about 40 % recent, 40 % hard or long unused, the rest uniform (METHOD 7.3)."""
        items = self.awake()
        n = len(items)
        draw = rng.random()
        if draw < config.replay_recent:
            pick = int(rng.integers(max(0, n - config.recent_window), n))
        elif draw < config.replay_recent + config.replay_hard:
            loss = np.array([k.loss for k in items])
            stale = np.array([step - k.last_used for k in items]) / (2.0 * n)
            pick = int(np.argmax(loss / loss.mean() + stale + rng.random(n)))
        else:
            pick = int(rng.integers(n))
        return items[pick]

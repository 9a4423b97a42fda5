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

from ig_ros import ignored as ignoring
from ig_ros.config import InputConfig, KeyframeConfig, TrainingConfig
from ig_ros.depth_images import filled_depth, reduced_depth
from ig_ros.errors import FrameError
from ig_ros.types import BoolArray, Camera, FloatArray, Frame, Masks

T = TypeVar("T")

MASK_ID_LIMIT = 1 << 20  # masks with larger ids are renumbered: tables over the ids stay small
MAX_MASK_DELAY = 30_000_000_000  # ns, by which masks may be late; larger steps back are a clock that was restarted
RECENT = 10  # newest keyframes: replayed more often, and not dropped where there are twice as many


@dataclass(slots=True)
class Keyframe:
    """One view at training resolution; `loss` and `last_used` steer the replay."""

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
    missing: set[int] = field(default_factory=set)  # tiles on disk that it looks at: not replayed until they are back
    source: str = ""  # which of several cameras took it
    ignored: torch.Tensor | None = None  # (H, W) bool, pixels that do not show the scene
    log_gain: FloatArray = field(default_factory=lambda: np.zeros(3))  # exposure and white balance, running mean

    def set_masks(self, masks: Masks) -> None:
        """Attaches a segmentation of the full-size image, reduced to training resolution (nearest pixel)."""
        size = (self.camera.width, self.camera.height)
        labels = cv2.resize(masks.labels.astype(np.int32), size, interpolation=cv2.INTER_NEAREST)
        self.masks = with_small_ids(dataclasses.replace(masks, labels=labels))
        self.labels = torch.from_numpy(self.masks.labels)
        self._cut()

    def ignore(self, pixels: BoolArray) -> None:
        """Leaves out pixels (h, w) of the image in whatever size: they have neither depth nor mask from now on."""
        more = ignoring.reduced(pixels, self.camera.width, self.camera.height)
        self.ignored = torch.from_numpy(more if self.ignored is None else more | self.ignored.numpy())
        self._cut()

    def _cut(self) -> None:
        if self.ignored is None:
            return
        if self.depth is not None:  # frozen maps share the old images
            self.depth = torch.where(self.ignored, torch.zeros_like(self.depth), self.depth)
        if self.masks is not None:
            self.masks = ignoring.cut(self.masks, self.ignored.numpy())
            self.labels = torch.from_numpy(self.masks.labels)


def with_small_ids(masks: Masks) -> Masks:
    """Returns the masks with ids under MASK_ID_LIMIT: segmenters may number by colour or by hash."""
    if masks.labels.max(initial=0) < MASK_ID_LIMIT:
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


def demand_usable(depth: FloatArray, config: InputConfig) -> None:
    """Raises FrameError `depth_range` for a depth image (H, W) m without any pixel in the trusted range."""
    if not within(depth, config).any():
        least, most = config.min_depth, config.max_depth
        found = f"the farthest is {depth.max():.2f} m: check its units, or change these" if depth.any() else (
            "none of its pixels has any: check the depth camera and its reach"
        )  # fmt: skip
        text = f"no depth is within {least:g} to {most:g} m (input.min_depth, input.max_depth), {found}"
        raise FrameError("depth_range", text)


def within(depth: FloatArray, config: InputConfig) -> BoolArray:
    """Returns which depths are finite and in the trusted range, of the same shape."""
    return np.asarray(np.isfinite(depth) & (depth >= config.min_depth) & (depth <= config.max_depth))


def reduced(frame: Frame, width: int) -> Frame:
    """Returns a frame at most `width` px wide, without its masks."""
    camera, depth = frame.camera, frame.depth
    if camera.width > width:
        camera = camera.resized(width, round(camera.height * width / camera.width))
    size = (camera.width, camera.height)
    rgb = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)
    if depth is not None:
        depth = reduced_depth(depth, size)
    ignored = None if frame.ignored is None else ignoring.reduced(frame.ignored, *size)
    return dataclasses.replace(frame, rgb=rgb, camera=camera, depth=depth, masks=None, ignored=ignored)


def make_keyframe(uid: int, frame: Frame, config: InputConfig) -> Keyframe:
    """Reduces a frame to training resolution; depth outside the trusted range becomes 0."""
    small = reduced(frame, config.max_width)
    depth = None
    if small.depth is not None and config.use_depth:
        filled = filled_depth(small.depth)
        good = within(filled, config)
        depth = torch.from_numpy(np.where(good, filled, 0.0).astype(np.float16)) if good.any() else None
    keyframe = Keyframe(
        uid, frame.stamp, frame.index, small.camera, frame.T_world_camera.copy(), torch.from_numpy(small.rgb), depth,
        source=frame.source,
    )  # fmt: skip
    if frame.masks is not None:
        keyframe.set_masks(frame.masks)
    if small.ignored is not None:
        keyframe.ignore(small.ignored)
    return keyframe


def newest(items: Sequence[Keyframe]) -> Keyframe:
    """Returns the keyframe taken last of some in order of arrival; one whose masks came late may be behind it."""
    last = items[-1]
    return max((k for k in items[-RECENT:] if k.stamp - last.stamp < MAX_MASK_DELAY), key=lambda k: k.stamp)


@dataclass(slots=True)
class KeyframeStore:
    """All keyframes in order of arrival; chooses which are replayed and which are dropped."""

    config: KeyframeConfig
    items: list[Keyframe] = field(default_factory=list)
    next_uid: int = 0

    def __len__(self) -> int:
        return len(self.items)

    def add(self, frame: Frame, config: InputConfig) -> Keyframe:
        """Reduces, stores and returns a frame as the newest keyframe; drops the least informative one when full."""
        keyframe = make_keyframe(self.next_uid, frame, config)
        self.next_uid += 1
        self.items.append(keyframe)
        self.trim()
        return keyframe

    def trim(self) -> None:
        """Drops the least informative keyframes until the capacity is kept."""
        while len(self.items) > self.config.capacity:
            self.items.pop(self._least_informative())

    def shrink(self, count: int) -> None:
        """Keeps the `count` most informative keyframes and lowers the capacity to it."""
        self.config = dataclasses.replace(self.config, capacity=max(count, 2))
        self.trim()

    def _least_informative(self) -> int:
        """Returns the place of the keyframe closest to its two most similar ones, the oldest of equals.

        The newest ones are left out: training has hardly used them.
        """
        views = np.stack([np.concatenate([k.T_world_camera[:3, 3], k.T_world_camera[:3, 2]]) for k in self.items])
        near, _ = cKDTree(views).query(views, k=min(3, len(views)))
        recent = min(RECENT, len(self.items) // 2)
        return int(np.argmin(near.sum(axis=1)[: len(self.items) - recent]))

    def awake(self) -> list[Keyframe]:
        """Returns those of which no part is on disk; all of them where that would be none."""
        items = list(self.items)
        return [k for k in items if not k.missing] or items

    def choose(self, step: int, config: TrainingConfig, rng: np.random.Generator) -> Keyframe:
        """Returns the next keyframe to train on: recent, hard or long unused, or any (docs/method.md, section 7)."""
        items = self.awake()
        n = len(items)
        draw = rng.random()
        if draw < config.replay_recent:
            pick = int(rng.integers(max(0, n - RECENT), n))
        elif draw < config.replay_recent + config.replay_hard:
            loss = np.array([k.loss for k in items])
            stale = np.array([step - k.last_used for k in items]) / (2.0 * n)
            pick = int(np.argmax(loss / loss.mean() + stale + rng.random(n)))
        else:
            pick = int(rng.integers(n))
        return items[pick]

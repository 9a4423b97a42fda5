"""What is not the scene: pixels of the robot itself and of people, by a mask per camera, by image, by the masks' names.

An ignored pixel is as if nobody had looked there: it has no colour to train on, no depth and no mask.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np

from ig_ros.errors import ConfigError, FrameError
from ig_ros.types import BoolArray, Frame, IntArray, Masks

ASPECT = 0.01  # share by which the aspects of a mask and its image may differ: sizes are whole numbers of pixels


@dataclasses.dataclass(frozen=True, slots=True)
class IgnoreMask:
    """The part of a camera's images that never shows the scene, as a file tells it."""

    path: Path
    pixels: BoolArray  # (H, W), in whatever size

    @staticmethod
    def read(path: str, parameter: str = "ignore_mask") -> IgnoreMask:
        """Reads an image whose pixels other than 0 are ignored. Raises ConfigError naming the parameter."""
        file = Path(path).expanduser()
        if not file.is_file():
            raise ConfigError(f"{parameter} {file} is not there: give the path of an image, 0 = scene")
        image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise ConfigError(f"{parameter} {file} cannot be read as an image: save it as PNG")
        channels = image.reshape(*image.shape[:2], -1)[..., :3]  # a fourth is opacity
        pixels = (channels > 0).any(-1)
        if pixels.all():
            raise ConfigError(f"{parameter} {file} ignores every pixel: what shows the scene must be 0")
        return IgnoreMask(file, pixels)

    def sized(self, width: int, height: int) -> BoolArray:
        """Returns the mask (height, width) of images of this size. Raises FrameError where their shape is another."""
        own_height, own_width = self.pixels.shape
        if abs(own_width * height / (own_height * width) - 1) > ASPECT:
            raise FrameError(
                "ignore_mask_size",
                f"ignore_mask {self.path} is {own_width}x{own_height}, the image {width}x{height}: draw it on a "
                "whole image of this camera",
            )
        return resized(self.pixels, width, height)


def resized(pixels: BoolArray, width: int, height: int) -> BoolArray:
    """Returns ignored pixels (H, W) in another size, of the nearest pixel each."""
    return np.asarray(cv2.resize(pixels.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0)


def reduced(pixels: BoolArray, width: int, height: int) -> BoolArray:
    """Returns ignored pixels (H, W) in a smaller size: of what becomes one pixel, none may show the scene in part."""
    share = cv2.resize(pixels.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(share > 1e-3)


def named(masks: Masks, names: Collection[str]) -> BoolArray | None:
    """Returns the pixels (H, W) under masks of these names in any case, None where there are none."""
    wanted = {name.strip().casefold() for name in names} - {""}
    ids = [i for i, name in masks.names.items() if wanted and name.strip().casefold() in wanted]
    pixels = np.isin(masks.labels, ids) if ids else None
    return pixels if pixels is not None and pixels.any() else None


def union(a: BoolArray | None, b: BoolArray | None) -> BoolArray | None:
    """Returns what is ignored by either, None = nothing."""
    return b if a is None else a if b is None else a | b


def without_ignored(frame: Frame, names: Collection[str]) -> Frame:
    """Returns a frame that has neither depth nor masks where it is ignored, masks of these names being ignored too."""
    ignored = union(frame.ignored, None if frame.masks is None else named(frame.masks, names))
    if ignored is None:
        return frame
    depth = None if frame.depth is None else np.where(ignored, 0, frame.depth)
    masks = None if frame.masks is None else cut(frame.masks, ignored)
    return dataclasses.replace(frame, depth=depth, masks=masks, ignored=ignored)


def cut(masks: Masks, ignored: BoolArray) -> Masks:
    """Returns masks without their ignored pixels (H, W)."""
    labels: IntArray = np.where(ignored, 0, masks.labels).astype(np.int32)
    return dataclasses.replace(masks, labels=labels)

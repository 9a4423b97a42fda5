"""What a segmenter is, and the one the configuration asks for."""

from __future__ import annotations

from typing import Protocol

from ig_ros.config import SegmentationConfig
from ig_ros.registries import SEGMENTERS, load
from ig_ros.types import Array, Camera, FloatArray, Masks


class Segmenter(Protocol):
    """Turns one image into masks whose ids mean nothing in the next image. Made from a SegmentationConfig."""

    @property
    def name(self) -> str:
        """Returns short name for logs and diagnostics."""

    def segment(self, rgb: Array, depth: FloatArray | None, camera: Camera) -> Masks:
        """Returns masks of rgb (H, W, 3) u8, helped by registered depth (H, W) m (0 = unknown) where there is any."""


def make_segmenter(config: SegmentationConfig) -> Segmenter | None:
    """Returns the configured segmenter, None for `none`.

    Raises SegmenterError when its package or weights are missing.
    """
    if config.segmenter == "none":
        return None
    segmenter: Segmenter = load(SEGMENTERS[config.segmenter])(config)
    return segmenter

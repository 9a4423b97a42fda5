"""What a segmenter is, and the one the configuration asks for."""

from __future__ import annotations

from typing import Protocol

from ig_ros.config import SegmentationConfig
from ig_ros.types import Array, Camera, FloatArray, Masks


class Segmenter(Protocol):
    """Turns one image into masks whose ids mean nothing in the next image."""

    @property
    def name(self) -> str:
        """Short name for logs and diagnostics."""

    def segment(self, rgb: Array, depth: FloatArray | None, camera: Camera) -> Masks:
        """Masks of rgb (H, W, 3) u8, helped by registered depth (H, W) m (0 = unknown) where there is any."""


def make_segmenter(config: SegmentationConfig) -> Segmenter | None:
    """The configured segmenter, None for `none`. Raises SegmenterError when its package or weights are missing."""
    if config.segmenter == "geometric":
        from ig_ros.segmentation.geometric import GeometricSegmenter

        return GeometricSegmenter(config)
    if config.segmenter == "sam":
        from ig_ros.segmentation.sam import SamSegmenter

        return SamSegmenter(config)
    if config.segmenter == "sam2":
        from ig_ros.segmentation.sam2 import Sam2Segmenter

        return Sam2Segmenter(config)
    return None

"""Masks for images that come without any."""

from ig_ros.segmentation.registry import Segmenter, make_segmenter

__all__ = ["Segmenter", "make_segmenter"]

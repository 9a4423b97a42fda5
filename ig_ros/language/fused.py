"""What a thing looks like and what it is called, together: an image encoder and a label encoder as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ig_ros.language.encoders import ImageEncoder, LabelEncoder
from ig_ros.types import Array, FloatArray, Masks

FLOOR = 1e-4  # relevancies are kept this far from 0 and 1 before their odds are averaged


class FusedEncoder:
    """Embeddings are both halves side by side, each of unit norm or, where it knows nothing, zero."""

    def __init__(self, image: ImageEncoder, label: LabelEncoder) -> None:
        self.image, self.label = image, label
        self.name = f"{image.name} + {label.name}"
        self.dimension = image.dimension + label.dimension

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """(n, E) float32 rows, both halves of unit norm."""
        return np.concatenate([self.image.encode_text(texts), self.label.encode_text(texts)], axis=1)

    def encode_masks(self, rgb: Array, masks: Masks) -> dict[int, FloatArray]:
        """Mask id -> (image.dimension,) float32 unit embedding."""
        return self.image.encode_masks(rgb, masks)

    def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:
        """(S,) in [0, 1]: the mean of both halves' log odds, or the one half's that knows the object."""
        halves = np.split(embeddings, [self.image.dimension], axis=1)
        known = np.stack([np.linalg.norm(half, axis=1) > 0 for half in halves])
        scores = np.stack([self.image.relevancy(text, halves[0]), self.label.relevancy(text, halves[1])])
        clipped = np.clip(scores, FLOOR, 1 - FLOOR)
        odds = (np.log(clipped / (1 - clipped)) * known).sum(0) / np.maximum(known.sum(0), 1)
        return np.asarray(np.where(known.any(0), 1 / (1 + np.exp(-odds)), 0.0))

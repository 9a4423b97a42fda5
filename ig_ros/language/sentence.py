"""Default encoder: MiniLM sentence embeddings over mask labels.

A bare label is a poor sentence: "mug" alone is nearer to "bottle" than to "something to drink from" is to "mug". So a
label is encoded as the mean of several phrases that talk about the thing and its use, and of its gloss where the
lexicon has one; a query as the mean of three phrases. An object that is an entry of the lexicon is also compared facet
by facet: definition, other names and use say different things, and a query says one of them. A query that clearly names
another thing of the lexicon ("a candle", where the map has a lamp) is refused. `make language` and
`pytest -s test/language/test_query_quality.py` print what that is worth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ig_ros.language.encoders import TextCache, normalized
from ig_ros.language.entries import Entries
from ig_ros.language.lexicon import entry_of, gloss
from ig_ros.language.minilm import MiniLM
from ig_ros.types import FloatArray

LABEL_PHRASES = ("{}", "a {}", "what a {} is used for", "something like a {}", "you can use a {}")
QUERY_PHRASES = ("{}", "find {}", "{}, an object")
# Chosen on the nouns in test/language/nouns.yaml, checked on things of other rooms (benchmarks/held_out.yaml).
UNDECIDED_COSINE = 0.41  # as often a paraphrase of something present as a name of something absent
COSINE_WIDTH = 0.06  # logistic width: 0.06 above the undecided cosine is 73 % sure
UNDECIDED_ENTRY, ENTRY_WIDTH = 0.486, 0.05  # the same for the mean of cosine and best facet: logistic fit of rightness
NAMED = 0.7  # a query this close to a rival names it ...
MARGIN = 0.12  # ... unless the object is nearly as close
RIVAL_PENALTY = 3.0  # logits that an object loses to a rival


class SentenceEncoder:
    """all-MiniLM-L6-v2 on labels and queries; needs names on the masks, never looks at the image."""

    name = "sentence/all-MiniLM-L6-v2+glosses"
    dimension = 384

    def __init__(self) -> None:
        """Loads the model (about a second). Raises EncoderError when a package is missing."""
        self._model = MiniLM()
        self._labels = TextCache(self._encode_labels, self.dimension)
        self._entries = Entries(TextCache(lambda texts: self._encode(texts, ("{}",)), self.dimension), self._labels)
        self._queries = TextCache(lambda texts: self._encode(texts, QUERY_PHRASES), self.dimension)

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
        entries = self._entries.beside(embeddings)
        facet = entries.best_facet(query)
        known = np.isfinite(facet)
        likeness = np.where(known, (cosine + np.where(known, facet, 0.0)) / 2, cosine)
        other = entries.best_rival(query, text.lower().split())
        named = (other > NAMED) & (other > likeness + MARGIN)
        undecided, width = (
            np.where(known, UNDECIDED_ENTRY, UNDECIDED_COSINE),
            np.where(known, ENTRY_WIDTH, COSINE_WIDTH),
        )
        logit = (likeness - undecided) / width - RIVAL_PENALTY * named
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))

    def _encode_labels(self, labels: list[str]) -> FloatArray:
        """(n, 384); a label that is another name for an entry of the lexicon lies near that entry."""
        entries = [entry for entry in map(entry_of, labels) if entry]
        rows = self._with_glosses([*labels, *entries])
        renamed = [i for i, label in enumerate(labels) if entry_of(label)]
        rows[renamed] = normalized(rows[renamed] + 2 * rows[len(labels) :])
        return rows[: len(labels)]

    def _with_glosses(self, labels: list[str]) -> FloatArray:
        rows = self._encode(labels, LABEL_PHRASES)
        described = [i for i, label in enumerate(labels) if gloss(label)]
        if described:
            glosses = self._encode([f"{labels[i]}: {gloss(labels[i])}" for i in described], ("{}",))
            rows[described] = normalized(rows[described] + glosses)
        return rows

    def _encode(self, texts: list[str], phrases: tuple[str, ...]) -> FloatArray:
        sentences = [phrase.format(text) for text in texts for phrase in phrases]
        return normalized(self._model(sentences).reshape(len(texts), len(phrases), -1).mean(axis=1))

"""The lexicon's entries in an encoder's space: which of them an object is, and how near a query comes to each.

What hangs on the objects alone is worked out once per map: a planner asks many questions about one snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ig_ros.language.lexicon import GLOSSES
from ig_ros.language.synonyms import facets
from ig_ros.types import BoolArray, FloatArray, IntArray

ENTRY = 0.85  # an object whose embedding is this close to a label of the lexicon is that entry
SYNONYM = 0.5  # lexicon entries at least this close to an object's embedding are names for it, no rivals
MAPS = 4  # sets of objects that are remembered
NAMES = tuple(GLOSSES)
LAST_WORDS = np.array([name.split()[-1] for name in NAMES])

Encode = Callable[[Sequence[str]], FloatArray]  # n texts -> (n, E) unit rows


@dataclass(frozen=True, slots=True)
class Nearness:
    """S objects beside the L entries."""

    embeddings: FloatArray  # (S, E) of the objects
    rivals: FloatArray  # (L, E) names of all entries
    is_rival: BoolArray  # (L, S) an entry names something else than the object
    facets: FloatArray  # (F, E) what there is to say of the entries that objects are, entry by entry
    start: IntArray  # (n,) first facet of each such entry
    entry: IntArray  # (S,) which of them each object is, -1 = none

    def best_facet(self, query: FloatArray) -> FloatArray:
        """(S,) cosine of the query (E,) with the best facet of the entry that each object is, NaN where it is none."""
        if not len(self.start):
            return np.full(len(self.entry), np.nan)
        best = np.maximum.reduceat(self.facets @ query, self.start)
        return np.append(best, np.nan)[self.entry]

    def best_rival(self, query: FloatArray, words: Sequence[str]) -> FloatArray:
        """(S,) cosine of the query (E,) with the nearest rival of each object, -1 where it has none.

        The query's words name no rival in passing: the tomato of "tomato sauce" is none.
        """
        cosine = np.where(np.isin(LAST_WORDS, words[:-1]), -1.0, self.rivals @ query)
        return np.asarray(np.where(self.is_rival, cosine[:, None], -1.0).max(axis=0))


class Entries:
    """Thread safe; two threads may do the same work once."""

    def __init__(self, encode_names: Encode, encode_labels: Encode) -> None:
        """`encode_names` takes texts as they are, `encode_labels` as objects are described."""
        self._encode_names, self._encode_labels = encode_names, encode_labels
        self._known: tuple[Nearness, ...] = ()

    def beside(self, embeddings: FloatArray) -> Nearness:
        """The entries beside objects (S, E), which are not written to afterwards."""
        for known in self._known:
            if known.embeddings is embeddings:
                return known
        found = self._compare(embeddings)
        self._known = (found, *self._known[: MAPS - 1])
        return found

    @cached_property
    def _names(self) -> FloatArray:
        return self._encode_names(NAMES)

    def _compare(self, embeddings: FloatArray) -> Nearness:
        alike = self._names @ embeddings.T
        nearest = alike.argmax(axis=0)
        is_entry = (self._encode_labels([NAMES[i] for i in nearest]) * embeddings).sum(axis=1) > ENTRY
        present = np.unique(nearest[is_entry])
        said = [facets(NAMES[i], GLOSSES[NAMES[i]]) for i in present]
        entry = np.where(is_entry, np.searchsorted(present, nearest), -1)
        rows = self._encode_names([facet for one in said for facet in one])
        start = np.cumsum([0, *(len(one) for one in said)])[:-1]
        return Nearness(embeddings, self._names, alike < SYNONYM, rows, start.astype(np.int64), entry)

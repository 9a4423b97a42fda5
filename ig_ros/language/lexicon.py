"""The lexicon of everyday things (lexicon.yaml), and how near its entries lie to a map's objects and to a query.

A label that is an entry is encoded with its definition. An object that is an entry is compared with all that describes
the entry. All other entries are rivals: a query that means one of them, and not what is on the map, is refused.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
import yaml

from ig_ros.types import BoolArray, FloatArray, IntArray

SAME_THING = 0.85  # cosine with an entry's label embedding above which an object is that entry
SAME_NAME = 0.5  # cosine with an entry's name from which on it is a name for the object, and no rival


@dataclass(frozen=True, slots=True)
class LexiconEntry:
    """One everyday thing."""

    definition: str  # as in a dictionary
    other_names: list[str]
    use: str  # completes "something ...", for example "to cut paper with"


def read_lexicon() -> dict[str, LexiconEntry]:
    """Name -> entry, in the order of the file."""
    text = files("ig_ros.language").joinpath("lexicon.yaml").read_bytes()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C takes a tenth of the time
    return {name: LexiconEntry(**fields) for name, fields in yaml.load(text, loader).items()}


LEXICON = read_lexicon()
NAMES = tuple(LEXICON)
# Other name -> the first entry that has it.
ENTRY_OF = {other.lower(): name for name in reversed(NAMES) for other in reversed(LEXICON[name].other_names)}


def definition_of(label: str) -> str:
    """The definition of a label or, where it has none, of its last word; "" where there is neither."""
    words = _words(label)
    entry = LEXICON.get(" ".join(words)) or LEXICON.get("".join(words[-1:]))
    return entry.definition if entry else ""


def entry_of(label: str) -> str:
    """The entry that a label is another name for; "" where it is an entry itself, or none."""
    name = " ".join(_words(label))
    return "" if name in LEXICON else ENTRY_OF.get(name, "")


def descriptions(name: str) -> tuple[str, ...]:
    """Everything that a query may say of an entry: its name, its definition, its other names, its use."""
    entry = LEXICON[name]
    return name, f"{name}: {entry.definition}", *entry.other_names, f"something {entry.use}"


KINDS = {  # what people ask for by what it is good for: ways to say it, and the entries that are meant
    "food": (
        "something to eat; i am hungry; i'm hungry; food; a snack; snack; something edible; something i can eat",
        """cereal box; cracker box; food can; banana; apple; orange; lemon; pear; strawberry; tomato; carrot;
        bread; cake; egg; cheese; sandwich; broccoli; hot dog; pizza; donut; cookie; chocolate; chips;
        yogurt; butter; jam; honey; grapes; pineapple; peach; potato; onion; cucumber; mushroom; garlic;
        rice; pasta""",
    ),
    "fruit": ("fruit; a fruit; some fruit",
              "banana; apple; orange; lemon; pear; strawberry; grapes; pineapple; peach"),
    "drink": (
        "something to drink; i am thirsty; i'm thirsty; a drink; drink; a beverage; something i can drink",
        "soda can; milk carton; juice; beer; wine bottle; water bottle; bottle; water cooler",
    ),
    "seat": ("something to sit on; a seat; seat; where can i sit",
             "chair; stool; sofa; bench; high chair; rocking chair; ottoman"),
}  # fmt: skip
_KIND_OF = {way: " ".join(members.split()).split("; ") for ways, members in KINDS.values() for way in ways.split("; ")}


def members_of(text: str, labels: Sequence[str]) -> tuple[BoolArray, BoolArray] | None:
    """(S,) which labels are of the kind that a text names ("something to eat"), and which nobody knows; or None."""
    members = _KIND_OF.get(text)
    if members is None:
        return None
    entries = [known_as(label) for label in labels]
    return np.array([e in members for e in entries], bool), np.array([not e for e in entries], bool)


@cache
def known_as(label: str) -> str:
    """The entry that a label is, is another name for, or ends with ("green apple"); "" where there is none."""
    words = _words(label)
    for start in range(len(words)):
        name = " ".join(words[start:])
        if name in LEXICON or name in ENTRY_OF:
            return name if name in LEXICON else ENTRY_OF[name]
    return ""


@cache
def genus(name: str) -> frozenset[str]:
    """Words for what an entry is, by its definition: "bottle" and "sauce" for "a bottle of tomato sauce, ..."."""
    definition = re.split(r"\b(?:for|with|that|which|in|on|from|to|used)\b|[,;:]", LEXICON[name].definition)[0]
    return frozenset(_words(definition))


def is_another(text: str, label: str) -> bool:
    """Whether a text names an entry that the label is not: a toaster is no bread, however near their embeddings lie."""
    own = known_as(label)
    if text not in LEXICON or not own or own == text:
        return False
    synonyms = text in LEXICON[own].other_names or own in LEXICON[text].other_names
    return not (synonyms or text in genus(own) or text in _words(label) or _words(label)[-1] in text.split())


def is_only_last_word(text: str, label: str) -> bool:
    """Whether a label ends with a text without being such a thing: a hot dog is no dog."""
    name = " ".join(_words(label))
    return name in LEXICON and name != text and text in LEXICON and not {text, *LEXICON[text].other_names} & genus(name)


def _words(label: str) -> list[str]:
    return label.lower().replace("_", " ").split()


Encode = Callable[[Sequence[str]], FloatArray]  # n texts -> (n, E) unit rows


@dataclass(frozen=True, slots=True)
class LexiconMatch:
    """S objects compared with the L entries."""

    names: FloatArray  # (L, E) of all entries
    is_rival: BoolArray  # (L, S) an entry names something else than the object
    descriptions: FloatArray  # (D, E) of the entries that objects are, entry by entry
    start: IntArray  # (n,) first description of each such entry
    entry: IntArray  # (S,) which of them each object is, -1 = none

    def best_description(self, query: FloatArray) -> FloatArray:
        """(S,) best cosine of the query (E,) with what describes the entry of each object, NaN where it is none."""
        if not len(self.start):
            return np.full(len(self.entry), np.nan)
        best = np.maximum.reduceat(self.descriptions @ query, self.start)
        return np.append(best, np.nan)[self.entry]

    def best_rival(self, query: FloatArray, words: Sequence[str]) -> FloatArray:
        """(S,) cosine of the query (E,) with the nearest rival of each object, -1 where it has none.

        What the query's words name as a modifier is no rival: not the tomato of "tomato sauce".
        """
        modifiers = np.isin([name.split()[-1] for name in NAMES], words[:-1])
        cosine = np.where(modifiers, -1.0, self.names @ query)
        return np.asarray(np.where(self.is_rival, cosine[:, None], -1.0).max(axis=0))


class LexiconIndex:
    """The entries in an encoder's space. Thread safe; two threads may do the same work once."""

    def __init__(self, encode_names: Encode, encode_labels: Encode) -> None:
        """`encode_names` takes texts as they are, `encode_labels` as objects are described."""
        self._encode_names, self._encode_labels = encode_names, encode_labels
        self._matches: dict[int, LexiconMatch] = {}  # id of an embedding table -> match, dropped with the table

    @cached_property
    def _names(self) -> FloatArray:
        return self._encode_names(NAMES)

    def match(self, embeddings: FloatArray) -> LexiconMatch:
        """Compares the entries with objects (S, E), once for every table, which must not be written to afterwards."""
        match = self._matches.get(id(embeddings))
        if match is None:
            match = self._matches[id(embeddings)] = self._compare(embeddings)
            weakref.finalize(embeddings, self._matches.pop, id(embeddings), None)
        return match

    def _compare(self, embeddings: FloatArray) -> LexiconMatch:
        alike = self._names @ embeddings.T
        nearest = alike.argmax(axis=0)
        is_entry = (self._encode_labels([NAMES[i] for i in nearest]) * embeddings).sum(axis=1) > SAME_THING
        present = np.unique(nearest[is_entry])
        texts = [descriptions(NAMES[i]) for i in present]
        entry = np.where(is_entry, np.searchsorted(present, nearest), -1)
        rows = self._encode_names([text for described in texts for text in described])
        start = np.cumsum([0, *(len(described) for described in texts)])[:-1]
        return LexiconMatch(self._names, alike < SAME_NAME, rows, start.astype(np.int64), entry)

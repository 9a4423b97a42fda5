"""From "the red mug left of the laptop" to a phrase with attributes and relations: a small grammar, no model.

    phrase   = [article] attribute* words (connector? relation phrase ("and" relation phrase)*)?
    relation = one of RELATIONS, e.g. "to the left of" | "on top of" | "next to"; "between" takes "phrase and phrase"

Whatever is no relation word stays in `words` for the encoder, so an unknown relation falls back to plain matching.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

RELATIONS = {  # canonical name -> ways to say it; every two-sided spelling also stands with "the" and "side"
    "left of": ("left of", "to the left of", "on the left of", "at the left of", "left from",
                "on the left side of", "to the left side of"),
    "right of": ("right of", "to the right of", "on the right of", "at the right of", "right from",
                 "on the right side of", "to the right side of"),
    "in front of": ("in front of", "before", "ahead of"),
    "behind": ("behind", "in back of", "at the back of", "to the back of"),
    "on": ("on top of", "on", "upon", "atop", "onto"),
    "above": ("above", "over", "higher than"),
    "under": ("under", "underneath", "below", "beneath"),
    "in": ("inside of", "inside", "within", "in"),
    "next to": ("next to", "beside", "besides", "near to", "near", "close to", "by", "alongside", "adjacent to"),
    "between": ("between", "in between"),
    "nearest": ("nearest to", "closest to", "nearest", "closest"),
    "farthest": ("farthest from", "furthest from", "most distant from"),
}  # fmt: skip
SUPERLATIVES = {
    "nearest": "nearest", "closest": "nearest", "farthest": "farthest", "furthest": "farthest",
    "leftmost": "leftmost", "rightmost": "rightmost", "topmost": "highest", "highest": "highest", "lowest": "lowest",
    "left": "leftmost", "right": "rightmost",
    "largest": "largest", "biggest": "largest", "smallest": "smallest", "tallest": "tallest", "shortest": "shortest",
    "big": "largest", "large": "largest", "small": "smallest", "tall": "tallest", "little": "smallest",
}  # fmt: skip
COLORS = {
    "red": "red", "orange": "orange", "yellow": "yellow", "green": "green", "cyan": "cyan", "turquoise": "cyan",
    "blue": "blue", "purple": "purple", "violet": "purple", "pink": "pink", "magenta": "pink", "brown": "brown",
    "black": "black", "white": "white", "grey": "grey", "gray": "grey", "silver": "grey",
}  # fmt: skip
DEFINITE = {"the", "my", "this", "that", "your", "our"}  # what follows is taken to exist
ARTICLES = {"a", "an", "some", "any"} | DEFINITE
DETERMINERS = ARTICLES | {"his", "her", "their", "these", "those"}
PRONOUNS = frozenset({"me", "us", "myself", "ourselves", "you", "yourself"})  # whoever looks
CONNECTORS = {"is", "are", "stands", "standing", "lies", "lying", "sits", "sitting", "located", "placed", "that",
              "which", "who", "right", "directly", "just"}  # fmt: skip
PURPOSE = {"to", "for", "that", "which", "where", "who", "it", "used", "i", "you"}  # begins what a thing is for
ANYTHING = {"thing", "object", "item", "something", "anything", "everything", "one", "what", "whatever", "things",
            "objects", "items", "stuff"}  # fmt: skip
# "something to cut paper with": a purpose, what it acts upon, and the preposition that is left over
PURPOSE_WITH_OBJECT = re.compile(
    r"^(?P<start>.*\b(?:to|for) [a-z]+) (?P<object>.+) (?P<end>with|from|out of|in|on|into|off)$"
)
ENDS_NOUN_PHRASE = {
    "of", "with", "from", "for", "to", "in", "on", "at", "by", "under", "over", "near", "behind", "that", "which",
    "who", "where", "when", "and", "or", "while", "it", "is", "are", "i",
}  # fmt: skip
_SPELLINGS = [(way.split(), name) for name, ways in RELATIONS.items() for way in ways]


@dataclass(frozen=True, slots=True)
class Relation:
    """How the thing that is meant stands to others."""

    name: str  # a key of RELATIONS
    anchors: tuple[Phrase, ...]  # one; two for "between"
    certain: bool = True  # false where it may describe what a thing is for or made of ("flakes in a carton")


@dataclass(frozen=True, slots=True)
class Phrase:
    """One thing, described."""

    words: str  # for the encoder, without attributes; "" = any thing
    text: str  # for the encoder, with attributes, without relations
    colors: tuple[str, ...] = ()
    superlative: str = ""  # a value of SUPERLATIVES
    relations: tuple[Relation, ...] = ()


def parse(text: str) -> Phrase:
    """Returns the phrase of a query; never fails: what it does not know is left to the encoder."""
    return _phrase(tokens(text, keep="'-"))


def tokens(text: str, keep: str = "") -> list[str]:
    """Words of a text in lower case, cut at all that is no letter, digit or one of `keep`."""
    return "".join(c if c.isalnum() or c in keep else " " for c in text.lower()).split()


def name_of(text: str) -> tuple[str, ...]:
    """Words of a name without case, punctuation and articles: 'The Power_Drill' is 'power drill'."""
    return tuple(word for word in tokens(text) if word not in ARTICLES)


def modifiers(text: str) -> tuple[frozenset[str], str]:
    """Words that a text names without asking for them, and the text without these; "" where it names none.

    They are the modifiers of its first noun phrase ("wall" in "the wall decoration"), or what its purpose acts upon
    ("wine bottles" in "something to open wine bottles with").
    """
    words = tokens(text)
    purpose = PURPOSE_WITH_OBJECT.match(" ".join(words))
    if purpose:
        return content_words(purpose["object"]), f"{purpose['start']} {purpose['end']}"
    words = [word for word in words if word not in DETERMINERS]
    end = next((i for i, word in enumerate(words) if word in ENDS_NOUN_PHRASE), len(words))
    if end < 2:
        return frozenset(), ""
    return content_words(" ".join(words[: end - 1])), " ".join(words[end - 1 :])


def content_words(text: str) -> frozenset[str]:
    """Words of a text without determiners, in the singular."""
    words = (word for word in text.lower().replace("_", " ").split() if word not in DETERMINERS)
    return frozenset(word[:-1] if word.endswith("s") and not word.endswith("ss") else word for word in words)


def is_plain(phrase: Phrase) -> bool:
    """Whether there is nothing to resolve: words for the encoder and no more."""
    return bool(phrase.words) and not (phrase.colors or phrase.superlative or phrase.relations)


def alternatives(phrase: Phrase) -> tuple[Phrase, ...]:
    """Readings of "A on B left of C": the relation belongs to B, as it was parsed, or to A."""
    readings = [phrase]
    for place, relation in enumerate(phrase.relations):
        anchor = relation.anchors[-1]
        if anchor.relations:
            bare = replace(relation, anchors=(*relation.anchors[:-1], replace(anchor, relations=())))
            others = (*phrase.relations[:place], bare, *anchor.relations, *phrase.relations[place + 1 :])
            readings.append(replace(phrase, relations=others))
    return tuple(readings)


def texts_of(phrase: Phrase) -> tuple[str, ...]:
    """What the encoder is asked for whenever the phrase is resolved, its anchors' texts included."""
    own = (phrase.words,) if phrase.words else ()
    theirs = (t for relation in phrase.relations for anchor in relation.anchors for t in texts_of(anchor))
    return (*own, *theirs)


def _phrase(words: list[str]) -> Phrase:
    """Head up to the first relation, then what it is related to."""
    beside = len(words) > 2 and words[-3] in ("on", "to", "at") and words[-2] in ("the", "my", "your", "our")
    if beside and words[-1] in ("left", "right"):
        return _phrase([words[-1], *words[:-3]])  # "the mug on the left" is "the left mug"
    words = _comparison_last(words)
    place, length, name = _find_relation(words)
    if not name:
        return _head(words)
    head, rest = words[:place], words[place + length :]
    in_purpose = any(t in PURPOSE for t in head) and head[-1] not in CONNECTORS
    while head and head[-1] in CONNECTORS:
        head = head[:-1]
    certain = rest[0] in DEFINITE | PRONOUNS and not in_purpose
    if name == "between":
        return replace(_head(head), relations=(Relation(name, _pair(rest), certain),))
    cut = _conjunction(rest)
    relations = (Relation(name, (_phrase(rest[:cut]),), certain), *_phrase(rest[cut + 1 :]).relations)
    return replace(_head(head), relations=relations)


def _comparison_last(words: list[str]) -> list[str]:
    """ "the closest thing to the laptop" as "the thing closest to the laptop"."""
    first = next((i for i, t in enumerate(words) if SUPERLATIVES.get(t) in ("nearest", "farthest")), len(words))
    for place in range(first + 2, len(words) - 1):
        if words[place] in ("to", "from") and words[place + 1] in DEFINITE | PRONOUNS:
            way = f"{SUPERLATIVES[words[first]]} {'to' if SUPERLATIVES[words[first]] == 'nearest' else 'from'}"
            return [*words[:first], *words[first + 1 : place], *way.split(), *words[place + 1 :]]
    return words


def _pair(words: list[str]) -> tuple[Phrase, Phrase]:
    """The two of "A and B", or of "the As"."""
    cut = words.index("and") if "and" in words[:-1] else 0
    return (_phrase(words[:cut]), _phrase(words[cut + 1 :])) if cut else (_phrase(words), _phrase(words))


def _find_relation(words: list[str]) -> tuple[int, int, str]:
    """Place, length and name of the first relation with something behind it; name "" if there is none.

    In "the nearest chair" the word is an attribute, in "the chair nearest the door" a relation.
    """
    for place in range(len(words)):
        attribute = all(t in ARTICLES or t in COLORS or t in SUPERLATIVES for t in words[:place])
        following = words[place:]
        fits = [
            (len(way), name)
            for way, name in _SPELLINGS
            if following[: len(way)] == way
            and len(following) > len(way)
            and not (attribute and following[0] in SUPERLATIVES and len(way) == 1)
        ]
        if fits:
            return place, *max(fits)
    return 0, 0, ""


def _conjunction(words: list[str]) -> int:
    """Place of an "and" that a relation follows ("on the table and left of the laptop"), else the end."""
    for place, token in enumerate(words):
        following, _, name = _find_relation(words[place + 1 :])
        if token == "and" and name and following == 0:
            return place
    return len(words)


def _head(words: list[str]) -> Phrase:
    words = [t for t in words if t not in ARTICLES]
    rest = list(words)
    colors, superlative = [], ""
    while rest and (rest[0] in COLORS or rest[0] in SUPERLATIVES):
        attribute = rest.pop(0)
        if attribute in COLORS:
            colors.append(COLORS[attribute])
        else:
            superlative = SUPERLATIVES[attribute]
    anything = all(t in ANYTHING for t in rest)
    return Phrase("" if anything else " ".join(rest), " ".join(words), tuple(colors), superlative)

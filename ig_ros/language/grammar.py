"""From "the red mug left of the laptop" to a phrase with attributes and relations: a small grammar, no model.

    phrase   = [article] attribute* words (connector? relation phrase ("and" relation phrase)*)?
    relation = one of RELATIONS, e.g. "to the left of" | "on top of" | "next to"; "between" takes "phrase and phrase"

Whatever is no relation word stays in `words` for the encoder, so an unknown relation falls back to plain matching.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

STRANDED = re.compile(r"^(?P<start>.*\b(?:to|for) [a-z]+) (?P<mention>.+) (?P<end>with|from|out of|in|on|into|off)$")
ENDS_PHRASE = {
    "of", "with", "from", "for", "to", "in", "on", "at", "by", "under", "over", "near", "behind", "that", "which",
    "who", "where", "when", "and", "or", "while", "it", "is", "are", "i",
}  # fmt: skip
NO_MENTION = {
    "a", "an", "the", "some", "any", "my", "your", "our", "his", "her", "their", "this", "that", "these", "those",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mention:
    """Words in passing, and the text without them."""

    words: frozenset[str]
    rest: str  # "" = nothing is mentioned in passing


NONE = Mention(frozenset(), "")


def mentioned(text: str) -> Mention:
    """What a text names in passing: the modifiers of its first noun phrase, or what its purpose acts upon."""
    plain = " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
    purpose = STRANDED.match(plain)
    if purpose:
        return Mention(words_of(purpose["mention"]), f"{purpose['start']} {purpose['end']}")
    tokens = [t for t in plain.split() if t not in NO_MENTION]
    end = next((i for i, t in enumerate(tokens) if t in ENDS_PHRASE), len(tokens))
    if end < 2:
        return NONE
    return Mention(words_of(" ".join(tokens[: end - 1])), " ".join(tokens[end - 1 :]))


def words_of(text: str) -> frozenset[str]:
    """Its words without articles, in the singular."""
    words = (word for word in text.lower().replace("_", " ").split() if word not in NO_MENTION)
    return frozenset(word[:-1] if word.endswith("s") and not word.endswith("ss") else word for word in words)


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
PRONOUNS = frozenset({"me", "us", "myself", "ourselves", "you", "yourself"})  # whoever looks
CONNECTORS = {"is", "are", "stands", "standing", "lies", "lying", "sits", "sitting", "located", "placed", "that",
              "which", "who", "right", "directly", "just"}  # fmt: skip
PURPOSE = {"to", "for", "that", "which", "where", "who", "it", "used", "i", "you"}  # begins what a thing is for
ANYTHING = {"thing", "object", "item", "something", "anything", "everything", "one", "what", "whatever", "things",
            "objects", "items", "stuff"}  # fmt: skip
_WAYS = sorted(
    ((tuple(way.split()), name) for name, ways in RELATIONS.items() for way in ways), key=lambda w: -len(w[0])
)


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
    """The phrase of a query. Never fails: what it does not know is left to the encoder."""
    return _phrase(_tokens(text))


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


def _tokens(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c in "'-" else " " for c in text.lower()).split()


def _phrase(tokens: list[str]) -> Phrase:
    """Head up to the first relation, then what it is related to."""
    beside = len(tokens) > 2 and tokens[-3] in ("on", "to", "at") and tokens[-2] in ("the", "my", "your", "our")
    if beside and tokens[-1] in ("left", "right"):
        return _phrase([tokens[-1], *tokens[:-3]])  # "the mug on the left" is "the left mug"
    tokens = _comparison_last(tokens)
    place, length, name = _find_relation(tokens)
    if not name:
        return _head(tokens)
    head, rest = tokens[:place], tokens[place + length :]
    in_purpose = any(t in PURPOSE for t in head) and head[-1] not in CONNECTORS
    while head and head[-1] in CONNECTORS:
        head = head[:-1]
    certain = rest[0] in DEFINITE | PRONOUNS and not in_purpose
    if name == "between":
        return replace(_head(head), relations=(Relation(name, _pair(rest), certain),))
    cut = _conjunction(rest)
    relations = (Relation(name, (_phrase(rest[:cut]),), certain), *_phrase(rest[cut + 1 :]).relations)
    return replace(_head(head), relations=relations)


def _comparison_last(tokens: list[str]) -> list[str]:
    """ "the closest thing to the laptop" as "the thing closest to the laptop"."""
    first = next((i for i, t in enumerate(tokens) if SUPERLATIVES.get(t) in ("nearest", "farthest")), len(tokens))
    for place in range(first + 2, len(tokens) - 1):
        if tokens[place] in ("to", "from") and tokens[place + 1] in DEFINITE | PRONOUNS:
            way = f"{SUPERLATIVES[tokens[first]]} {'to' if SUPERLATIVES[tokens[first]] == 'nearest' else 'from'}"
            return [*tokens[:first], *tokens[first + 1 : place], *way.split(), *tokens[place + 1 :]]
    return tokens


def _pair(tokens: list[str]) -> tuple[Phrase, Phrase]:
    """The two of "A and B", or of "the As"."""
    cut = tokens.index("and") if "and" in tokens[:-1] else 0
    return (_phrase(tokens[:cut]), _phrase(tokens[cut + 1 :])) if cut else (_phrase(tokens), _phrase(tokens))


def _find_relation(tokens: list[str]) -> tuple[int, int, str]:
    """Place, length and name of the first relation with something behind it; name "" if there is none.

    In "the nearest chair" the word is an attribute, in "the chair nearest the door" a relation.
    """
    for place in range(len(tokens)):
        attribute = all(t in ARTICLES or t in COLORS or t in SUPERLATIVES for t in tokens[:place])
        for way, name in _WAYS:
            fits = tuple(tokens[place : place + len(way)]) == way and place + len(way) < len(tokens)
            if fits and not (attribute and way[0] in SUPERLATIVES and len(way) == 1):
                return place, len(way), name
    return 0, 0, ""


def _conjunction(tokens: list[str]) -> int:
    """Place of an "and" that a relation follows ("on the table and left of the laptop"), else the end."""
    for place, token in enumerate(tokens):
        following, _, name = _find_relation(tokens[place + 1 :])
        if token == "and" and name and following == 0:
            return place
    return len(tokens)


def _head(tokens: list[str]) -> Phrase:
    words = [t for t in tokens if t not in ARTICLES]
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

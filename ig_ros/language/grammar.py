"""From "the red mug left of the laptop" to a phrase with attributes and relations: a small grammar, no model.

    phrase   = [article] attribute* words (connector? relation phrase ("and" relation phrase)*)? ("except" phrase)*
    relation = one of RELATIONS, e.g. "to the left of" | "on top of" | "next to"; "between" takes "phrase and phrase"

Whatever is no relation word stays in `words` for the encoder, so an unknown relation falls back to plain matching.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

REGIONS = {  # canonical name -> what stands between "at the" (in, on, near, by, from the) and "of"
    "center of": ("center", "middle"),
    "edge of": ("edge", "rim", "border"),
    "corner of": ("corner",),
    "left side of": ("left side", "left half", "left part", "left edge", "left end"),
    "right side of": ("right side", "right half", "right part", "right edge", "right end"),
    "front side of": ("front", "front side", "front half", "front part", "front edge", "near edge"),
    "back side of": ("back", "back side", "back half", "back part", "back edge", "rear", "far edge", "far side"),
}  # fmt: skip
RELATIONS = {  # canonical name -> ways to say it
    "left of": ("left of", "to the left of", "on the left of", "at the left of", "left from"),
    "right of": ("right of", "to the right of", "on the right of", "at the right of", "right from"),
    "in front of": ("in front of", "before", "ahead of"),
    "behind": ("behind", "in back of", "to the back of"),
    "on": ("on top of", "on the top of", "on", "upon", "atop", "onto"),
    "above": ("above", "over", "higher than"),
    "under": ("under", "underneath", "below", "beneath"),
    "in": ("inside of", "inside", "within", "in"),
    "with": ("with", "containing", "contains", "holding", "holds", "carrying", "carries"),
    "next to": ("next to", "beside", "besides", "near to", "near", "close to", "by", "alongside", "adjacent to"),
    "between": ("between", "in between", "among", "amongst"),
    "nearest": ("nearest to", "closest to", "nearer to", "closer to", "nearest", "closest"),
    "farthest": ("farthest from", "furthest from", "most distant from", "far from", "far away from", "away from",
                 "farther from", "further from"),
    "top of": ("top of stack",),
    "bottom of": ("bottom of stack",),
} | {
    name: tuple(f"{at}{place} of" for place in places for at in ("", *(f"{a} {the}" for a in
                ("in", "at", "on", "near", "by", "from", "to", "towards") for the in ("the ", ""))))
    for name, places in REGIONS.items()
}  # fmt: skip
SUPERLATIVES = {
    "nearest": "nearest", "closest": "nearest", "farthest": "farthest", "furthest": "farthest",
    "frontmost": "nearest", "closer": "nearest", "nearer": "nearest", "farther": "farthest", "further": "farthest",
    "leftmost": "leftmost", "rightmost": "rightmost", "topmost": "highest", "highest": "highest", "lowest": "lowest",
    "upper": "highest", "uppermost": "highest", "lower": "lowest", "bottommost": "lowest",
    "left": "leftmost", "right": "rightmost", "middle": "middle", "central": "middle",
    "largest": "largest", "biggest": "largest", "smallest": "smallest", "tallest": "tallest", "shortest": "shortest",
    "larger": "largest", "bigger": "largest", "smaller": "smallest", "taller": "tallest", "shorter": "shortest",
    "big": "largest", "large": "largest", "small": "smallest", "tall": "tallest", "little": "smallest",
    "longest": "longest", "longer": "longest",
}  # fmt: skip
ENDS = {
    "left": "leftmost",
    "right": "rightmost",
    "front": "nearest",
    "back": "farthest",
    "rear": "farthest",
    "top": "highest",
    "bottom": "lowest",
}  # where counting begins
OPPOSITE_END = {"leftmost": "rightmost", "rightmost": "leftmost", "nearest": "farthest", "farthest": "nearest",
                "highest": "lowest", "lowest": "highest"}  # fmt: skip
ORDINALS = {word: n for n, words in enumerate(
    ("first 1st", "second 2nd", "third 3rd", "fourth 4th", "fifth 5th", "sixth 6th", "seventh 7th", "eighth 8th",
     "ninth 9th", "tenth 10th"), start=1) for word in words.split()}  # fmt: skip
NUMBERS = {word: n for n, words in enumerate(
    ("2 two", "3 three", "4 four", "5 five", "6 six", "7 seven", "8 eight", "9 nine", "10 ten"), start=2)
    for word in words.split()}  # fmt: skip
SHAPES = {"round": "round", "circular": "round", "spherical": "round", "flat": "flat", "long": "long",
          "elongated": "long"}  # fmt: skip
PARTS = frozenset({"drawer", "shelf", "compartment", "board", "level", "door", "side", "half", "part"})
LEVELS = {"top": "top", "upper": "top", "highest": "top", "middle": "middle", "center": "middle", "bottom": "bottom",
          "lower": "bottom", "lowest": "bottom"}  # fmt: skip
COLORS = {
    "red": "red", "orange": "orange", "yellow": "yellow", "green": "green", "cyan": "cyan", "turquoise": "cyan",
    "blue": "blue", "purple": "purple", "violet": "purple", "pink": "pink", "magenta": "pink", "brown": "brown",
    "black": "black", "white": "white", "grey": "grey", "gray": "grey", "silver": "grey",
}  # fmt: skip
DEFINITE = {"the", "my", "this", "that", "your", "our"}  # what follows is taken to exist
ARTICLES = {"a", "an", "some", "any"} | DEFINITE
DETERMINERS = ARTICLES | {"his", "her", "their", "these", "those"}
PRONOUNS = frozenset({"me", "us", "myself", "ourselves", "you", "yourself"})  # whoever looks
CONNECTORS = {"is", "are", "stands", "standing", "stand", "lies", "lying", "lie", "sits", "sitting", "sit", "rests",
              "resting", "rest", "hangs", "hanging", "hang", "located", "placed", "that",
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
_SPELLINGS: dict[str, list[tuple[list[str], str]]] = {}  # by the first word
for _name, _ways in RELATIONS.items():
    for _way in _ways:
        _SPELLINGS.setdefault(_way.split()[0], []).append((_way.split(), _name))


@dataclass(frozen=True, slots=True)
class Relation:
    """How the thing that is meant stands to others."""

    name: str  # a key of RELATIONS
    anchors: tuple[Phrase, ...]  # one; two for "between"
    bound: bool = False  # "the mug that is on it": it cannot belong to another thing of the sentence
    certain: bool = True  # false where it may describe what a thing is for or made of ("flakes in a carton")


@dataclass(frozen=True, slots=True)
class Phrase:
    """One thing, described."""

    words: str  # for the encoder, without attributes; "" = any thing
    text: str  # for the encoder, with attributes, without relations
    colors: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()  # values of SHAPES
    superlative: str = ""  # a value of SUPERLATIVES
    place: int = 1  # "the second largest": which of them
    number: int = 0  # "the 2 largest": how many of them, 0 = not said
    level: str = ""  # a value of LEVELS: where in `relations`' whole, for a part that is no object of its own
    whole: tuple[Phrase, ...] = ()  # what the part (a drawer) belongs to
    excluded: tuple[Phrase, ...] = ()  # "not the blue one", "except what is on the table"
    relations: tuple[Relation, ...] = ()


def parse(text: str) -> Phrase:
    """Returns the phrase of a query; never fails: what it does not know is left to the encoder."""
    text = " ".join(tokens(text.replace("centre", "center"), keep="'-"))
    base, *excluded = without_exceptions(ATTRIBUTE_LAST.sub(r"\3 \1\2", CORNER.sub(_two_sides, text)))
    phrase = _counted(base.split())
    if not excluded:
        return phrase
    return replace(phrase, excluded=tuple(_phrase(words.split()) for words in excluded))


# "the mug that is white" is "the white mug"; "in the back left corner of the table" is a corner on two sides.
ATTRIBUTE_LAST = re.compile(
    rf"^(the |a |an |any |all )?((?:[a-z-]+ ){{1,3}}?)(?:that|which) (?:is|are) ({'|'.join((*COLORS, *SHAPES))})\b"
)
CORNER = re.compile(r"(?:in|at|on|near|by) (?:the )?(front|back|near|far|rear) (left|right) corner of (the [a-z ]+)$")
CORNER_SIDES = {"front": "front", "near": "front", "back": "back", "far": "back", "rear": "back"}


def _two_sides(found: re.Match[str]) -> str:
    """A corner between two sides, in the words of the grammar."""
    places = ("corner", f"{CORNER_SIDES[found[1]]} side", f"{found[2]} side")
    return " and ".join(f"at the {place} of {found[3]}" for place in places)


EXCEPTIONS = (  # what says that something is left out, as a text with " except " before each such thing
    (r"\b(anything|everything|something|thing|object|all) but (?!not\b)", r"\1 except "),
    (r"^(?:not|no) (.+?) but (.+)$", r"\2 except \1"),
    (r"^(?:not|no|neither) (?=.)", "anything except "),
    (r"\b(?:(?:that|which|who) )?(?:does not|do not|doesn't|don't) (?:contain|have|hold|carry)s? (?:the |a |an |any )?",
     " except with the "),
    (r"\b(?:without|with no) (?:the |a |an |any )?", " except with the "),
    (r"\b(?:but|and|or|that|which|who)? ?(?:(?:is|are|isn't|aren't|was) )?(?:not|neither|nor)\b", " except "),
    (r"\b(?:(?:that|which|who) )?(?:isn't|aren't)\b", " except "),
    (r"\bbut(?: for)? (?=(?:the|a|an|my|those|that)\b)", " except "),
    (r"\b(?:except|other than|apart from|aside from|excluding|leaving out|rather than|instead of)(?: for)?\b",
     " except "),
)  # fmt: skip


def without_exceptions(text: str) -> list[str]:
    """What a text asks for, then what it leaves out, each as a text of its own."""
    for pattern, instead in EXCEPTIONS:
        text = re.sub(pattern, instead, text)
    base, *rest = re.split(r"\bexcept\b", text)
    pieces = [re.split(r"\b(?:and|or)\b", piece) if "between" not in piece else [piece] for piece in rest]
    return [base.strip(), *(p.strip() for piece in pieces for p in piece if p.strip())]


COUNTED = re.compile(
    rf"^(?:the )?(?P<place>{'|'.join(ORDINALS)}|last) (?P<what>.+?) (?:counted |counting )?from (?:the |my )?"
    rf"(?P<end>{'|'.join(ENDS)})\b(?P<rest>.*)$"
)


def _counted(words: list[str]) -> Phrase:
    """ "the second mug from the left" as the second leftmost mug."""
    found = COUNTED.match(" ".join(words))
    if not found:
        return _phrase(words)
    end, place = ENDS[found["end"]], ORDINALS.get(found["place"], 0)
    phrase = _phrase(f"the {found['what']} {found['rest']}".split())
    return replace(phrase, superlative=end if place else OPPOSITE_END[end], place=max(place, 1))


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
    return frozenset(singular(word) for word in text.lower().replace("_", " ").split() if word not in DETERMINERS)


IRREGULAR = {"knives": "knife", "shelves": "shelf", "loaves": "loaf", "mice": "mouse", "people": "person",
             "children": "child", "men": "man", "women": "woman", "feet": "foot", "leaves": "leaf"}  # fmt: skip


def singular(word: str) -> str:
    """One of what a word may name several of: "boxes" is "box"."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "xes", "sses", "oes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 2 else word


def is_plain(phrase: Phrase) -> bool:
    """Whether there is nothing to resolve: words for the encoder and no more."""
    return phrase == Phrase(phrase.words, phrase.text) and bool(phrase.words)


def alternatives(phrase: Phrase) -> tuple[Phrase, ...]:
    """Readings of "A on B left of C": the relation belongs to B, as it was parsed, or to A."""
    readings = [phrase]
    for place, relation in enumerate(phrase.relations):
        anchor = relation.anchors[-1]
        if anchor.relations and not anchor.relations[0].bound:
            bare = replace(relation, anchors=(*relation.anchors[:-1], replace(anchor, relations=())))
            others = (*phrase.relations[:place], bare, *anchor.relations, *phrase.relations[place + 1 :])
            readings.append(replace(phrase, relations=others))
    return tuple(readings)


def texts_of(phrase: Phrase) -> tuple[str, ...]:
    """What the encoder is asked for whenever the phrase is resolved, its anchors' texts included."""
    own = (phrase.words,) if phrase.words else ()
    others = [anchor for relation in phrase.relations for anchor in relation.anchors]
    return (*own, *(t for other in (*others, *phrase.whole, *phrase.excluded) for t in texts_of(other)))


def _phrase(words: list[str]) -> Phrase:
    """Head up to the first relation, then what it is related to."""
    beside = len(words) > 2 and words[-3] in ("on", "to", "at") and words[-2] in ("the", "my", "your", "our")
    if beside and words[-1] in ("left", "right"):
        return _phrase([words[-1], *words[:-3]])  # "the mug on the left" is "the left mug"
    words = _comparison_last(words)
    place, length, name = _find_relation(words)
    if not name:
        return _part_or_head(words)
    head, rest = words[:place], words[place + length :]
    in_purpose = any(t in PURPOSE for t in head) and head[-1] not in CONNECTORS
    bound = head[-2:-1] in (["that"], ["which"]) or head[-1:] in (["that"], ["which"])
    while head and head[-1] in CONNECTORS:
        head = head[:-1]
    certain = rest[0] in DEFINITE | PRONOUNS and not in_purpose
    if name == "between":
        return replace(_part_or_head(head), relations=(Relation(name, _pair(rest), bound, certain),))
    cut = _conjunction(rest)
    relations = (Relation(name, (_phrase(rest[:cut]),), bound, certain), *_phrase(rest[cut + 1 :]).relations)
    return replace(_part_or_head(head), relations=relations)


def _part_or_head(words: list[str]) -> Phrase:
    """ "the top drawer of the wooden cabinet": a part on a level of the cabinet; else attributes and a noun."""
    cut = words.index("of") if "of" in words[1:-1] else 0
    if not cut or words[cut - 1] not in PARTS:
        return _head(words)
    levels = [LEVELS[t] for t in words[:cut] if t in LEVELS]
    part = _head([t for t in words[:cut] if t not in LEVELS])
    return replace(part, level="".join(levels[:1]), whole=(_phrase(words[cut + 1 :]),))


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
            for way, name in _SPELLINGS.get(words[place], ())
            if following[: len(way)] == way
            and len(following) > len(way)
            and (name != "with" or following[len(way)] in DEFINITE)
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
    described = len(rest) > 1 and rest[0] in ANYTHING and rest[1] in COLORS | SHAPES
    filler = [rest.pop(0)] if described and rest[2:3] in ([], ["to"], ["for"]) else []
    colors: list[str] = []
    shapes: list[str] = []
    superlative, place, number = "", 1, 0
    while rest:
        following = rest[1] if len(rest) > 1 else ""
        if rest[0] in COLORS:
            colors.append(COLORS[rest[0]])
        elif rest[0] in SHAPES:
            shapes.append(SHAPES[rest[0]])
        elif rest[0] in SUPERLATIVES:
            superlative = SUPERLATIVES[rest[0]]
        elif rest[0] in ORDINALS and following in SUPERLATIVES:
            place = ORDINALS[rest[0]]
        elif rest[0] in NUMBERS:
            number = NUMBERS[rest[0]]
        else:
            break
        rest.pop(0)
    rest = [*filler, *rest]
    anything = all(t in ANYTHING for t in rest)
    noun = "" if anything else " ".join(rest)
    return Phrase(noun, " ".join(words), tuple(colors), tuple(shapes), superlative, place, number)

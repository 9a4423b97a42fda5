"""What kind of answer a text asks for: one thing, all, how many, a number; courtesy off, other languages refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from ig_ros.language.grammar import ARTICLES, DEFINITE, NUMBERS, Phrase, is_plain, parse, singular, tokens
from ig_ros.language.lexicon import LEXICON

THINGS = "object|instance|item|thing"
ID = re.compile(rf"^(?:the )?(?:(?:{THINGS}) )?(?:(?:number|no|nr|id|{THINGS}) ?|# ?)(\d+)$")
TAKE = "bring|give|hand|get|fetch|pass|show|find|grab|take|locate|pick up|pick|lift|go to|drive to|look for|point to"
AMOUNTS = r"the|a|an|my|our|your|some|any|all|every|that|this|these|those|one|two|\d"
COURTESY = (  # what a text begins or ends with without asking for it; dropped until nothing is left to drop
    r"^(?:hi|hello|hey|ok|okay|excuse me|sorry|please|kindly|now|robot)\b[ ,]*",
    r"^(?:could|can|would|will) (?:you|we) (?:please |kindly )?(?=[a-z])",
    r"^(?:could|can|may) i (?:please )?(?:have|get|see) ",
    r"^(?:i|we) (?:would like|want|need|would love)(?: to (?:have|see|get|find))? ",
    r"^(?:i'd like|i'm looking for|i am looking for|we are looking for)(?: to (?:have|see|get|find))? ",
    rf"^(?:{TAKE}) (?:(?:me|us|over) )?(?=(?:{AMOUNTS})\b)",
    r"^(?:bring|give|hand|get|fetch|pass|show|find) (?:me|us) ",
    r"^(?:where|which|what) (?:is|are|'s) (?=(?:the|a|an|my|our|your)\b)",
    r"^(?:where's|what's) (?=(?:the|a|an|my|our|your)\b)",
    r"^(?:is|are) there (?=(?:the|a|an|any|some)\b)",
    r"^(?:do|can) you see (?=(?:the|a|an|any|some|my)\b)",
    r"[ ,]+(?:please|thanks|thank you|thank you very much|for me|for us|would you|if you can|now)$",
    r" and (?:then )?(?:place|put|bring|give|hand|drop|move|stack|set|lay|carry) (?:it|them|that)\b.*$",
)  # fmt: skip
COUNT = re.compile(
    r"^(?:how many|(?:the )?number of|count(?: all)?(?: the)?) (.+?)"
    r"(?: (?:are|is) there| (?:do|can) (?:you|we) see| there are| in total)?"
    r"(?: in (?:the|this) (?:room|scene|map|picture))?(?: in total)?$"
)
COUNT_LAST = re.compile(r"^(?:are|is) there (?:any )?(.+?),? (?:and |if so |if yes )?how many$")
LISTING = re.compile(r"^(?:what|which things|which objects)(?:'s| is| are| stands| lies| sits)?(?: there)? ")
ALL = frozenset({"all", "every", "everything", "each", "both", "these", "those"})
REWRITTEN = (  # other ways to say what the grammar knows
    (r"\b(?:from|at|in|on) (?:the )?([a-z]+(?: [a-z]+)?) (center|centre|middle|edge|corner)$", r"at the \2 of the \1"),
    (r"\b(?:on|at) (?:the )?(top|bottom) of (?:the |a )?(?:stack|pile)$", r"\1 of stack things"),
    (r"\b(?:on|at) (?:the )?(top|bottom) of (?:the |a )?(?:stack|pile) of ", r"\1 of stack "),
    (r"^(?:which|what) ([a-z ]+?) (?:is|are) ", r"the \1 "),
    (r"^([a-z ]+) in the (?:middle|center|centre)$", r"middle \1"),
)
UNDEFINED = ("facing", "opposite", "across from", "parallel to", "aligned with", "around", "along")
# Words that sentences of other languages are made of and that are no English words.
_FOREIGN = """
    der das und ist wo bitte mir gib den dem ein eine einen auf unter neben zwischen nicht mit für welche die
    el la los las una del donde dónde esta está por favor sobre debajo junto dame con qué
    le les une est où sur sous dans avec donne moi entre prends
    il lo gli uno dov'è sul sotto vicino dammi os uma onde em cima debaixo
    het een op naast waar och är på var bredvid ge mig gdzie jest na pod obok nerede için
"""
FOREIGN = frozenset(_FOREIGN.split())
_ENGLISH = "the of is are to in on at and or with that which near next left right under"
ENGLISH = frozenset(_ENGLISH.split())


@dataclass(frozen=True, slots=True)
class Question:
    """A text, taken apart."""

    phrase: Phrase
    bare: str  # the text without courtesy
    quantity: str = "any"  # one: asks back where several fit; any; all: everything that fits; count: how many fit
    id: int = 0  # the object with this number, 0 = none was named
    refusal: str = ""  # why it is not answered, "" = it is


def read_question(text: str, labels: Iterable[str]) -> Question:
    """Returns what a text asks for; `labels` are the map's words, which no language is refused for."""
    plain = " ".join(tokens(text, keep="#'-,"))
    number = ID.match(plain.replace(",", ""))
    if number:
        return Question(parse(plain), plain, "one", int(number[1]))
    bare = without_courtesy(plain)
    if any(" ".join(tokens(label)) == bare for label in labels):
        return Question(parse(bare), bare)
    count, listing = COUNT.match(bare) or COUNT_LAST.match(plain), LISTING.match(bare)
    asked = count[1] if count else f"everything {bare[listing.end() :]}" if listing else bare
    asked = reduce(lambda said, pair: re.sub(pair[0], pair[1], said), REWRITTEN, asked)
    phrase = parse(asked)
    refusal = refusal_of(bare, labels)
    if phrase.number and not phrase.superlative and not phrase.words:
        phrase = replace(phrase, number=0)
    bare = phrase.words if (count or listing) and is_plain(phrase) else bare
    return Question(phrase, bare, "count" if count else quantity_of(asked, phrase), 0, refusal)


def without_courtesy(text: str) -> str:
    """Returns what remains of a text (lower case) when greetings, requests and thanks are dropped; never nothing."""
    while True:
        shorter = reduce(lambda said, pattern: re.sub(pattern, "", said).strip(" ,") or said, COURTESY, text)
        if shorter == text:
            return text.replace(",", "")
        text = shorter


def quantity_of(text: str, phrase: Phrase) -> str:
    """Whether a text asks for one thing, for any or for all that fit."""
    words = text.split()
    if (words[:1] and words[0] in ALL) or phrase.number:
        return "all"
    head = phrase.words.split()[:1] if " to " in phrase.words else phrase.words.split()[-1:]
    several = head and singular(head[0]) != head[0] and singular(head[0]) in _NOUNS
    if words[0] in DEFINITE:
        return "all" if several else "one"
    return "all" if several and words[0] not in ARTICLES and len(words) > 1 and words[0] in NUMBERS else "any"


_NOUNS = {word for name in LEXICON for word in name.split()[-1:]} | {"thing", "object", "item"}
_VOCABULARY = {word for name, entry in LEXICON.items()
               for word in tokens(" ".join((name, entry.definition, entry.use, *entry.other_names)))}  # fmt: skip


def refusal_of(text: str, labels: Iterable[str]) -> str:
    """Why a text cannot be understood, "" where it can: another language, a relation that nothing here defines."""
    words = tokens(text, keep="'")
    known = {word for label in labels for word in tokens(label)}
    letters = [c for c in text if c.isalpha()]
    strange = sum(ord(c) > 0x24F for c in letters)  # beyond the Latin letters and their accents
    foreign = [w for w in words if w in FOREIGN]
    others = [w for w in words if w not in FOREIGN]
    unknown = [w for w in others if singular(w) not in _VOCABULARY | known and w not in ENGLISH]
    sentence = len(foreign) > 1 and len(foreign) > sum(w in ENGLISH for w in words)
    if 2 * strange > len(letters) or sentence or (foreign and others and unknown == others):
        return "English only: the words of this question are of another language"
    undefined = next((w for w in UNDEFINED if re.search(rf"\b{w} (?:the|a|an|my)\b", text)), "")
    return (
        f"'{undefined}' is not defined here: say left of, right of, in front of, behind or next to" if undefined else ""
    )

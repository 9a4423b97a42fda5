"""Words of a query that name something else than what is asked for.

A "wall decoration" is a decoration, and "something to eat cereal out of" is no cereal: an object that is called by such
a word must fit the text without it. "A laptop computer" stays a laptop, for a laptop fits "computer".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STRANDED = re.compile(r"^(?P<start>.*\b(?:to|for) [a-z]+) (?P<mention>.+) (?P<end>with|from|out of|in|on|into|off)$")
ENDS_PHRASE = {
    "of", "with", "from", "for", "to", "in", "on", "at", "by", "under", "over", "near", "behind", "that", "which",
    "who", "where", "when", "and", "or", "while", "it", "is", "are", "i",
}  # fmt: skip
ARTICLES = {
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
    tokens = [t for t in plain.split() if t not in ARTICLES]
    end = next((i for i, t in enumerate(tokens) if t in ENDS_PHRASE), len(tokens))
    if end < 2:
        return NONE
    return Mention(words_of(" ".join(tokens[: end - 1])), " ".join(tokens[end - 1 :]))


def words_of(text: str) -> frozenset[str]:
    """Its words without articles, in the singular."""
    words = (word for word in text.lower().replace("_", " ").split() if word not in ARTICLES)
    return frozenset(word[:-1] if word.endswith("s") and not word.endswith("ss") else word for word in words)

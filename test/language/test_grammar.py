"""What the grammar makes of a query."""

from __future__ import annotations

import pytest

from ig_ros.language.grammar import alternatives, is_plain, parse


@pytest.mark.parametrize(
    ("text", "words", "relation", "anchor"),
    [
        ("the mug left of the laptop", "mug", "left of", "laptop"),
        ("a mug to the right of my laptop", "mug", "right of", "laptop"),
        ("the box that is standing on top of the table", "box", "on", "table"),
        ("what is behind the cereal box", "", "behind", "cereal box"),
        ("the chair nearest the door", "chair", "nearest", "door"),
        ("the closest thing to the bowl", "", "nearest", "bowl"),
        ("something to drink from next to the book", "something to drink from", "next to", "book"),
    ],
)
def test_one_relation(text: str, words: str, relation: str, anchor: str) -> None:
    phrase = parse(text)
    assert phrase.words == words
    assert [(r.name, r.anchors[0].words) for r in phrase.relations] == [(relation, anchor)]


@pytest.mark.parametrize("text", ["mug", "something to drink from", "what time is it", "something to put flowers in"])
def test_plain_texts_stay_plain(text: str) -> None:
    assert is_plain(parse(text))


def test_attributes() -> None:
    assert parse("the big red mug").colors == ("red",)
    assert parse("the big red mug").superlative == "largest"
    assert parse("nearest chair").superlative == "nearest"
    assert parse("the mug on the left").superlative == parse("the leftmost mug").superlative == "leftmost"


def test_between_takes_two() -> None:
    [relation] = parse("the apple between the bowl and the red mug").relations
    assert [a.words for a in relation.anchors] == ["bowl", "mug"]
    assert relation.anchors[1].colors == ("red",)


def test_and_and_nesting() -> None:
    both = parse("the mug on the table and left of the laptop").relations
    assert [(r.name, r.anchors[0].words) for r in both] == [("on", "table"), ("left of", "laptop")]
    nested, flat = alternatives(parse("the mug on the table left of the laptop"))
    assert [r.name for r in nested.relations] == ["on"]
    assert [r.name for r in flat.relations] == ["on", "left of"]


def test_certainty() -> None:
    assert parse("the mug on the table").relations[0].certain
    assert not parse("flakes in a carton").relations[0].certain
    assert not parse("a bag for carrying things on the back").relations[0].certain

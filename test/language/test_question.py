"""What kind of answer a text asks for."""

from __future__ import annotations

import pytest

from ig_ros.language.grammar import parse
from ig_ros.language.question import read_question

LABELS = ("mug", "number 9 screw", "das keyboard")


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("The mug, please!", "the mug"),
        ("hi robot, could you please bring me the red mug, thanks", "the red mug"),
        ("I would like a mug", "a mug"),
        ("excuse me, where is the remote control?", "the remote control"),
        ("pick up the black bowl on the stove and place it on the plate", "the black bowl on the stove"),
        ("hand soap", "hand soap"),
        ("something to find keys with", "something to find keys with"),
        ("please", "please"),
    ],
)
def test_courtesy_is_dropped(text: str, bare: str) -> None:
    assert read_question(text, LABELS).bare == bare


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("the mug", "one"), ("my mug", "one"), ("a mug", "any"), ("mug", "any"), ("the mugs", "all"),
        ("everything on the table", "all"), ("what is under the table", "all"), ("two mugs", "all"),
        ("the 2 largest mugs", "all"), ("how many mugs are there", "count"), ("the number of mugs", "count"),
        ("the glass", "one"), ("the bus", "one"), ("something to drink from", "any"),
        ("which mug is on the book", "one"),
    ],
)  # fmt: skip
def test_quantity(text: str, quantity: str) -> None:
    assert read_question(text, LABELS).quantity == quantity


@pytest.mark.parametrize(("text", "number"), [("object 5", 5), ("#5", 5), ("id 12", 12), ("the object number 7", 7),
                                              ("number 9 screw", 0), ("two mugs", 0), ("5 mugs", 0)])  # fmt: skip
def test_numbers_of_objects(text: str, number: int) -> None:
    assert read_question(text, LABELS).id == number


@pytest.mark.parametrize("text", ["wo ist die Tasse", "la taza roja", "où est le canapé", "どこですか", "чашка",
                                  "den röda burken", "dov'è il bicchiere", "bitte gib mir den Apfel"])  # fmt: skip
def test_other_languages_are_recognised(text: str) -> None:
    assert "English only" in read_question(text, LABELS).refusal


@pytest.mark.parametrize("text", ["das keyboard", "a jalapeño", "le creuset pot", "crème brûlée",
                                  "the la croix can",
                                  "asdf qwer",
                                  "mug", "the mug on the table", "a die", "an el camino toy car"])  # fmt: skip
def test_product_names_are_no_other_language(text: str) -> None:
    assert not read_question(text, LABELS).refusal


def test_a_relation_that_nothing_here_defines_is_said() -> None:
    assert "'facing' is not defined" in read_question("the chair facing the table", LABELS).refusal


@pytest.mark.parametrize(
    ("text", "words", "excluded"),
    [
        ("the mug that is not red", "mug", [("", ("red",))]),
        ("everything except the walls", "", [("walls", ())]),
        ("anything but the table", "", [("table", ())]),
        ("not a mug", "", [("mug", ())]),
        ("not the ketchup bottle but the water bottle", "water bottle", [("ketchup bottle", ())]),
        ("the book but not the blue one", "book", [("", ("blue",))]),
        ("the mug that is neither red nor blue", "mug", [("", ("red",)), ("", ("blue",))]),
        ("a bottle without a lid", "bottle", [("", ())]),
    ],
)
def test_exceptions(text: str, words: str, excluded: list[tuple[str, tuple[str, ...]]]) -> None:
    phrase = parse(text)
    assert phrase.words == words
    assert [(e.words, e.colors) for e in phrase.excluded] == excluded


def test_ordinals_and_numbers() -> None:
    second = parse("the second mug from the left")
    assert (second.words, second.superlative, second.place) == ("mug", "leftmost", 2)
    assert parse("the last mug from the left").superlative == "rightmost"
    assert (parse("the third largest box").superlative, parse("the third largest box").place) == ("largest", 3)
    assert (parse("the 2 largest boxes").number, parse("two mugs").number) == (2, 2)


def test_parts_regions_and_stacks() -> None:
    [relation] = parse("the bowl in the top drawer of the wooden cabinet").relations
    part = relation.anchors[0]
    assert (relation.name, part.words, part.level, part.whole[0].words) == ("in", "drawer", "top", "wooden cabinet")
    for text in ("the bowl from table center", "the bowl in the middle of the table", "the bowl at the table center"):
        [relation] = read_question(text, ()).phrase.relations
        assert (relation.name, relation.anchors[0].words) == ("center of", "table"), text
    corner = parse("the plant in the back right corner of the table").relations
    assert [r.name for r in corner] == ["corner of", "back side of", "right side of"]
    assert read_question("the box at the bottom of the stack", ()).phrase.relations[0].name == "bottom of"
    assert parse("the mug which is white").colors == ("white",)

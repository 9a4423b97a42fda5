"""docs/language.md: the figures in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

FIGURES = (
    ("paraphrases answered rightly", "query_accuracy", "95"),
    ("absent things refused", "absent_refused", "90"),
    ("relations answered rightly", "relation_accuracy", "95"),
    ("held-out paraphrases of other things", "held_out_query_accuracy", "-"),
    ("... of things that the lexicon explains", "held_out_in_lexicon", "-"),
    ("... of things that it does not", "held_out_not_in_lexicon", "-"),
    ("held-out absent things refused", "held_out_absent_refused", "-"),
)
MAPS = {"truth": "from the truth", "exact": "mapped, exact masks", "noisy": "mapped, noisy masks",
        "trained": "mapped, noisy masks, 960 steps"}  # fmt: skip
FIGURES_BEGIN = "## Figures"  # what is written by hand stands above, and stays
HEAD = f"""{FIGURES_BEGIN}

Written by `make language`: 20 paraphrased queries, 10 absent things and 10 relations ("the mug left of the laptop") per
map of simulated tabletops, answered by the default encoder (sentence embeddings over the masks' names). These phrases
were known when the lexicon got its synonyms and uses, so their figure is an upper bound. The held-out phrases ask for
other things, in rooms that are lists of labels; they were written before any was asked, and the language stage has
never been changed because of one. Accuracy with real SAM or CLIP weights is not measured here.
"""
WRITTEN = {
    "written": """`benchmarks/language/questions.yaml`: 20 kinds over six maps of simple shapes (layouts.yaml), written
with their answers before any was asked; the code was then written for them. Right means: that thing alone, just these
things, this number, asked back with these candidates, or refused, as the question demands.
Before there was that code, 62.5 % were right, 16.8 % wrong with a score above 0.8, and 85 % of the absent refused.""",
    "fresh": """`questions_fresh.yaml`, written when the code was done, before any was asked: 86.4 % were right then,
one of 66 wrong with a score above 0.8, seven of eight absent things refused.
What was general in the faults was repaired; this is what came of it.""",
    "last": """`questions_last.yaml`, written after that, again before any was asked: 94.3 % were right then, one of 70
wrong with a score above 0.8 (a table left out of what is lying on the floor), every absent thing refused.""",
}


def write_page(figures: dict[str, Any], path: Path) -> None:
    """The page with all tables."""
    asked = ", ".join(f"{count} {name}" for name, count in figures["asked"].items())
    shares = [(words, f"{figures[key]:.1f}", goal) for words, key, goal in FIGURES]
    maps = [
        (m["seed"], MAPS[m["map"]], m["objects"], m["query"], m["absent"], m["relation"], m["seconds"])
        for m in figures["maps"]
    ]
    wrong = [
        (e["kind"], f"{e['map']} {e['seed']}", e["text"], e["message"].replace("|", "/")) for e in figures["wrong"]
    ]
    parts = [
        HEAD,
        table(("share, percent", "", "goal"), shares),
        f"Asked: {asked}.",
        "## By map",
        table(("scene", "map", "objects", "queries", "absent", "relations", "seconds to map"), maps),
        "## Is the score to be believed?",
        "Of all answers given, by score: how many were right. Mean gap (expected calibration error) "
        f"{figures['calibration_error']:.3f}; on the held-out phrases {figures['held_out_calibration_error']:.3f}.",
        bins_table(figures["reliability"], "simulated tabletops"),
        bins_table(figures["held_out_reliability"], "held-out rooms"),
        *written_parts(figures["questions"]),
        "## What went wrong",
        table(("kind", "map", "text", "answer"), wrong) if wrong else "Nothing.",
    ]
    by_hand = path.read_text().partition(FIGURES_BEGIN)[0].strip() if path.exists() else "# Eyes and words"
    path.write_text("\n\n".join(part.strip() for part in [by_hand, *parts]) + "\n")


def written_parts(written: dict[str, Any]) -> list[str]:
    """The written questions by kind, and those that went wrong."""
    head = ("kind", "questions", "right, percent", "wrong with a score above 0.8")
    parts = []
    for name, title in (("written", "Written questions"), ("fresh", "Written afterwards"), ("last", "Written last")):
        if name in written:
            part = written[name]
            wrong = [(e["map"], e["text"], e["wanted"], e["message"].replace("|", "/")) for e in part["wrong"]]
            parts += [f"### {title}", WRITTEN[name], table(head, part["kinds"])]
            parts += [", ".join(f"{key.replace('_', ' ')} {value}" for key, value in part["figures"].items()) + "."]
            parts += [table(("map", "text", "wanted", "answer"), wrong)] if wrong else []
    return parts


def missed_goals(figures: dict[str, Any]) -> list[str]:
    """A line for every figure below its goal."""
    return [
        f"{words}: {figures[key]:.1f} %, the goal is {goal}"
        for words, key, goal in FIGURES
        if goal != "-" and figures[key] < float(goal)
    ]


def bins_table(bins: Sequence[dict[str, Any]], title: str) -> str:
    """Reliability as a table."""
    rows = [(f"{b['low']:.1f} - {b['high']:.1f}", b["answers"], f"{b['score']:.2f}", f"{b['right']:.2f}") for b in bins]
    return table((f"score ({title})", "answers", "mean score", "share right"), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
